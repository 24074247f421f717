"""Number of evaluations that a strategy needs, measured by searches on tables of trained networks.

    python scripts/benchmark_search.py TABLE.npz ... --strategy ehvi --strategy random --evaluations 300 --seeds 20

A table (npz) has `choices` (N, L), `observed` accuracies of single trainings in percent (N, S), the true `accuracy`
(N,) by which a search is judged, `cost` (N,) and `cost_unit`. A search observes one of the observed values per
evaluation; proposing a row again is free. Its quality is the hypervolume of the rows that it evaluated over that of the
whole table, on the plane ((best - accuracy) / (best - median), (cost - min) / (max - min)), reference point (1, 1).

Optimisers of other libraries run in the same way (`pip install ".[peers]"` in a checkout): optuna-nsga2, optuna-tpe,
optuna-gp, pymoo-nsga2, botorch-qlognehvi. They are slow; use `--evaluations 150` for those that fit a Gaussian process.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from senas.execution import ProposalEngine
from senas.strategies import STRATEGIES, NNISpace, make_strategy

sys.path.insert(0, str(Path(__file__).parent))
from search_peers import PEERS
from search_table import Observe, Row, Table, TableSpace, load_tables, observer

MARKS, GOALS = (20, 50, 100, 200, 300, 1000), (0.90, 0.95, 0.98)
QUARTILES = (0.5, 0.25, 0.75)


def senas_search(
    table: Table, observe: Observe, evaluations: int, seed: int, *, strategy: str, batch: int
) -> Iterator[int]:
    """Yield the rows that a strategy of senas evaluates, proposed through the engine that real searches use."""
    space: Any = TableSpace(table)
    engine: Any = ProposalEngine(lambda row: cast(Row, row).number >= 0, patience=5_000)
    built = make_strategy(strategy, space.problem(), seed=seed, trials=evaluations, concurrency=batch)
    engine.start(built, NNISpace(space))
    running: list[Row] = []
    try:
        while True:
            proposal = engine.ask() if len(running) < batch else "later"
            if isinstance(proposal, Row):
                running.append(proposal)
                yield proposal.number
            elif running:
                ended = running.pop(0)
                engine.tell(ended.digest, observe(ended.number) / 100)
            else:
                return
    finally:
        engine.close()


@dataclass(frozen=True, kw_only=True)
class Result:
    """Result of one strategy on one table.

    Attributes:
        table: Name of the table.
        strategy: Name of the strategy.
        at: Fraction of the hypervolume at each number of evaluations in `MARKS`: median and quartiles over seeds.
        to: Number of evaluations to each fraction in `GOALS`: median and quartiles; `None` if not reached.
        seconds: Time spent on proposing, per evaluation.
        curves: Fraction of the hypervolume after every evaluation, (seeds, evaluations).
    """

    table: str
    strategy: str
    at: dict[int, list[float]]
    to: dict[float, list[float | None]]
    seconds: float
    curves: list[list[float]]


def measure(table: Table, name: str, search: Callable[..., Iterator[int]], evaluations: int, seeds: int) -> Result:
    """Run one strategy with several seeds and return its result."""
    curves, spent = [], 0.0
    for seed in range(seeds):
        observe = observer(table, seed)
        rows: dict[int, None] = {}
        started = time.perf_counter()
        for row in search(table, observe, evaluations, seed):
            rows[row] = None
            if len(rows) == evaluations:
                break
        spent += time.perf_counter() - started
        curves.append(table.curve(list(rows), evaluations))
    stacked = np.array(curves)
    return Result(
        table=table.name,
        strategy=name,
        at={mark: np.quantile(stacked[:, mark - 1], QUARTILES).tolist() for mark in MARKS if mark <= evaluations},
        to={goal: _counts([_first(curve, goal) for curve in stacked]) for goal in GOALS},
        seconds=spent / seeds / evaluations,
        curves=stacked.round(5).tolist(),
    )


def _first(curve: NDArray[np.float64], goal: float) -> float:
    """Return the number of evaluations at which a curve reaches a goal; infinity if it never does."""
    reached = np.flatnonzero(curve >= goal)
    return float(reached[0]) + 1 if len(reached) else np.inf


def _counts(values: list[float]) -> list[float | None]:
    """Return median and quartiles, rounded up to an existing value so that infinity (`None`) needs no interpolation."""
    quantiles = np.quantile(values, QUARTILES, method="higher")
    return [float(value) if np.isfinite(value) else None for value in quantiles]


def show(result: Result) -> str:
    """Return a result as one line."""
    at = "  ".join(f"@{mark} {middle:.3f} ({low:.3f}-{high:.3f})" for mark, (middle, low, high) in result.at.items())
    to = "  ".join(
        f"{goal:.2f} in {_count(middle)} ({_count(low)}-{_count(high)})"
        for goal, (middle, low, high) in result.to.items()
    )
    return f"{result.table}  {result.strategy:22s} {at}  |  {to}  |  {1e3 * result.seconds:.1f} ms each"


def _count(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f}"


def draw(results: list[Result], path: Path) -> None:
    """Draw median curves with their quartiles, a panel per table."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    tables = list(dict.fromkeys(result.table for result in results))
    figure, axes = plt.subplots(1, len(tables), figsize=(6 * len(tables), 4.5), squeeze=False, layout="constrained")
    for axis, table in zip(axes[0], tables, strict=True):
        for result in (result for result in results if result.table == table):
            low, middle, high = np.quantile(result.curves, [0.25, 0.5, 0.75], axis=0)
            evaluations = np.arange(1, len(middle) + 1)
            (line,) = axis.plot(evaluations, middle, label=result.strategy)
            axis.fill_between(evaluations, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        axis.axhline(0.95, color="0.6", linewidth=0.8, linestyle=":")
        axis.set(title=table, xlabel="evaluations", ylabel="fraction of the hypervolume", ylim=(0.5, 1.0))
        axis.legend(fontsize="small", loc="lower right")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run every strategy on every table and print the results."""
    parser = argparse.ArgumentParser(description="Measure how many evaluations a strategy needs, on tables.")
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE.npz")
    parser.add_argument("--strategy", action="append", choices=[*STRATEGIES, *PEERS], help="Default: all of senas.")
    parser.add_argument("--evaluations", type=int, default=300, help="Evaluations of each search.")
    parser.add_argument("--seeds", type=int, default=20, help="Number of searches with different seeds.")
    parser.add_argument("--batch", type=int, default=1, help="Trials at a time, for the strategies of senas.")
    parser.add_argument("--json", type=Path, help="File to write every curve to.")
    parser.add_argument("--plot", type=Path, help="Picture to draw the curves into.")
    arguments = parser.parse_args()
    if min(arguments.evaluations, arguments.seeds, arguments.batch) < 1:
        parser.error("--evaluations, --seeds and --batch: allowed: at least 1")
    results = []
    for table in load_tables(parser, arguments.tables):
        for name in arguments.strategy or STRATEGIES:
            search = PEERS.get(name) or partial(senas_search, strategy=name, batch=arguments.batch)
            results.append(measure(table, name, search, arguments.evaluations, arguments.seeds))
            print(show(results[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results]) + "\n")
    if arguments.plot:
        draw(results, arguments.plot)


if __name__ == "__main__":
    main()
