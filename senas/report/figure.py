"""Picture of a run, as data and drawn: PNG and SVG by matplotlib, an interactive HTML page by plotly."""

import html
from dataclasses import dataclass
from pathlib import Path

from senas.analysis import RunSummary, TemplateEstimate
from senas.architecture import Architecture
from senas.costs import Objective, show_cost
from senas.errors import RunError
from senas.io import os_reason, replacing, write_whole
from senas.runs import Run, Trial, averaged, pareto_front

_BUDGET_COLOR = "#0f766e"
_TRIALS = (  # role, colour, diameter in points, legend entry; later ones are drawn on top
    ("stopped", "#cbd5e1", 5, "stopped early"),
    ("baseline", "#7dd3fc", 6, "random search"),
    ("dominated", "#64748b", 6, "trained"),
    ("front", "#c2410c", 8, "Pareto front"),
)
_TEMPLATES = (
    ("plain", "#7c3aed", 8, "plain template"),
    ("all-SE", "#15803d", 8, "all-SE template"),
)  # as diamonds
_AXES: dict[Objective, tuple[float, str]] = {
    "latency": (1.0, "predicted latency (ms)"),
    "flops": (1e6, "FLOPs (millions)"),
    "params": (1e3, "parameters (thousands)"),
}


@dataclass(frozen=True, kw_only=True)
class FigurePoint:
    """One architecture in the picture.

    Attributes:
        cost: Cost in the unit of the axis.
        accuracy: Accuracy in percent.
        role: Role of the architecture, which decides how it is drawn.
        hover: Lines of plain text that are shown on hovering.
        spread: Distances from an expected accuracy to the lower and upper end of its 95 % interval, in percentage
            points; `None` if the accuracy was measured.
    """

    cost: float
    accuracy: float
    role: str
    hover: tuple[str, ...]
    spread: tuple[float, float] | None = None

    @property
    def expected(self) -> str:
        """Suffix of the legend entry of an architecture that was not trained; empty for others."""
        return "" if self.spread is None else ", expected"


@dataclass(frozen=True, kw_only=True)
class FrontFigure:
    """Data of the picture of a run.

    Attributes:
        title: Title, one line.
        axis: Name of the cost axis, with its unit.
        points: All trials with an accuracy, and the templates.
        budget: Bound in the unit of the axis, with its label; `None` without a budget.
    """

    title: str
    axis: str
    points: tuple[FigurePoint, ...]
    budget: tuple[float, str] | None

    def of(self, role: str) -> list[FigurePoint]:
        """Return the points of one role, cheapest first."""
        return sorted((point for point in self.points if point.role == role), key=lambda point: point.cost)


def front_figure(run: Run, summary: RunSummary | None) -> FrontFigure:
    """Return the picture of a run in its current state."""
    trials, objective, options = run.trials(), run.objective, run.record.options
    scale, axis = _AXES[objective]
    front = {trial.number for trial in pareto_front(trials, objective)}
    bound = options.budget.of(objective)
    label = f"budget (on the {100 * options.confidence:g} % bound)" if objective == "latency" else "budget"
    stopped = [trial for trial in trials if trial.status == "stopped" and trial.accuracy is not None]
    finished = averaged(trials)
    templates = summary.templates if summary else ()
    drawn = {template.architecture.digest for template in templates} - {
        trial.digest for trial in finished if trial.number in front
    }
    dots = [trial for trial in finished if trial.purpose != "baseline" or trial.digest not in drawn]
    return FrontFigure(
        title=f"{run.record.space.name}: {len(finished)} architectures trained, {len(front)} on the front",
        axis=axis,
        points=(
            *(_point(trial, scale, trial.number in front, objective) for trial in (*stopped, *dots)),
            *(_template_point(template, scale, objective) for template in templates),
        ),
        budget=None if bound is None else (bound / scale, f"{label} {show_cost(bound, objective)}"),
    )


