"""The named networks of the literature, with or without SE."""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from senas.architecture import Architecture, Input
from senas.cells import InceptionReduction
from senas.errors import ArchitectureError, one_of
from senas.references import inception, mobile, residual, vgg
from senas.se import SEConfig

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
    """A network of the literature by name.

    Args:
        name: a key of `REFERENCES`.
        se: the SE block of every cell, but for the reductions of inception_resnet_v2, which the SE paper leaves as they
            are. By default the network as its own paper has it: without SE, but for mobilenet_v3_large and
            efficientnet_b0.
        se_stages: the stages that get `se`, the others get no SE; all of them by default.
        input_channels: channels flowing in, the paper's by default.
        input_size: height = width flowing in, the paper's by default.
        classes: number of classes, the paper's by default.

    Raises:
        ArchitectureError: unknown name or stage, stages without `se`, or an SE block that the cells cannot host.
    """
    if name not in REFERENCES:
        raise ArchitectureError(f"reference architecture: {one_of(name, REFERENCES)}")
    plain = REFERENCES[name]()
    stages = plain.stages if se_stages is None else tuple(se_stages)
    for stage in stages:
        if stage not in plain.stages:
            allowed = ", ".join(map(str, plain.stages))
            raise ArchitectureError(f"se_stages of {name}: found {stage!r}, allowed: {allowed}")
    if se is not None and not isinstance(se, SEConfig):
        raise ArchitectureError(f"se of {name}: found {se!r}, expected an SEConfig or None")
    if se_stages is not None and se is None:
        raise ArchitectureError(f"se_stages of {name}: found stages but no SE block to put there, expected se as well")
    cells = plain.cells
    if se is not None:
        cells = tuple(
            replace(cell, se=se if cell.stage in stages and not isinstance(cell, InceptionReduction) else None)
            for cell in cells
        )
    return Architecture(
        input=Input(
            channels=plain.input.channels if input_channels is None else input_channels,
            size=plain.input.size if input_size is None else input_size,
        ),
        stem=plain.stem,
        cells=cells,
        head=plain.head if classes is None else replace(plain.head, classes=classes),
    )
