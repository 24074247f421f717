"""The template of a space, plain and with SE in every cell, which architectures of the space are compared with."""

from typing import Literal

from senas.architecture import Architecture, SEConfig
from senas.spaces.space import SearchSpace
from senas.spaces.stage import StageSpace

TemplateName = Literal["plain", "all-SE"]

_REDUCTION = 16  # Hu et al. 2018, section 6.1


def make_templates(space: SearchSpace) -> dict[TemplateName, Architecture]:
    """Return the plain and the all-SE version of a space's template, both of which are architectures of the space.

    They have the backbone's depths and widths, or the nearest options in the space. In the all-SE version every cell
    has the option nearest to the standard block of Hu et al. (2018): standard integration, average squeeze, sigmoid,
    reduction 16. A version is left out if a stage has no option for it.
    """
    blocks: dict[TemplateName, list[SEConfig | None]] = {
        "plain": [None for stage in space.stages if None in stage.se],
        "all-SE": [min(filter(None, stage.se), key=_distance_from_standard) for stage in space.stages if any(stage.se)],
    }
    return {name: _architecture(space, chosen) for name, chosen in blocks.items() if len(chosen) == len(space.stages)}


def _architecture(space: SearchSpace, blocks: list[SEConfig | None]) -> Architecture:
    cells = []
    for stage, se in zip(space.stages, blocks, strict=True):
        width, depth = _width(stage), _nearest(stage.depths, len(stage.cells))
        cells += [stage.cell(index, width, se) for index in range(depth)]
    stem = (
        space.stem if None in space.stem_widths else space.stem_of(_nearest(space.stem_widths, _channels(space.stem)))
    )
    return Architecture(input=space.input, stem=stem, cells=tuple(cells), head=space.head)


def _width(stage: StageSpace) -> int | None:
    return None if None in stage.widths else _nearest(stage.widths, _channels(stage.cells[-1]))


def _nearest(options: tuple[int | None, ...], target: int) -> int:
    """Return the option nearest to a number, and the larger of two that are equally near."""
    return min(filter(None, options), key=lambda option: (abs(option - target), -option))


def _channels(layer: object) -> int:
    channels = getattr(layer, "channels", None)
    assert isinstance(channels, int)  # a width can only vary if a layer has channels
    return channels


def _distance_from_standard(se: SEConfig) -> tuple[bool, bool, bool, int]:
    """Return the distance of a block from the standard block, to be compared as a tuple."""
    return (
        se.integration != "standard",
        se.squeeze != "avg",
        se.excitation != "sigmoid",
        abs(se.reduction - _REDUCTION),
    )