def draw_static(figure: FrontFigure, paths: list[Path]) -> None:
    """Draw with matplotlib into files, in the formats of their extensions."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(
        {
            "font.size": 10,
            "svg.fonttype": "none",
            "svg.hashsalt": "senas",
            "text.parse_math": False,  # the name of a space may contain a $
        }
    ):
        canvas = Figure(figsize=(7.2, 4.6), layout="constrained")
        FigureCanvasAgg(canvas)
        axes = canvas.add_subplot()
        for role, color, size, name in _TRIALS:
            points = figure.of(role)
            if points:
                costs, accuracies = [p.cost for p in points], [p.accuracy for p in points]
                axes.scatter(costs, accuracies, s=size**2, c=color, label=name, zorder=3 if role == "front" else 2)
                if role == "front":
                    axes.step(costs, accuracies, where="post", color=color, linewidth=1.4, zorder=2)
        for role, color, size, name in _TEMPLATES:
            for point in figure.of(role):
                spread = None if point.spread is None else [[error] for error in point.spread]
                axes.errorbar(
                    point.cost, point.accuracy, yerr=spread, label=name + point.expected, color=color, zorder=4,
                    fmt="D", markersize=size, markerfacecolor="none", markeredgewidth=1.6, linewidth=1, capsize=3,
                )  # fmt: skip
        if figure.budget is not None:
            axes.axvline(figure.budget[0], color=_BUDGET_COLOR, linestyle="--", linewidth=1.2, label=figure.budget[1])
        axes.set(title=figure.title, xlabel=figure.axis, ylabel="validation accuracy (%)")
        axes.grid(color="#e2e8f0", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:  # empty if no trial has finished yet
            canvas.legend(frameon=False, loc="outside lower center", ncols=3)
        for path in paths:
            with replacing(path) as file:
                canvas.savefig(file, format=path.suffix[1:], dpi=150)


def draw_page(figure: FrontFigure, path: Path) -> None:
    """Draw with plotly into one HTML file that works offline; hovering shows the SE blocks of an architecture."""
    import plotly.graph_objects as go

    page = go.Figure()
    for role, color, size, name in _TRIALS:
        points = figure.of(role)
        if points:
            page.add_trace(
                go.Scatter(
                    x=[point.cost for point in points],
                    y=[point.accuracy for point in points],
                    mode="lines+markers" if role == "front" else "markers",
                    line={"shape": "hv", "color": color, "width": 2},
                    marker={"color": color, "size": size + 3},
                    name=name,
                    text=[_lines(point) for point in points],
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    for role, color, size, name in _TEMPLATES:
        for point in figure.of(role):
            page.add_trace(
                go.Scatter(
                    x=[point.cost],
                    y=[point.accuracy],
                    error_y=None if point.spread is None else _error_bar(*point.spread),
                    mode="markers",
                    marker={"color": color, "size": size + 3, "symbol": "diamond-open", "line": {"width": 2}},
                    name=name + point.expected,
                    text=[_lines(point)],
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    if figure.budget is not None:
        page.add_vline(x=figure.budget[0], line={"color": _BUDGET_COLOR, "dash": "dash"})
        page.add_annotation(
            x=figure.budget[0], y=1, yref="paper", text=html.escape(figure.budget[1]), showarrow=False, xanchor="right"
        )
    page.update_layout(
        title=html.escape(figure.title),
        xaxis_title=html.escape(figure.axis),
        yaxis_title="validation accuracy (%)",
        template="plotly_white",
        height=640,
        hoverlabel={"align": "left", "font": {"family": "monospace"}},
    )
    write_whole(path, page.to_html(include_plotlyjs=True, full_html=True))


def plot_run(run: Run, summary: RunSummary | None, out: Path | None = None) -> list[Path]:
    """Draw `pareto.png`, `pareto.svg` and `pareto.html`, and return their paths.

    Args:
        run: Run to draw.
        summary: Summary of the run, if there is one.
        out: Folder of the pictures; by default the run's.

    Raises:
        RunError: A folder that cannot be written to.
    """
    figure = front_figure(run, summary)
    names = [f"pareto.{ending}" for ending in ("png", "svg", "html")]
    png, svg, page = (run.inside(name) if out is None else out / name for name in names)
    try:
        draw_static(figure, [png, svg])
        draw_page(figure, page)
    except OSError as error:
        where = error.filename or png.parent
        raise RunError(f"{where}: {os_reason(error)}; choose another folder with --out") from None
    return [png, svg, page]


def _point(trial: Trial, scale: float, on_front: bool, objective: Objective) -> FigurePoint:
    assert trial.accuracy is not None
    cost = trial.cost
    latency = [] if cost.latency_ms is None else [f"latency  {cost.latency_ms:.3f} ms, bound {cost.upper_ms:.3f} ms"]
    measured = [] if trial.measured_ms is None else [f"measured {trial.measured_ms:.3f} ms"]
    repeated = f", the mean of {trial.trainings} trainings" if trial.trainings > 1 else ""
    role = "baseline" if trial.purpose == "baseline" else "dominated"
    role = "front" if on_front else "stopped" if trial.status == "stopped" else role
    return FigurePoint(
        cost=cost.of(objective) / scale,
        accuracy=100 * trial.accuracy,
        role=role,
        hover=(
            f"trial {trial.number}, {trial.digest[:8]}",
            f"accuracy {trial.accuracy:.2%}{repeated}",
            *latency,
            *measured,
            f"FLOPs    {show_cost(cost.flops, 'flops')}, parameters {show_cost(cost.params, 'params')}",
            *_se_lines(trial.architecture),
        ),
    )


def _template_point(template: TemplateEstimate, scale: float, objective: Objective) -> FigurePoint:
    trained = template.accuracy is not None
    accuracy = template.accuracy if template.accuracy is not None else template.expected
    low, high = template.interval
    return FigurePoint(
        cost=template.cost / scale,
        accuracy=100 * accuracy,
        role=template.name,
        hover=(
            f"{template.name} template, {template.architecture.digest[:8]}",
            f"accuracy {accuracy:.2%}" if trained else f"not trained, expected accuracy {low:.2%} to {high:.2%}",
            f"{_AXES[objective][1].split(' (')[0]} {show_cost(template.cost, objective)}",
            *_se_lines(template.architecture),
        ),
        spread=None if trained else (100 * (accuracy - low), 100 * (high - accuracy)),
    )


def _error_bar(below: float, above: float) -> dict[str, object]:
    """Return plotly's description of an asymmetric error bar."""
    return {"type": "data", "symmetric": False, "array": [above], "arrayminus": [below], "thickness": 1}


def _se_lines(arch: Architecture) -> list[str]:
    """Return the SE choices of an architecture, a line per stage."""
    blocks = {stage: " ".join(str(cell.se or "-") for cell in arch.stage(stage)) for stage in arch.stages}
    return [f"stage {stage}  SE {block}" for stage, block in blocks.items()]


def _lines(point: FigurePoint) -> str:
    """Return the hover text of a point as HTML."""
    return "<br>".join(html.escape(line) for line in point.hover)
