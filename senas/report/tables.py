"""Tables for the terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from senas.architecture import Architecture
from senas.cells import Cell
from senas.costs.budget import Budget, show_cost
from senas.costs.complexity import Complexity, complexity, part_complexity
from senas.costs.profile import LatencyProfile
from senas.searching.trial import Trial
from senas.spaces.space import SearchSpace


def front_table(front: Sequence[Trial], *, with_se: bool) -> Table:
    """The Pareto front, best accuracy first; latency columns only where latency is known.

    Args:
        front: best accuracy first.
        with_se: whether there is room for where SE sits.
    """
    predicted = any(trial.cost.latency_ms is not None for trial in front)
    measured = any(trial.measured_ms is not None for trial in front)
    table = Table(title="Pareto front", title_justify="left")
    columns = ["trial", "accuracy", *(["predicted ms", "bound ms"] if predicted else [])]
    columns += [*(["measured ms"] if measured else []), "FLOPs", "params"]
    for name in columns:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    if with_se:
        table.add_column("where SE sits")
    table.add_column("digest", no_wrap=True)
    for trial in front:
        cost = trial.cost
        row = [str(trial.number), f"{trial.accuracy:.2%}"]
        row += [_ms(cost.latency_ms), _ms(cost.upper_ms)] if predicted else []
        row += [_ms(trial.measured_ms)] if measured else []
        row += [show_cost(cost.flops, "flops"), show_cost(cost.params, "params")]
        row += [escape(trial.architecture.describe_se())] if with_se else []
        table.add_row(*row, trial.digest[:8])
    return table


def front_caption(front: Sequence[Trial], budget: Budget) -> list[str]:
    """How the predictions and the budget fared when the front was measured afresh."""
    measured = [
        (trial.measured_ms, trial.cost.upper_ms)
        for trial in front
        if trial.measured_ms is not None and trial.cost.upper_ms is not None
    ]
    if not measured:
        return []
    drift = next(trial.drift for trial in front if trial.drift is not None)
    total = len(measured)

    def within(bounds: list[float]) -> str:
        as_is = sum(found <= bound for (found, _), bound in zip(measured, bounds, strict=True))
        rescaled = sum(found <= bound * drift for (found, _), bound in zip(measured, bounds, strict=True))
        return f"{as_is} of {total}, without the drift {rescaled} of {total}"

    lines = [
        f"measured afresh: the profile's anchor networks took {drift:.3f} times as long as when it was made",
        f"within the bound of their prediction: {within([bound for _, bound in measured])}",
    ]
    if budget.latency_ms is not None:
        lines.append(f"within the budget of {budget.latency_ms:.3f} ms: {within([budget.latency_ms] * total)}")
    return lines


def spaces_table(spaces: Sequence[tuple[str, SearchSpace]]) -> Table:
    """The shipped spaces: backbone, input, number of architectures."""
    table = Table()
    for name in ("space", "backbone", "input"):
        table.add_column(name, no_wrap=True)
    table.add_column("SE options per cell\n(stage: options)")
    for name in ("choices", "architectures"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, space in spaces:
        options = ", ".join(f"{stage.number}: {len(stage.se)}" for stage in space.stages)
        table.add_row(
            name, space.backbone, str(space.input.shape), options, str(len(space.choices)), _count(space.size)
        )
    return table


def complexity_table(arch: Architecture) -> Table:
    """One network cell by cell: shapes, FLOPs, parameters, and the share of SE in each."""
    total, plain = complexity(arch), complexity(arch.without_se())
    table = Table(title=f"architecture {arch.digest}", title_justify="left")
    for name in ("layer", "input", "output", "SE"):
        table.add_column(name)
    for name in ("FLOPs", "of it SE", "params", "of it SE"):
        table.add_column(name, justify="right")
    for part, bare in zip(arch.parts(), arch.without_se().parts(), strict=True):
        layer = part.layer
        name = f"stage {layer.stage}: {layer.kind}" if isinstance(layer, Cell) else f"{part.role}: {layer.kind}"
        se = str(layer.se or "-") if isinstance(layer, Cell) else ""
        table.add_row(
            name, str(part.inflow), str(part.outflow), se, *_with_share(part_complexity(part), part_complexity(bare))
        )
    table.add_section()
    table.add_row("total", "", "", "", *_with_share(total, plain))
    return table


def profile_lines(profile: LatencyProfile) -> list[str]:
    """What a profile is of and how well it predicts, in plain sentences."""
    mode, check = profile.mode, profile.validation
    return [
        f"{len(profile.entries)} parts of {profile.space} on {profile.device.name}: {mode.execution}, {mode.dtype}, "
        f"batch {mode.batch}, {mode.threads} thread, {mode.input.shape}",
        f"on {check.networks} networks that no fit has seen: mean error {check.mean_error:.1%}, "
        f"worst {check.worst_error:.1%}; 95 % take at most {profile.calibration.bound:.3f} times the prediction",
    ]


def _count(number: int) -> str:
    return f"{number:,}" if number < 1e15 else f"{number:.2e}"


def _with_share(whole: Complexity, bare: Complexity) -> list[str]:
    return [
        f"{whole.flops:,}",
        f"{(whole.flops - bare.flops) / whole.flops:.2%}" if whole.flops else "-",
        f"{whole.params:,}",
        f"{(whole.params - bare.params) / whole.params:.2%}" if whole.params else "-",
    ]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
