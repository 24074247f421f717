"""The picture of a run, first as data, then drawn: PNG and SVG by matplotlib, an interactive page by plotly."""

import html
from dataclasses import dataclass
from pathlib import Path

from senas.costs.budget import Objective, show_cost
from senas.searching.pareto import pareto_front
from senas.searching.run import Run
from senas.searching.trial import Trial

_BUDGET_COLOR = "#0f766e"
_ROLES = (  # role, colour, diameter in points, name in the legend; later ones are drawn on top
    ("stopped", "#cbd5e1", 5, "stopped early"),
    ("dominated", "#64748b", 6, "trained"),
    ("front", "#c2410c", 8, "Pareto front"),
)
_AXES: dict[Objective, tuple[float, str]] = {
    "latency": (1.0, "predicted latency (ms)"),
    "flops": (1e6, "FLOPs (millions)"),
    "params": (1e3, "parameters (thousands)"),
}


@dataclass(frozen=True, kw_only=True)
class FigurePoint:
    """One trial in the picture.

    Attributes:
        cost: in the unit of the axis.
        accuracy: in percent.
        role: how it is drawn.
        hover: lines of text, plain.
    """

    cost: float
    accuracy: float
    role: str
    hover: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FrontFigure:
    """Everything the picture of a run shows.

    Attributes:
        title: one line.
        axis: name of the cost axis, with its unit.
        points: every trial with an accuracy.
        budget: the bound in the unit of the axis, with its label, or `None`.
    """

    title: str
    axis: str
    points: tuple[FigurePoint, ...]
    budget: tuple[float, str] | None

    def of(self, role: str) -> list[FigurePoint]:
        """The points of one role, cheapest first."""
        return sorted((point for point in self.points if point.role == role), key=lambda point: point.cost)


def front_figure(run: Run) -> FrontFigure:
    """What the picture of a run shows, as it stands now."""
    trials, objective = run.trials(), run.objective
    scale, axis = _AXES[objective]
    front = {trial.number for trial in pareto_front(trials, objective)}
    bound = run.record.options.budget.of(objective)
    label = "budget (on the 95 % bound)" if objective == "latency" else "budget"
    finished = sum(trial.status == "finished" for trial in trials)
    return FrontFigure(
        title=f"{run.record.space.name}: {finished} architectures trained, {len(front)} on the front",
        axis=axis,
        points=tuple(_point(t, scale, t.number in front, objective) for t in trials if t.accuracy is not None),
        budget=None if bound is None else (bound / scale, f"{label} {show_cost(bound, objective)}"),
    )


def draw_static(figure: FrontFigure, paths: list[Path]) -> None:
    """Draw with matplotlib into files whose endings say the format."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 10, "svg.fonttype": "none", "svg.hashsalt": "senas"}):
        canvas = Figure(figsize=(7.2, 4.6), layout="constrained")
        FigureCanvasAgg(canvas)
        axes = canvas.add_subplot()
        for role, color, size, name in _ROLES:
            points = figure.of(role)
            if points:
                costs, accuracies = [p.cost for p in points], [p.accuracy for p in points]
                axes.scatter(costs, accuracies, s=size**2, c=color, label=name, zorder=3 if role == "front" else 2)
                if role == "front":
                    axes.step(costs, accuracies, where="post", color=color, linewidth=1.4, zorder=2)
        if figure.budget is not None:
            axes.axvline(figure.budget[0], color=_BUDGET_COLOR, linestyle="--", linewidth=1.2, label=figure.budget[1])
        axes.set(title=figure.title, xlabel=figure.axis, ylabel="validation accuracy (%)")
        axes.grid(color="#e2e8f0", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        canvas.legend(frameon=False, loc="outside lower center", ncols=4)
        for path in paths:
            canvas.savefig(path, dpi=150)


def draw_page(figure: FrontFigure, path: Path) -> None:
    """Draw with plotly into one HTML file that needs no network; hovering shows where SE sits."""
    import plotly.graph_objects as go

    page = go.Figure()
    for role, color, size, name in _ROLES:
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
                    text=["<br>".join(html.escape(line) for line in point.hover) for point in points],
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
        xaxis_title=figure.axis,
        yaxis_title="validation accuracy (%)",
        template="plotly_white",
        height=640,
        hoverlabel={"align": "left", "font": {"family": "monospace"}},
    )
    text = page.to_html(include_plotlyjs=True, full_html=True)
    path.write_text(text, encoding="utf-8")


def plot_run(run: Run) -> list[Path]:
    """Draw `pareto.png`, `pareto.svg` and `pareto.html` into a run's folder; returns their paths."""
    figure = front_figure(run)
    png, svg, page = (run.folder / f"pareto.{ending}" for ending in ("png", "svg", "html"))
    draw_static(figure, [png, svg])
    draw_page(figure, page)
    return [png, svg, page]


def _point(trial: Trial, scale: float, on_front: bool, objective: Objective) -> FigurePoint:
    assert trial.accuracy is not None
    cost = trial.cost
    latency = [] if cost.latency_ms is None else [f"latency  {cost.latency_ms:.3f} ms, bound {cost.upper_ms:.3f} ms"]
    measured = [] if trial.measured_ms is None else [f"measured {trial.measured_ms:.3f} ms"]
    return FigurePoint(
        cost=cost.of(objective) / scale,
        accuracy=100 * trial.accuracy,
        role="front" if on_front else "stopped" if trial.status == "stopped" else "dominated",
        hover=(
            f"trial {trial.number}, {trial.digest[:8]}",
            f"accuracy {trial.accuracy:.2%}",
            *latency,
            *measured,
            f"FLOPs    {show_cost(cost.flops, 'flops')}, parameters {show_cost(cost.params, 'params')}",
            *(f"stage {stage}  SE {_stage_se(trial, stage)}" for stage in trial.architecture.stages),
        ),
    )


def _stage_se(trial: Trial, stage: int) -> str:
    return " ".join(str(cell.se) if cell.se else "-" for cell in trial.architecture.stage(stage))
