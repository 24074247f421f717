"""What may vary in one stage of a search space."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Literal, TypeVar

from senas.architecture import Part
from senas.cells import Cell
from senas.errors import SpaceError
from senas.layers.layout import Shape
from senas.layers.stems import Stem
from senas.se import SEConfig

Layer = TypeVar("Layer", Cell, Stem)
Option = int | SEConfig | None

MAX_DEPTH = 256


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One choice of a space.

    Attributes:
        label: its name in a sample, such as `se.stage4.cell1`.
        options: what there is to choose from.
    """

    label: str
    options: tuple[Option, ...]


@dataclass(frozen=True, kw_only=True)
class StageSpace:
    """What may vary in one stage.

    Attributes:
        cells: the backbone's cells; the last one is repeated where a depth asks for more.
        depths: numbers of cells.
        widths: output channels of every cell of the stage; `None` keeps the backbone's, cell by cell.
        se: SE blocks, `None` for no SE.
        se_per: whether each cell makes its own SE choice or the stage makes one for all.
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
            raise SpaceError(f"stage {self.number}: cells: found one of another stage, expected this one alone")

    @property
    def number(self) -> int:
        """The stage's number as in the paper."""
        return self.cells[0].stage

    def cell(self, index: int, width: int | None, se: SEConfig | None) -> Cell:
        """The cell at an index of the stage; beyond the backbone's cells its last one again, at stride 1."""
        if index < len(self.cells):
            return _varied(self.cells[index], width, se)
        return _varied(_repeated(self.cells[-1]), width, se)

    def parts(self, inflow: Shape, width: int | None, depth: int, se: SEConfig | None) -> tuple[Part, ...]:
        """The stage's cells, all with the same SE choice, where `inflow` flows in."""
        parts: list[Part] = []
        for index in range(depth):
            parts.append(Part(layer=self.cell(index, width, se), inflow=inflow))
            inflow = parts[-1].outflow
        return tuple(parts)

    def se_label(self, index: int) -> str:
        """The label of the SE choice that the cell at an index follows."""
        return f"se.stage{self.number}.cell{index + 1}" if self.se_per == "cell" else f"se.stage{self.number}"

    def choices(self) -> Iterator[Choice]:
        """All choices of the stage, single options included."""
        yield Choice(label=f"depth.stage{self.number}", options=self.depths)
        yield Choice(label=f"width.stage{self.number}", options=self.widths)
        labels = dict.fromkeys(self.se_label(index) for index in range(max(self.depths)))
        yield from (Choice(label=label, options=self.se) for label in labels)


@lru_cache(maxsize=65_536)  # a search makes the same few cells again and again
def _varied(cell: Cell, width: int | None, se: SEConfig | None) -> Cell:
    return replace(cell if width is None else vary(cell, channels=width), se=se)


def vary(layer: Layer, *, channels: int) -> Layer:
    """The layer with another number of output channels.

    Raises:
        SpaceError: the layer has no such number.
    """
    if not _has(layer, "channels"):
        where = f"stage {layer.stage}: {layer.kind} cell" if isinstance(layer, Cell) else f"{layer.kind} stem"
        raise SpaceError(f"{where}: width: found {channels}, allowed: none, its channels are fixed")
    return replace(layer, channels=channels)  # type: ignore[call-arg]  # checked above


@lru_cache(maxsize=1_024)
def _repeated(cell: Cell) -> Cell:
    return replace(cell, stride=1) if _has(cell, "stride") else cell  # type: ignore[call-arg]  # checked


def _has(layer: Cell | Stem, name: str) -> bool:
    return name in {field.name for field in fields(layer)}
