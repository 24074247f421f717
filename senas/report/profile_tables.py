"""What a latency profile says: what it covers, how well it predicts, and what SE adds."""

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from rich.table import Table

from senas.costs import SECost
from senas.report.columns import WIDTH, TableColumn, fitted_table

if TYPE_CHECKING:  # its room imports libraries that a list of spaces need not wait for
    from senas.latency import LatencyComparison, LatencyProfile

_FEW_PRECISE_PARTS = 0.5  # share of the parts below which a profile is called imprecise


def latency_unit(profile: "LatencyProfile") -> str:
    """Return what the milliseconds of a profile are: device, execution, type, batch, threads and clock."""
    mode, device = profile.mode, profile.device
    threads = f", {mode.threads} thread{'s' if mode.threads > 1 else ''}" if device.kind == "cpu" else ""
    return (
        f"one forward pass on {device.name}: {mode.execution}, {mode.dtype}, batch {mode.batch}{threads}, "
        f"{profile.protocol.clock}"
    )


def comparison_lines(comparison: "LatencyComparison", profile: "LatencyProfile") -> list[str]:
    """Return lines on the latency of one network: predicted, its bound, and measured."""
    predicted, measured = comparison.predicted, comparison.measured
    return [
        f"latency predicted {predicted.latency_ms:.3f} ms, 95 % bound {predicted.upper_ms:.3f} ms: "
        f"{latency_unit(profile)}",
        f"latency not measured: {comparison.reason}"
        if measured is None
        else f"latency measured {measured.median_ms:.3f} ms (median), {measured.high_ms:.3f} ms (95th percentile): "
        f"wall clock of {measured.passes:,} passes just now, {measured.threads} "
        f"thread{'s' if measured.threads > 1 else ''}",
    ]


def profile_lines(profile: "LatencyProfile") -> list[str]:
    """Return lines on what a profile covers and how well it predicts."""
    check, protocol = profile.validation, profile.protocol
    intervals = [entry.measured.interval for entry in profile.entries.values() if entry.measured is not None]
    imputed = len(profile.entries) - len(intervals)
    lines = [
        f"{len(intervals)} parts of {profile.space.name} ({profile.mode.input.shape}) measured"
        f"{f', {imputed} imputed' if imputed else ''}; times are of {latency_unit(profile)}",
        f"in {profile.provenance.seconds:.0f} s: the 95 % interval is within 1 % for {protocol.precise_parts:.0%} of "
        f"the parts and within 0.5 % for {protocol.precise_networks:.0%} of the networks",
        f"on {check.networks} networks not used in any fit: mean error {check.mean_error:.1%}, worst "
        f"{check.worst_error:.1%}, rank correlation {check.spearman:.3f}; measured twice they differ by "
        f"{check.repeat_error:.1%}",
        f"95 % take at most {profile.bound():.3f} times the prediction",
    ]
    if intervals and protocol.precise_parts < _FEW_PRECISE_PARTS:
        lines.append(
            f"warning: the parts are imprecise, half of their 95 % intervals are wider than {median(intervals):.1%}; "
            "measure for longer (--seconds), or when the machine is less busy"
        )
    if profile.device.kind == "cuda" and (protocol.conditions is None or protocol.conditions.throttled is None):
        lines.append("this GPU does not report throttling: some samples may have been taken while it was throttled")
    if profile.provenance.seconds > 1.5 * protocol.seconds:
        lines.append(f"the minimal number of rounds took longer than the limit of {protocol.seconds:g} s")
    if check.mean_error > check.limit:
        lines.append(f"searches will refuse it: its mean error exceeds {check.limit:.0%}, the machine was too busy")
    return lines


def se_cost_table(costs: Sequence[SECost], *, width: int = WIDTH) -> Table:
    """Return a table of what SE adds to its cell, a row per stage, batch size and SE block.

    A latency is shown with half its 95 % interval, or as within that if it is smaller; `~` marks what was imputed.

    Args:
        costs: One or more costs.
        width: Number of characters in a line.
    """
    rows = sorted(costs, key=lambda cost: (cost.stage, cost.batch, cost.variant, cost.se.reduction))
    several = len({cost.batch for cost in rows}) > 1
    columns = [
        TableColumn(name="stage", cells=[str(cost.stage) for cost in rows], right=True),
        TableColumn(name="batch", cells=[str(cost.batch) for cost in rows], right=True, rank=0 if several else 2),
        TableColumn(name="SE", cells=[str(cost.se) for cost in rows]),
        TableColumn(name="added us", cells=[_added_us(cost) for cost in rows], right=True),
        TableColumn(name="added latency", cells=[_added_share(cost) for cost in rows], right=True),
        TableColumn(name="added FLOPs", cells=[f"{cost.flops_share:+.2%}" for cost in rows], right=True, rank=1),
    ]
    return fitted_table(columns, width=width, title="what an SE block adds to its cell")


def _added_us(cost: SECost) -> str:
    if cost.noise_ms is None:
        return f"~{cost.latency_ms * 1e3:.1f}"
    noise = f"± {cost.noise_ms * 1e3:.1f}"
    return f"{cost.latency_ms * 1e3:.1f} {noise}" if cost.is_clear else f"within {noise}"


def _added_share(cost: SECost) -> str:
    if cost.noise_share is None:
        return f"~{cost.latency_share:+.1%}"
    noise = f"± {100 * cost.noise_share:.1f} %"
    return f"{100 * cost.latency_share:+.1f} {noise}" if cost.is_clear else f"within {noise}"
