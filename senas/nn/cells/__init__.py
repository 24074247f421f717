"""One file per kind of cell; `CELL_MODULES` registers them under the names of `architecture.CELL_KINDS`."""

from collections.abc import Callable

from torch import nn

from senas.architecture import Cell
from senas.nn.cells.basic import BasicCell

CELL_MODULES: dict[str, Callable[[Cell, int], nn.Module]] = {
    "basic": BasicCell,
}
