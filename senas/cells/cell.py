"""What all kinds of cells have in common: a stage, an SE choice, a layout."""

from dataclasses import dataclass
from typing import ClassVar

from senas.errors import ArchitectureError, one_of
from senas.layers.layer import Layer
from senas.layers.layout import Operation
from senas.layers.operations import SE
from senas.se import Integration, SEConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell(Layer):
    """One block of the network, the place where one SE choice is made.

    A kind of cell is a frozen data class with a name, `kind`, the fields that such a cell needs, and a `layout` with
    `self.se_at(place)` wherever it can host an SE block. Fields called `channels` (flowing out) and `stride` are what
    search spaces vary.

    Attributes:
        stage: numbered as the paper does: conv2_x is stage 2.
        se: the SE block, or `None` for no SE.
    """

    kinds: ClassVar[dict[str, type]] = {}
    usual_kind: ClassVar[str] = "basic"

    stage: int
    se: SEConfig | None = None

    def se_at(self, place: Integration) -> SE:
        """A place for an SE block, taken where the cell's choice says so."""
        return SE(place, self.se if self.se is not None and self.se.integration == place else None)

    def check_place(self, layout: Operation) -> None:
        """Raise `ArchitectureError` where the layout of the cell has no place for its SE block."""
        if self.se is None:
            return
        places = {operation.place for operation in layout.walk() if isinstance(operation, SE)}
        if self.se.integration not in places:
            if not places:
                raise ArchitectureError(f"SE: found {self.se}, allowed: none, this cell has no place for it")
            why = "" if "identity" in places else "; it has no skip path"
            raise ArchitectureError(f"SE integration: {one_of(self.se.integration, places)}{why}")
