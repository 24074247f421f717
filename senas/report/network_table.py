"""Table of one network, cell by cell: what it costs, and what of that is SE."""

from typing import TYPE_CHECKING

from rich.table import Table

from senas.architecture import Architecture, Cell, Part
from senas.costs import complexity, part_complexity
from senas.report.columns import WIDTH, TableColumn, fitted_table
from senas.report.profile_tables import latency_unit

if TYPE_CHECKING:  # its room imports libraries that FLOPs need not wait for
    from senas.latency import LatencyBreakdown, LatencyProfile

_EXTRAPOLATED = (
    "warning: this network is much faster or slower than those that the profile was made with, its bound may not hold"
)


def complexity_table(arch: Architecture, *, latency: "LatencyBreakdown | None" = None, width: int = WIDTH) -> Table:
    """Return a table of one network, cell by cell: shapes, FLOPs, parameters, latency, and the share of SE in each.

    Args:
        arch: Network.
        latency: Its predicted latency, if there is a profile; `~` marks parts whose latency was imputed.
        width: Number of characters in a line.
    """
    parts, bare = [*arch.parts()], [*arch.without_se().parts()]
    pairs = [*zip(map(part_complexity, parts), map(part_complexity, bare), strict=True)]
    pairs.append((complexity(arch), complexity(arch.without_se())))
    offset = [] if latency is None else [""]  # a row of the latency without any part

    def counts(name: str, rank: int) -> list[TableColumn]:
        values = [(getattr(whole, name.lower()), getattr(other, name.lower())) for whole, other in pairs]
        shares = [f"{(whole - other) / whole:.2%}" if whole else "-" for whole, other in values]
        shown = [f"{whole:,}" for whole, _ in values]
        return [
            TableColumn(name=name, cells=[*shown[:-1], *offset, shown[-1]], right=True, rank=rank),
            TableColumn(name="of which SE", cells=[*shares[:-1], *offset, shares[-1]], right=True, rank=rank),
        ]

    columns = [
        TableColumn(name="layer", cells=[*map(_name, parts), *(offset and ["offset"]), "total"]),
        TableColumn(name="input", cells=[*(str(part.in_shape) for part in parts), *offset, ""], rank=4),
        TableColumn(name="output", cells=[*(str(part.out_shape) for part in parts), *offset, ""], rank=3),
        TableColumn(name="SE", cells=[*map(_se, parts), *offset, ""], rank=1),
        *counts("FLOPs", rank=0 if latency is None else 1),
        *counts("params", rank=2),
        *([] if latency is None else _latency_columns(latency)),
    ]
    return fitted_table(columns, width=width, title=f"architecture {arch.digest}", total=True)


def latency_lines(latency: "LatencyBreakdown", profile: "LatencyProfile") -> list[str]:
    """Return lines on the predicted latency of a network, its bound, and what its milliseconds are."""
    share = f", of which SE {latency.se_ms:.3f} ms ({latency.se_ms / latency.latency_ms:.1%})" if latency.se_ms else ""
    imputed = "; ~ was imputed from similar cells" if any(part.imputed for part in latency.parts) else ""
    return [
        f"predicted {latency.latency_ms:.3f} ms{share}; 95 % bound {latency.upper_ms:.3f} ms",
        f"ms: {latency_unit(profile)}{imputed}",
        *([_EXTRAPOLATED] if latency.extrapolated else []),
    ]


def _latency_columns(latency: "LatencyBreakdown") -> list[TableColumn]:
    """Return the columns of the latency, with rows for the offset and the total."""
    rows = [*((part.latency_ms, part.se_ms, part.imputed) for part in latency.parts), (latency.offset_ms, 0.0, False)]
    rows.append((latency.latency_ms, latency.se_ms, any(part.imputed for part in latency.parts)))
    return [
        TableColumn(name="ms", cells=[f"{'~' if imputed else ''}{ms:.3f}" for ms, _, imputed in rows], right=True),
        TableColumn(name="SE ms", cells=[f"{se:.3f}" if se else "-" for _, se, _ in rows], right=True),
        TableColumn(name="of which SE", cells=[f"{se / ms:.1%}" if se else "-" for ms, se, _ in rows], right=True),
    ]


def _name(part: Part) -> str:
    layer = part.layer
    return f"stage {layer.stage}: {layer.kind}" if isinstance(layer, Cell) else f"{part.role}: {layer.kind}"


def _se(part: Part) -> str:
    return str(part.layer.se or "-") if isinstance(part.layer, Cell) else ""
