"""How few evaluations a strategy needs: searches on tables of networks that were trained once and for all.

    python scripts/benchmark_search.py TABLE.npz ... --strategy ehvi --strategy random --evaluations 300 --seeds 20

A table (npz) has `choices` (N, L), `observed` (N, S) accuracies in percent as one training would see them, `accuracy`
(N,) to judge by, `cost` (N,) and `cost_unit`. A search sees one of the observed values per evaluation; proposing a row
again is free. Its quality is the hypervolume of what it evaluated over that of the whole table, on the plane
((best - accuracy) / (best - median), (cost - least) / (most - least)) with the reference point (1, 1).

Peers run in the same way through their own libraries (`pip install senas[peers]`): optuna-nsga2, optuna-tpe, optuna-gp,
pymoo-nsga2, botorch-qlognehvi. They are slow; `--evaluations` of 150 is enough for those that fit a Gaussian process.
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

from senas.searching.engine import ProposalEngine
from senas.strategies.nni_space import NNISpace
from senas.strategies.table import STRATEGIES, make_strategy

sys.path.insert(0, str(Path(__file__).parent))
from search_peers import PEERS
from search_table import Look, Row, Table, TableSpace, load_tables, look_of

MARKS, GOALS = (20, 50, 100, 200, 300, 1000), (0.90, 0.95, 0.98)
QUARTILES = (0.5, 0.25, 0.75)


def ours(table: Table, look: Look, evaluations: int, seed: int, *, strategy: str, batch: int) -> Iterator[int]:
    """The rows that one of senas' strategies evaluates, through the engine that real searches use."""
    space: Any = TableSpace(table)
    engine: Any = ProposalEngine(lambda row: cast(Row, row).number >= 0, patience=5_000)
    made = make_strategy(strategy, space.problem(), seed=seed, trials=evaluations, concurrency=batch)
    engine.start(made, NNISpace(space))
    running: list[Row] = []
    try:
        while True:
            answer = engine.ask() if len(running) < batch else "later"
            if isinstance(answer, Row):
                running.append(answer)
                yield answer.number
            elif running:
                ended = running.pop(0)
                engine.tell(ended.digest, look(ended.number) / 100)
            else:
                return
    finally:
        engine.close()


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one strategy did on one table.

    Attributes:
        at: the fraction of the hypervolume at each mark: median and quartiles over seeds.
        to: evaluations to each goal, as many; `None` where not reached.
        seconds: of proposing, per evaluation.
        curves: (seeds, evaluations).
    """

    table: str
    strategy: str
    at: dict[int, list[float]]
    to: dict[float, list[float | None]]
    seconds: float
    curves: list[list[float]]


def measure(table: Table, name: str, search: Callable[..., Iterator[int]], evaluations: int, seeds: int) -> Result:
    """Run one strategy with several seeds."""
    curves, spent = [], 0.0
    for seed in range(seeds):
        look = look_of(table, seed)
        rows: dict[int, None] = {}
        started = time.perf_counter()
        for row in search(table, look, evaluations, seed):
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
    reached = np.flatnonzero(curve >= goal)
    return float(reached[0]) + 1 if len(reached) else np.inf


def _counts(values: list[float]) -> list[float | None]:
    """Median and quartiles; never interpolated but the next higher, so that infinity, `None`, stays itself."""
    found = np.quantile(values, QUARTILES, method="higher")
    return [float(value) if np.isfinite(value) else None for value in found]


def show(result: Result) -> str:
    """One result in a line."""
    at = "  ".join(f"@{mark} {middle:.3f} ({low:.3f}-{high:.3f})" for mark, (middle, low, high) in result.at.items())
    to = "  ".join(
        f"{goal:.2f} in {_count(middle)} ({_count(low)}-{_count(high)})"
        for goal, (middle, low, high) in result.to.items()
    )
    return f"{result.table}  {result.strategy:22s} {at}  |  {to}  |  {1e3 * result.seconds:.1f} ms each"


def _count(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f}"


def draw(results: list[Result], path: Path) -> None:
    """Median curves with their quartiles, a panel per table."""
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
    """Run every strategy on every table."""
    parser = argparse.ArgumentParser(description="How few evaluations a strategy needs, on tables.")
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE.npz")
    parser.add_argument("--strategy", action="append", choices=[*STRATEGIES, *PEERS], help="all of senas' by default")
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=1, help="trials at a time, of senas' strategies")
    parser.add_argument("--json", type=Path, help="write every curve")
    parser.add_argument("--plot", type=Path, help="draw the curves")
    arguments = parser.parse_args()
    if min(arguments.evaluations, arguments.seeds, arguments.batch) < 1:
        parser.error("--evaluations, --seeds and --batch: allowed: at least 1")
    results = []
    for table in load_tables(parser, arguments.tables):
        for name in arguments.strategy or STRATEGIES:
            search = PEERS.get(name) or partial(ours, strategy=name, batch=arguments.batch)
            results.append(measure(table, name, search, arguments.evaluations, arguments.seeds))
            print(show(results[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results]) + "\n")
    if arguments.plot:
        draw(results, arguments.plot)


if __name__ == "__main__":
    main()
