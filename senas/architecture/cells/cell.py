"""The base class of all kinds of cells: a stage, an SE choice and a layout."""

from dataclasses import dataclass
from typing import ClassVar

from senas.architecture.layers import SE, Layer, Operation
from senas.architecture.se import Integration, SEConfig
from senas.errors import ArchitectureError, one_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell(Layer):
    """One block of the network, the place where one SE choice is made.

    A kind of cell is a frozen data class with a name, `kind`, the fields that such a cell needs, and a `layout` with
    `self.se_at(place)` wherever it can host an SE block. Search spaces vary the fields called `channels` (the number of
    output channels) and `stride`.

    Attributes:
        stage: Number of the stage as in the paper: conv2_x is stage 2.
        se: SE block, or `None` for no SE.
    """

    kinds: ClassVar[dict[str, type]] = {}
    default_kind: ClassVar[str] = "basic"

    stage: int
    se: SEConfig | None = None

    def se_at(self, place: Integration) -> SE:
        """Return a place for an SE block, which holds the cell's block if its integration is `place`."""
        return SE(place, self.se if self.se is not None and self.se.integration == place else None)

    def check_place(self, layout: Operation) -> None:
        """Raise `ArchitectureError` if the layout of the cell has no place for its SE block."""
        if self.se is None:
            return
        places = {operation.place for operation in layout.walk() if isinstance(operation, SE)}
        if self.se.integration not in places:
            if not places:
                raise ArchitectureError(f"SE: found {self.se}, allowed: none, this cell has no place for it")
            skipless = self.se.integration in ("post", "identity") and "identity" not in places
            why = "; it has no skip path" if skipless else ""
            raise ArchitectureError(f"SE integration: {one_of(self.se.integration, places)}{why}")
