"""Accuracy of what a search claims about its front, checked on tables of trained networks.

    python scripts/benchmark_claims.py TABLE.npz ... --strategy ehvi --strategy random --evaluations 60 --seeds 20

A search observes one training of each network; the mean of several trainings counts as the true accuracy (see
`benchmark_search.py` for the format of a table). For each strategy, the script prints the mean over the seeds of:

- claimed / true hypervolume, by the observed accuracies and by the expected ones, which are what senas claims;
- the share of the observed front that is truly on the front of the evaluated networks, and its estimate by senas;
- the mean squared error (Brier 1950) of the probabilities of being on the front, and of the observed front itself.
"""

import argparse
from pathlib import Path

import moocore
import numpy as np
from benchmark_search import senas_search
from numpy.typing import NDArray
from search_table import Table, TableSpace, load_tables, observer

from senas.analysis import MIN_RESULTS, AccuracyPosterior
from senas.strategies import STRATEGIES

_BACKGROUND_ROWS = 2_000  # rows that represent the table in the posterior


def audit(table: Table, strategy: str, evaluations: int, seed: int) -> dict[str, float]:
    """Run one search and return the measures of its claims.

    Args:
        table: Table to search.
        strategy: Name of a strategy of senas.
        evaluations: Number of networks that are trained, once each.
        seed: Random seed of the search and of the training that is observed.
    """
    observe = observer(table, seed)
    search = senas_search(table, observe, evaluations, seed, strategy=strategy, batch=1)
    rows = np.array([row for _, row in zip(range(evaluations), search, strict=False)])
    observed, true, cost = np.array([observe(row) for row in rows]) / 100, table.accuracy[rows] / 100, table.cost[rows]
    problem = TableSpace(table).problem()
    count = min(_BACKGROUND_ROWS, len(table.cost))
    background = np.random.default_rng(seed).choice(len(table.cost), count, replace=False)
    indices = table.indices
    posterior = AccuracyPosterior(problem, indices[rows], observed, indices[np.union1d(rows, background)])
    samples = posterior.sample(indices[rows], seed=seed)
    on_observed, on_true = _on_front(observed, cost), _on_front(true, cost)
    true_hypervolume = table.hypervolume(table.normalise(true, cost))
    return {
        "claim by observed accuracies": table.hypervolume(table.normalise(observed, cost)) / true_hypervolume,
        "claim by expected accuracies": table.hypervolume(table.normalise(samples.accuracy, cost)) / true_hypervolume,
        "observed front, true share": on_true[on_observed].mean(),
        "observed front, estimate": samples.on_front[on_observed].mean(),
        "error of the probabilities": float(np.mean((samples.on_front - on_true) ** 2)),
        "error of the observed front": float(np.mean(on_observed != on_true)),
    }


def _on_front(accuracy: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(moocore.is_nondominated(np.column_stack([-accuracy, cost]), keep_weakly=True))


def main() -> None:
    """Audit every strategy on every table and print the results."""
    parser = argparse.ArgumentParser(description="Check what a search claims about its front, on tables.")
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE.npz")
    parser.add_argument("--strategy", action="append", choices=STRATEGIES, help="Default: ehvi, random.")
    parser.add_argument("--evaluations", type=int, default=60, help="Evaluations of each search.")
    parser.add_argument("--seeds", type=int, default=20, help="Number of searches with different seeds.")
    arguments = parser.parse_args()
    if arguments.evaluations < MIN_RESULTS or arguments.seeds < 1:
        parser.error(f"--evaluations and --seeds: allowed: at least {MIN_RESULTS} and 1")
    for table in load_tables(parser, arguments.tables):
        for strategy in arguments.strategy or ("ehvi", "random"):
            audits = [audit(table, strategy, arguments.evaluations, seed) for seed in range(arguments.seeds)]
            print(f"{table.name}  {strategy}, {arguments.evaluations} evaluations, {arguments.seeds} seeds")
            for name in audits[0]:
                values = [measures[name] for measures in audits]
                print(f"  {name:28s} {np.mean(values):.3f} +- {np.std(values) / np.sqrt(len(values)):.3f}", flush=True)


if __name__ == "__main__":
    main()
