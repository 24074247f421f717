"""Tables that leave out columns where the terminal is too narrow, so that no cell is cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

WIDTH = 140  # of a table that is not shown on a terminal


@dataclass(frozen=True, kw_only=True)
class TableColumn:
    """Column of a table.

    Attributes:
        name: Heading; words are put below each other where that makes the column narrower.
        cells: Text of each row, without markup.
        right: Whether the text is aligned to the right, as numbers are.
        rank: Columns of the highest rank are left out first; those of rank 0 stay.
        wraps: Width from which on the text of a cell is wrapped; `None` if it stays on one line.
    """

    name: str
    cells: Sequence[str]
    right: bool = False
    rank: int = 0
    wraps: int | None = None

    @property
    def width(self) -> int:
        """Characters that the column needs."""
        widest = max(map(cell_len, self.cells), default=0)
        words = max(cell_len(word) for word in self.name.split())
        return max(words, widest if self.wraps is None else min(widest, self.wraps))


def fitted_table(columns: Sequence[TableColumn], *, width: int, title: str | None = None, total: bool = False) -> Table:
    """Return a table that fits into a number of characters: without its lines if need be, then with fewer columns.

    Args:
        columns: Columns with as many cells each.
        width: Number of characters in a line.
        title: Title above the table.
        total: Whether the last row is a total, which stands apart.
    """
    kept = list(columns)
    ruled = _ruled_width(kept) <= width
    while not ruled and _plain_width(kept) > width and any(column.rank for column in kept):
        kept.remove(max(reversed(kept), key=lambda column: column.rank))
    table = Table(title=title, title_justify="left")
    if not ruled:
        table.box, table.show_edge, table.padding = box.SIMPLE_HEAD, False, (0, 1, 0, 0)
    for column in kept:
        name = column.name if cell_len(column.name) <= column.width else column.name.replace(" ", "\n")
        justify = "right" if column.right else "left"
        table.add_column(name, justify=justify, min_width=column.width, overflow="fold")
    rows = list(zip(*(column.cells for column in kept), strict=True))
    for number, row in enumerate(rows):
        if total and number == len(rows) - 1:
            table.add_section()
        table.add_row(*map(escape, row))
    return table


def _ruled_width(columns: Sequence[TableColumn]) -> int:
    """Return the width of a table with lines around its cells."""
    return sum(column.width + 3 for column in columns) + 1


def _plain_width(columns: Sequence[TableColumn]) -> int:
    """Return the width of a table without lines, whose columns are two spaces apart."""
    return sum(column.width + 2 for column in columns) - 1
