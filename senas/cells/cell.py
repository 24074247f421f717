"""What all kinds of cells have in common: a stage, an SE choice, a layout."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from senas.errors import ArchitectureError, one_of
from senas.layers.layout import Operation, Shape
from senas.layers.operations import SE
from senas.parsing import Family
from senas.se import Integration, SEConfig

MAX_STAGE = 99


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell(Family, ABC):
    """One block of the network, the place where one SE choice is made.

    A kind of cell is a frozen data class with a name, `kind`, the fields that such a cell needs, and a `layout`. Fields
    called `channels` (flowing out) and `stride` are what a search space varies.

    Attributes:
        stage: numbered as the paper does: conv2_x is stage 2.
        se: the SE block, or `None` for no SE.
    """

    kinds: ClassVar[dict[str, type]] = {}
    usual_kind: ClassVar[str] = "basic"

    stage: int
    se: SEConfig | None = None

    def __post_init__(self) -> None:
        if isinstance(self.stage, bool) or not isinstance(self.stage, int) or not 1 <= self.stage <= MAX_STAGE:
            raise ArchitectureError(f"stage: found {self.stage!r}, allowed: 1 to {MAX_STAGE}")

    @abstractmethod
    def layout(self, inflow: Shape) -> Operation:
        """The operations of the cell, with `se_at` wherever it can host an SE block.

        Args:
            inflow: what flows into the cell.
        """

    def se_at(self, place: Integration) -> SE:
        """A place for an SE block, taken where the cell's choice says so."""
        return SE(place, self.se if self.se is not None and self.se.integration == place else None)

    def check_place(self, inflow: Shape) -> None:
        """Raise `ArchitectureError` where the cell has no place for its SE block."""
        if self.se is None:
            return
        places = {operation.place for operation in self.layout(inflow).walk() if isinstance(operation, SE)}
        if self.se.integration not in places:
            why = "" if "identity" in places else "; it has no skip path"
            raise ArchitectureError(f"SE integration: {one_of(self.se.integration, places)}{why}")
