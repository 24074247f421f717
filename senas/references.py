"""The named networks of the literature, with or without SE."""

import dataclasses
from collections.abc import Callable, Collection

from senas.architecture import Architecture, Cell, Head, Input, SEConfig, Stem
from senas.errors import ArchitectureError, one_of


def reference(
    name: str,
    *,
    se: SEConfig | None = None,
    se_stages: Collection[int] | None = None,
    input_channels: int | None = None,
    input_size: int | None = None,
    classes: int | None = None,
) -> Architecture:
    """A network of the literature by name.

    Args:
        name: a key of `REFERENCES`.
        se: the SE block of every cell, or `None` for the plain network.
        se_stages: the stages that get `se`; all of them by default.
        input_channels: channels flowing in, the paper's by default.
        input_size: height = width flowing in, the paper's by default.
        classes: number of classes, the paper's by default.

    Raises:
        ArchitectureError: unknown name or stage, or an SE block that the cells cannot host.
    """
    if name not in REFERENCES:
        raise ArchitectureError(f"reference architecture: {one_of(name, REFERENCES)}")
    plain = REFERENCES[name]()
    stages = plain.stages if se_stages is None else tuple(se_stages)
    for stage in stages:
        if stage not in plain.stages:
            allowed = ", ".join(map(str, plain.stages))
            raise ArchitectureError(f"se_stages of {name}: found {stage}, allowed: {allowed}")
    cells = (dataclasses.replace(cell, se=se if cell.stage in stages else None) for cell in plain.cells)
    return Architecture(
        input=Input(
            channels=plain.input.channels if input_channels is None else input_channels,
            size=plain.input.size if input_size is None else input_size,
        ),
        stem=plain.stem,
        cells=tuple(cells),
        head=plain.head if classes is None else dataclasses.replace(plain.head, classes=classes),
    )


def _resnet20() -> Architecture:
    """ResNet-20 for CIFAR: three stages of three basic cells (He et al. 2016, section 4.2, n = 3)."""
    cells = (
        Cell(kind="basic", stage=stage, channels=channels, stride=2 if stage > 2 and index == 0 else 1)
        for stage, channels in ((2, 16), (3, 32), (4, 64))
        for index in range(3)
    )
    return Architecture(
        input=Input(channels=3, size=32), stem=Stem(channels=16), cells=tuple(cells), head=Head(classes=10)
    )


REFERENCES: dict[str, Callable[[], Architecture]] = {"resnet20": _resnet20}
