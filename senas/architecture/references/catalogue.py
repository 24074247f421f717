"""Catalogue of the named networks of the literature, with or without SE."""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from senas.architecture.cells import InceptionReduction
from senas.architecture.network import Architecture, Input
from senas.architecture.references import inception, mobile, residual, vgg
from senas.architecture.se import SEConfig
from senas.errors import ArchitectureError, one_of

REFERENCES: dict[str, Callable[[], Architecture]] = {
    "resnet20": residual.resnet20,
    "resnet50": partial(residual.resnet, (3, 4, 6, 3)),
    "resnet101": partial(residual.resnet, (3, 4, 23, 3)),
    "resnet152": partial(residual.resnet, (3, 8, 36, 3)),
    "resnext50": partial(residual.resnext, (3, 4, 6, 3)),
    "resnext101": partial(residual.resnext, (3, 4, 23, 3)),
    "vgg16": vgg.vgg16,
    "bn_inception": inception.bn_inception,
    "inception_resnet_v2": inception.inception_resnet_v2,
    "mobilenet": mobile.mobilenet,
    "shufflenet": mobile.shufflenet,
    "resnet110": residual.resnet110,
    "resnet164": residual.resnet164,
    "wrn16_8": residual.wrn16_8,
    "shake_shake_26_2x96d": residual.shake_shake_26_2x96d,
    "mobilenet_v3_large": mobile.mobilenet_v3_large,
    "efficientnet_b0": mobile.efficientnet_b0,
}


def reference(
    name: str,
    *,
    se: SEConfig | None = None,
    se_stages: Collection[int] | None = None,
    input_channels: int | None = None,
    input_size: int | None = None,
    classes: int | None = None,
) -> Architecture:
    """Return a network of the literature by name.

    Args:
        name: Key of `REFERENCES`.
        se: SE block of every cell, except for the reductions of inception_resnet_v2, which have no SE in the SE paper.
            By default the network is as in its own paper: without SE, except for mobilenet_v3_large and
            efficientnet_b0.
        se_stages: Stages that have `se`; the others have no SE. All stages by default.
        input_channels: Number of input channels, the paper's by default.
        input_size: Height = width of the input, the paper's by default.
        classes: Number of classes, the paper's by default.

    Raises:
        ArchitectureError: The name or a stage is unknown, stages are given without `se`, or the cells cannot host the
            SE block.
    """
    if name not in REFERENCES:
        raise ArchitectureError(f"reference architecture: {one_of(name, REFERENCES)}")
    default = REFERENCES[name]()
    stages = default.stages if se_stages is None else tuple(se_stages)
    for stage in stages:
        if stage not in default.stages:
            allowed = ", ".join(map(str, default.stages))
            raise ArchitectureError(f"se_stages of {name}: found {stage!r}, allowed: {allowed}")
    if se is not None and not isinstance(se, SEConfig):
        raise ArchitectureError(f"se of {name}: found {se!r}, expected an SEConfig or None")
    if se_stages is not None and se is None:
        raise ArchitectureError(f"se_stages of {name}: found stages without an SE block, expected se as well")
    cells = default.cells
    if se is not None:
        cells = tuple(
            replace(cell, se=se if cell.stage in stages and not isinstance(cell, InceptionReduction) else None)
            for cell in cells
        )
    return Architecture(
        input=Input(
            channels=default.input.channels if input_channels is None else input_channels,
            size=default.input.size if input_size is None else input_size,
        ),
        stem=default.stem,
        cells=cells,
        head=default.head if classes is None else replace(default.head, classes=classes),
    )
