"""The template of a space, plain and with SE in every cell: what any architecture of the space is compared with."""

from typing import Literal

from senas.architecture import Architecture
from senas.se import SEConfig
from senas.spaces.space import SearchSpace
from senas.spaces.stage import StageSpace

TemplateName = Literal["plain", "all-SE"]


_REDUCTION = 16  # Hu et al. 2018, section 6.1


def templates(space: SearchSpace) -> dict[TemplateName, Architecture]:
    """The plain and the all-SE version of a space's template, both of them architectures of the space.

    They have the backbone's depths and widths, or the nearest that the space has. The all-SE version has in every cell
    the option nearest to the standard block of Hu et al. (2018): standard integration, average squeeze, sigmoid,
    reduction 16. A version for which some stage has no option is left out.
    """
    blocks: dict[TemplateName, list[SEConfig | None]] = {
        "plain": [None for stage in space.stages if None in stage.se],
        "all-SE": [min(filter(None, stage.se), key=_from_standard) for stage in space.stages if any(stage.se)],
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


def _nearest(options: tuple[int | None, ...], to: int) -> int:
    """Of two options equally near, the larger."""
    return min(filter(None, options), key=lambda option: (abs(option - to), -option))


def _channels(layer: object) -> int:
    channels = getattr(layer, "channels", None)
    assert isinstance(channels, int)  # a width can only vary where a layer has channels
    return channels


def _from_standard(se: SEConfig) -> tuple[bool, bool, bool, int]:
    """How far a block is from the standard one; smaller is nearer."""
    return se.integration != "standard", se.squeeze != "avg", se.excitation != "sigmoid", abs(se.reduction - _REDUCTION)
