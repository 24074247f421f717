"""Tables for the terminal."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from senas.analysis import MIN_RESULTS
from senas.costs import Budget, Objective, show_cost
from senas.io import brief
from senas.report.columns import WIDTH, TableColumn, fitted_table
from senas.runs import Trial
from senas.spaces import SearchSpace

if TYPE_CHECKING:  # their rooms import libraries that a list of spaces need not wait for
    from senas.analysis import RunSummary
    from senas.training import DataDescription

SE_COLUMN = "where SE sits"
_MAX_CLASSES = 20  # in a table


def front_table(front: Sequence[Trial], *, summary: "RunSummary | None", width: int) -> Table:
    """Return a table of the Pareto front, with latency columns only if the latency is known.

    Args:
        front: Trials of the front, best accuracy first.
        summary: Summary of the run with the estimates of its trials, if there is one.
        width: Number of characters in a line. A narrow table leaves out where SE sits first, then parameters, FLOPs,
            the bound and the probability of being on the front.
    """
    estimates = {} if summary is None else summary.estimates

    def column(name: str, text: Callable[[Trial], str], *, shown: bool = True, rank: int = 0) -> list[TableColumn]:
        cells = [text(trial) for trial in front] if shown else []
        return [TableColumn(name=name, cells=cells, right=True, rank=rank)] if shown else []

    timed = any(trial.cost.latency_ms is not None for trial in front)
    columns = [
        *column("trial", lambda trial: str(trial.number)),
        *column("trainings", lambda trial: str(trial.trainings), shown=any(trial.trainings > 1 for trial in front)),
        *column("accuracy", lambda trial: f"{trial.accuracy:.2%}"),
        *column("expected accuracy", lambda trial: f"{estimates[trial.digest].accuracy:.2%}", shown=bool(estimates)),
        *column("on front", lambda trial: f"{estimates[trial.digest].on_front:.0%}", shown=bool(estimates), rank=1),
        *column("predicted ms", lambda trial: _ms(trial.cost.latency_ms), shown=timed),
        *column("bound ms", lambda trial: _ms(trial.cost.upper_ms), shown=timed, rank=2),
        *column(
            "measured ms",
            lambda trial: _ms(trial.measured_ms),
            shown=any(trial.measured_ms is not None for trial in front),
        ),
        *column("FLOPs", lambda trial: show_cost(trial.cost.flops, "flops"), rank=3),
        *column("params", lambda trial: show_cost(trial.cost.params, "params"), rank=4),
        TableColumn(name=SE_COLUMN, cells=[trial.architecture.describe_se() for trial in front], rank=5, wraps=30),
        TableColumn(name="digest", cells=[trial.digest[:8] for trial in front]),
    ]
    return fitted_table(columns, width=width, title="Pareto front")


def no_summary_reason(trials: Sequence[Trial]) -> str:
    """Return why a front is shown without expected accuracies."""
    finished = len({(trial.digest, trial.seed) for trial in trials if trial.status == "finished"})
    return (
        f"expected accuracy, on front and the comparison with random search need {MIN_RESULTS} finished trainings, "
        f"found {finished}"
    )


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


def spaces_table(spaces: Sequence[tuple[str, SearchSpace]], *, width: int = WIDTH) -> Table:
    """Return a table of spaces by name: backbone, input, SE options, number of architectures."""

    def options(space: SearchSpace) -> str:
        return ", ".join(f"{stage.number}: {len(stage.se)}" for stage in space.stages)

    columns = [
        TableColumn(name="space", cells=[name for name, _ in spaces]),
        TableColumn(name="backbone", cells=[space.backbone for _, space in spaces], rank=1),
        TableColumn(name="input", cells=[str(space.input.shape) for _, space in spaces], rank=2),
        TableColumn(name="SE options by stage", cells=[options(space) for _, space in spaces], rank=3),
        TableColumn(name="choices", cells=[str(len(space.choices)) for _, space in spaces], right=True),
        TableColumn(name="architectures", cells=[_count(space.size) for _, space in spaces], right=True),
    ]
    return fitted_table(columns, width=width)


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
    """Return sizes, statistics, notes and warnings of a data set, a line each."""
    (width, height), (most_width, most_height) = data.smallest, data.largest
    same = data.smallest == data.largest
    sizes = f"{width} x {height}" if same else f"{width} x {height} to {most_width} x {most_height}"
    mean, deviation = (", ".join(f"{each:.1f}" for each in values) for values in (data.mean, data.deviation))
    return [
        f"width x height: {sizes}",
        f"mean {mean}, standard deviation {deviation} per channel (pixels 0 to 255, {data.sampled:,} training images)",
        *data.notes,
        *(f"warning: {warning}" for warning in data.warnings),
    ]


def _count(number: int) -> str:
    return f"{number:,}" if number < 1e15 else f"{number:.2e}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
