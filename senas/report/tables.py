"""Tables for the terminal."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from senas.architecture import Architecture, Cell
from senas.costs import Budget, Complexity, Objective, SECost, complexity, part_complexity, show_cost
from senas.io import brief
from senas.runs import Trial
from senas.spaces import SearchSpace

if TYPE_CHECKING:  # their rooms import libraries that a list of spaces need not wait for
    from senas.analysis import RunSummary
    from senas.latency import LatencyProfile
    from senas.training import DataDescription

_MAX_CLASSES = 20  # in a table


def front_table(front: Sequence[Trial], *, summary: "RunSummary | None", width: int) -> Table:
    """Return a table of the Pareto front, with latency columns only if the latency is known.

    Args:
        front: Trials of the front, best accuracy first.
        summary: Summary of the run with the estimates of its trials, if there is one.
        width: Number of characters in a line. Below 120 the table leaves out where SE sits, and its lines; below 100
            also the bound, FLOPs, parameters and the probability of being on the front.
    """
    wide, narrow = width >= 120, width < 100
    columns: list[tuple[str, Callable[[Trial], str]]] = [("trial", lambda trial: str(trial.number))]
    if any(trial.trainings > 1 for trial in front):
        columns.append(("trainings", lambda trial: str(trial.trainings)))
    columns.append(("accuracy", lambda trial: f"{trial.accuracy:.2%}"))
    if summary is not None:
        estimates = summary.estimates
        columns.append(("expected accuracy", lambda trial: f"{estimates[trial.digest].accuracy:.2%}"))
        if not narrow:
            columns.append(("on front", lambda trial: f"{estimates[trial.digest].on_front:.0%}"))
    if any(trial.cost.latency_ms is not None for trial in front):
        columns.append(("predicted ms", lambda trial: _ms(trial.cost.latency_ms)))
        if not narrow:
            columns.append(("bound ms", lambda trial: _ms(trial.cost.upper_ms)))
    if any(trial.measured_ms is not None for trial in front):
        columns.append(("measured ms", lambda trial: _ms(trial.measured_ms)))
    if not narrow:
        columns.append(("FLOPs", lambda trial: show_cost(trial.cost.flops, "flops")))
        columns.append(("params", lambda trial: show_cost(trial.cost.params, "params")))
    table = Table(title="Pareto front", title_justify="left")
    if not wide:
        table.box, table.show_edge, table.padding = box.SIMPLE_HEAD, False, (0, 1, 0, 0)
    for name, _ in columns:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    if wide:
        table.add_column("where SE sits")
        columns.append(("where SE sits", lambda trial: escape(trial.architecture.describe_se())))
    table.add_column("digest", no_wrap=True)
    for trial in front:
        table.add_row(*(text(trial) for _, text in columns), trial.digest[:8])
    return table


def summary_caption(summary: "RunSummary | None", objective: Objective) -> list[str]:
    """Return lines on the expected hypervolume, beside that of random search, and on the templates to compare with."""
    if summary is None:
        return []
    reaches = "reaches" if summary.random_was_trained else "would be expected to reach"
    lines = [
        f"hypervolume by the expected accuracies: {summary.hypervolume:.4f}; random search of the same size {reaches} "
        f"{summary.random_hypervolume:.4f}"
    ]
    for template in summary.templates:
        accuracy = "not trained" if template.accuracy is None else f"accuracy {template.accuracy:.2%}"
        low, high = template.interval
        lines.append(
            f"{template.name} template: {show_cost(template.cost, objective)}, {accuracy}, expected "
            f"{template.expected:.2%} ({low:.2%} to {high:.2%})"
        )
    return lines


def front_caption(front: Sequence[Trial], budget: Budget) -> list[str]:
    """Return lines on how many networks of the front were within prediction and budget when measured again."""
    measured = [
        (trial.measured_ms, trial.cost.upper_ms, trial.drift)
        for trial in front
        if trial.measured_ms is not None and trial.cost.upper_ms is not None and trial.drift is not None
    ]
    if not measured:
        return []
    total = len(measured)

    def within(bounds: list[float]) -> str:
        """Return how many measured latencies are within their bounds, with and without the drift."""
        pairs = list(zip(measured, bounds, strict=True))
        with_drift = sum(found <= bound for (found, _, _), bound in pairs)
        without_drift = sum(found <= bound * drift for (found, _, drift), bound in pairs)
        return f"{with_drift} of {total}, without the drift {without_drift} of {total}"

    drift = median(drift for _, _, drift in measured)
    lines = [
        f"measured again: by the profile's anchors, the machine takes {drift:.3f} times as long as at the start of the "
        "search",
        f"within the bound of their prediction: {within([bound for _, bound, _ in measured])}",
    ]
    if budget.latency_ms is not None:
        lines.append(f"within the budget of {budget.latency_ms:.3f} ms: {within([budget.latency_ms] * total)}")
    return lines


def spaces_table(spaces: Sequence[tuple[str, SearchSpace]]) -> Table:
    """Return a table of spaces: backbone, input, number of architectures."""
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


def data_table(data: "DataDescription") -> Table:
    """Return a table of a data set: images of each class in each split, all classes if they are few."""
    table = Table(title=data.name, title_justify="left")
    table.add_column("class")
    for split in data.counts:
        table.add_column(split, justify="right")
    shown = len(data.classes) if len(data.classes) <= _MAX_CLASSES else 0
    for number, name in enumerate(data.classes[:shown]):
        table.add_row(escape(brief(name)), *(_count(counts[number]) for counts in data.counts.values()))
    if not shown:
        for name, choose in (("smallest", min), ("largest", max)):
            table.add_row(f"{name} of {len(data.classes)}", *(_count(choose(each)) for each in data.counts.values()))
    table.add_section()
    table.add_row("total", *(_count(sum(counts)) for counts in data.counts.values()))
    return table


def data_lines(data: "DataDescription") -> list[str]:
    """Return sizes, statistics and warnings of a data set, a line each."""
    (width, height), (most_width, most_height) = data.smallest, data.largest
    same = data.smallest == data.largest
    sizes = f"{width} x {height}" if same else f"{width} x {height} to {most_width} x {most_height}"
    mean, deviation = (", ".join(f"{each:.1f}" for each in values) for values in (data.mean, data.deviation))
    return [
        f"width x height: {sizes}",
        f"mean {mean}, standard deviation {deviation} per channel (pixels 0 to 255, {data.sampled:,} training images)",
        *(f"warning: {warning}" for warning in data.warnings),
    ]


def complexity_table(arch: Architecture) -> Table:
    """Return a table of one network, cell by cell: shapes, FLOPs, parameters, and the share of SE in each."""
    total, total_without = complexity(arch), complexity(arch.without_se())
    table = Table(title=f"architecture {arch.digest}", title_justify="left")
    for name in ("layer", "input", "output", "SE"):
        table.add_column(name)
    for name in ("FLOPs", "of which SE", "params", "of which SE"):
        table.add_column(name, justify="right")
    for part, bare in zip(arch.parts(), arch.without_se().parts(), strict=True):
        layer = part.layer
        name = f"stage {layer.stage}: {layer.kind}" if isinstance(layer, Cell) else f"{part.role}: {layer.kind}"
        se = str(layer.se or "-") if isinstance(layer, Cell) else ""
        table.add_row(
            name,
            str(part.in_shape),
            str(part.out_shape),
            se,
            *_with_share(part_complexity(part), part_complexity(bare)),
        )
    table.add_section()
    table.add_row("total", "", "", "", *_with_share(total, total_without))
    return table


def profile_lines(profile: "LatencyProfile") -> list[str]:
    """Return lines on what a profile covers and how well it predicts."""
    mode, check, protocol = profile.mode, profile.validation, profile.protocol
    measured = sum(entry.measured is not None for entry in profile.entries.values())
    imputed = len(profile.entries) - measured
    lines = [
        f"{measured} parts of {profile.space.name} measured{f', {imputed} imputed' if imputed else ''}, on "
        f"{profile.device.name}: {mode.execution}, {mode.dtype}, batch {mode.batch}, {mode.input.shape}",
        f"in {profile.provenance.seconds:.0f} s: the 95 % interval is within 1 % for {protocol.precise_parts:.0%} of "
        f"the parts and within 0.5 % for {protocol.precise_networks:.0%} of the networks",
        f"on {check.networks} networks not used in any fit: mean error {check.mean_error:.1%}, worst "
        f"{check.worst_error:.1%}, rank correlation {check.spearman:.3f}; measured twice they differ by "
        f"{check.repeat_error:.1%}",
        f"95 % take at most {profile.bound():.3f} times the prediction",
    ]
    if profile.device.kind == "cuda" and (protocol.conditions is None or protocol.conditions.throttled is None):
        lines.append("this GPU does not report throttling: some samples may have been taken while it was throttled")
    if profile.provenance.seconds > 1.5 * protocol.seconds:
        lines.append(f"the minimal number of rounds took longer than the limit of {protocol.seconds:g} s")
    if check.mean_error > check.limit:
        lines.append(f"searches will refuse it: its mean error exceeds {check.limit:.0%}, the machine was too busy")
    return lines


def se_cost_table(costs: Sequence[SECost]) -> Table:
    """Return a table of what SE adds to its cell: a row per stage, batch size and SE variant, a column per reduction.

    `~` marks latencies that were imputed in some cells.
    """
    reductions = sorted({cost.se.reduction for cost in costs})
    table = Table(title="what an SE block adds to its cell", title_justify="left")
    for name in ("stage", "batch"):
        table.add_column(name, justify="right")
    table.add_column("SE")
    for reduction in reductions:
        table.add_column(f"latency\nr = {reduction}", justify="right", no_wrap=True)
    table.add_column("FLOPs\nsmallest r", justify="right")
    rows: dict[tuple[int, int, str], dict[int, SECost]] = {}
    for cost in costs:
        rows.setdefault((cost.stage, cost.batch, cost.variant), {})[cost.se.reduction] = cost
    for (stage, batch, variant), by_reduction in sorted(rows.items()):
        cells = [by_reduction.get(reduction) for reduction in reductions]
        latencies = [
            "-" if c is None else f"{'' if c.measured else '~'}{c.latency_share:+.1%} {c.latency_ms * 1e3:7.1f} us"
            for c in cells
        ]
        first = next(cost for cost in cells if cost is not None)
        table.add_row(str(stage), str(batch), variant, *latencies, f"{first.flops_share:+.2%}")
    return table


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
