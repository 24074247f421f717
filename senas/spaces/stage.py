"""The choices in one stage of a search space."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Literal, TypeVar

from senas.architecture import Cell, Part, SEConfig, Shape, Stem
from senas.errors import SpaceError

VariedLayer = TypeVar("VariedLayer", Cell, Stem)
Option = int | SEConfig | None

MAX_DEPTH = 256


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One choice of a space.

    Attributes:
        label: Name of the choice in a sample, such as `se.stage4.cell1`.
        options: Options to choose from.
    """

    label: str
    options: tuple[Option, ...]


@dataclass(frozen=True, kw_only=True)
class StageSpace:
    """The template and the choices of one stage.

    Attributes:
        cells: Cells of the backbone; the last one is repeated if a depth needs more cells.
        depths: Options for the number of cells.
        widths: Options for the output channels of all cells of the stage; `None` keeps the backbone's, cell by cell.
        se: Options for the SE block, with `None` for no SE.
        se_per: `cell` if each cell has an SE choice of its own, `stage` if all cells of the stage share one.

    Raises:
        SpaceError: There are no cells or no options, a depth is outside its limits, or the cells are of several stages.
    """

    cells: tuple[Cell, ...]
    depths: tuple[int, ...]
    widths: tuple[int | None, ...]
    se: tuple[SEConfig | None, ...]
    se_per: Literal["cell", "stage"] = "cell"

    def __post_init__(self) -> None:
        for name in ("cells", "depths", "widths", "se"):
            if not getattr(self, name):
                raise SpaceError(f"stage: {name}: found none, expected at least one")
        for depth in self.depths:
            if not 1 <= depth <= MAX_DEPTH:
                raise SpaceError(f"stage {self.number}: depths: found {depth}, allowed: 1 to {MAX_DEPTH}")
        if {cell.stage for cell in self.cells} != {self.number}:
            raise SpaceError(f"stage {self.number}: cells: found a cell of another stage, expected cells of this stage")

    @property
    def number(self) -> int:
        """Number of the stage as in the paper."""
        return self.cells[0].stage

    def cell(self, index: int, width: int | None, se: SEConfig | None) -> Cell:
        """Return the cell at an index of the stage; after the backbone's cells, the last one at stride 1."""
        if index < len(self.cells):
            return _with_width_and_se(self.cells[index], width, se)
        return _with_width_and_se(_at_stride_1(self.cells[-1]), width, se)

    def parts(self, in_shape: Shape, width: int | None, depth: int, se: SEConfig | None) -> tuple[Part, ...]:
        """Return the parts of the stage for an input of `in_shape`, all with the same SE choice."""
        parts: list[Part] = []
        for index in range(depth):
            parts.append(Part(layer=self.cell(index, width, se), in_shape=in_shape))
            in_shape = parts[-1].out_shape
        return tuple(parts)

    def se_label(self, index: int) -> str:
        """Return the label of the SE choice that applies to the cell at an index."""
        return f"se.stage{self.number}.cell{index + 1}" if self.se_per == "cell" else f"se.stage{self.number}"

    def choices(self) -> Iterator[Choice]:
        """Yield all choices of the stage, including those with a single option."""
        yield Choice(label=f"depth.stage{self.number}", options=self.depths)
        yield Choice(label=f"width.stage{self.number}", options=self.widths)
        labels = dict.fromkeys(self.se_label(index) for index in range(max(self.depths)))
        yield from (Choice(label=label, options=self.se) for label in labels)


@lru_cache(maxsize=65_536)  # a search builds the same few cells again and again
def _with_width_and_se(cell: Cell, width: int | None, se: SEConfig | None) -> Cell:
    return replace(cell if width is None else vary(cell, channels=width), se=se)


def vary(layer: VariedLayer, *, channels: int) -> VariedLayer:
    """Return the layer with another number of output channels.

    Raises:
        SpaceError: The layer has no field for it.
    """
    if not _has_field(layer, "channels"):
        where = f"stage {layer.stage}: {layer.kind} cell" if isinstance(layer, Cell) else f"{layer.kind} stem"
        raise SpaceError(f"{where}: width: found {channels}, allowed: none, its channels are fixed")
    return replace(layer, channels=channels)  # type: ignore[call-arg]  # checked above


@lru_cache(maxsize=1_024)
def _at_stride_1(cell: Cell) -> Cell:
    return replace(cell, stride=1) if _has_field(cell, "stride") else cell  # type: ignore[call-arg]  # checked


def _has_field(layer: Cell | Stem, name: str) -> bool:
    return name in {field.name for field in fields(layer)}
