"""Picture of what SE costs on a device: added latency beside added FLOPs, stage by stage."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from senas.costs import SECost
from senas.io import replacing

_COLORS = ("#c2410c", "#0f766e", "#1d4ed8", "#a21caf", "#a16207", "#475569")
_FLOPS_COLOR = "#94a3b8"
_SPREAD = 0.7  # share of the width of a stage that its points may take up
_MIN_SHARE = 1e-4  # smallest share of a cell that the logarithmic axis shows; smaller ones are drawn here


def draw_se_costs(costs: Sequence[SECost], title: str, paths: Sequence[Path]) -> None:
    """Draw one panel per batch size into files, in the formats of their extensions.

    Args:
        costs: One or more costs of SE in one space.
        title: Title, one line.
        paths: Paths of the files.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    batches = sorted({cost.batch for cost in costs})
    variants = list(dict.fromkeys(cost.variant for cost in costs))
    stages = sorted({cost.stage for cost in costs})
    max_points = max(Counter((cost.batch, cost.stage) for cost in costs).values())
    reductions = ", ".join(str(reduction) for reduction in sorted({cost.se.reduction for cost in costs}))
    with mpl.rc_context({"font.size": 10, "svg.fonttype": "none", "svg.hashsalt": "senas"}):
        canvas = Figure(figsize=(3.4 + 3.8 * len(batches), 4.6), layout="constrained")
        FigureCanvasAgg(canvas)
        panels = canvas.subplots(1, len(batches), sharey=True, squeeze=False)[0]
        for axes, batch in zip(panels, batches, strict=True):
            for position, stage in enumerate(stages):
                stage_costs = sorted(
                    (cost for cost in costs if (cost.batch, cost.stage) == (batch, stage)),
                    key=lambda cost: (variants.index(cost.variant), cost.se.reduction),
                )
                for number, cost in enumerate(stage_costs):
                    x = position + (number - (len(stage_costs) - 1) / 2) * _SPREAD / max_points
                    low, high = (100 * max(share, _MIN_SHARE) for share in (cost.flops_share, cost.latency_share))
                    color = _COLORS[variants.index(cost.variant) % len(_COLORS)]
                    axes.plot([x, x], [low, high], color="#e2e8f0", linewidth=1, zorder=1)
                    axes.plot(x, low, "_", color=_FLOPS_COLOR, markersize=7, markeredgewidth=2, zorder=2)
                    face = color if cost.measured else "white"  # hollow if imputed
                    axes.plot(x, high, "o", color=color, markerfacecolor=face, markersize=5.5, zorder=3)
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
            axes.set_xticks(range(len(stages)), [f"stage {stage}" for stage in stages])
            axes.set_title(f"batch {batch}", fontsize=10)
            axes.grid(axis="y", color="#e2e8f0", linewidth=0.6)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("added to the cell by its SE block")
        for number, variant in enumerate(variants):
            panels[0].plot([], [], "o", color=_COLORS[number % len(_COLORS)], label=f"latency, {variant}")
        panels[0].plot([], [], "_", color=_FLOPS_COLOR, markeredgewidth=2, label="FLOPs")
        canvas.suptitle(title, fontsize=11, parse_math=False)  # the name of a space or a device may contain a $
        canvas.legend(frameon=False, loc="outside lower center", ncols=4, title=f"from left to right: r = {reductions}")
        for path in paths:
            with replacing(path) as file:
                canvas.savefig(file, format=path.suffix[1:], dpi=150)
