"""How honest the front of a search is: what it claims against what is true, on tables of trained networks.

    python scripts/benchmark_claims.py TABLE.npz ... --strategy ehvi --strategy random --evaluations 60 --seeds 20

A search sees one training of each network; the mean of several is the truth (the format of a table is in
`benchmark_search.py`). For each strategy it prints, over the seeds, the mean of claimed / true hypervolume by the
accuracies as they were seen and by the expected ones, which is what senas claims; the share of the front as it was seen
that is truly on the front of what was evaluated, and what is believed of that share; and the mean squared error (Brier
1950) of the probabilities of being on the front, beside that of taking the front as it was seen at its word.
"""

import argparse
from pathlib import Path

import moocore
import numpy as np
from benchmark_search import ours
from numpy.typing import NDArray
from search_table import Table, TableSpace, load_tables, look_of

from senas.strategies.belief import LEAST, Posterior
from senas.strategies.table import STRATEGIES

_BACKGROUND = 2_000  # rows that stand for the table


def audit(table: Table, strategy: str, evaluations: int, seed: int) -> dict[str, float]:
    """One search and its claims.

    Args:
        table: to search.
        strategy: one of senas'.
        evaluations: how many networks are trained, once each.
        seed: of the search and of which training is seen.
    """
    look = look_of(table, seed)
    search = ours(table, look, evaluations, seed, strategy=strategy, batch=1)
    rows = np.array([row for _, row in zip(range(evaluations), search, strict=False)])
    seen, true, cost = np.array([look(row) for row in rows]) / 100, table.accuracy[rows] / 100, table.cost[rows]
    problem = TableSpace(table).problem()
    background = np.random.default_rng(seed).choice(len(table.cost), min(_BACKGROUND, len(table.cost)), replace=False)
    indices = table.indices
    posterior = Posterior(problem, indices[rows], seen, indices[np.union1d(rows, background)])
    belief = posterior.believe(indices[rows], seed=seed)
    on_seen, on_true = _on_front(seen, cost), _on_front(true, cost)
    truth = table.hypervolume(table.place(true, cost))
    return {
        "claim as seen": table.hypervolume(table.place(seen, cost)) / truth,
        "claim by expected accuracies": table.hypervolume(table.place(belief.accuracy, cost)) / truth,
        "front as seen that is true": on_true[on_seen].mean(),
        "and is believed": belief.on_front[on_seen].mean(),
        "error of the belief": float(np.mean((belief.on_front - on_true) ** 2)),
        "error of what is seen": float(np.mean(on_seen != on_true)),
    }


def _on_front(accuracy: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(moocore.is_nondominated(np.column_stack([-accuracy, cost]), keep_weakly=True))


def main() -> None:
    """Audit every strategy on every table."""
    parser = argparse.ArgumentParser(description="How honest the front of a search is, on tables.")
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE.npz")
    parser.add_argument("--strategy", action="append", choices=STRATEGIES, help="ehvi and random by default")
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    if arguments.evaluations < LEAST or arguments.seeds < 1:
        parser.error(f"--evaluations and --seeds: allowed: at least {LEAST} and 1")
    for table in load_tables(parser, arguments.tables):
        for strategy in arguments.strategy or ("ehvi", "random"):
            audits = [audit(table, strategy, arguments.evaluations, seed) for seed in range(arguments.seeds)]
            print(f"{table.name}  {strategy}, {arguments.evaluations} evaluations, {arguments.seeds} seeds")
            for name in audits[0]:
                values = [found[name] for found in audits]
                print(f"  {name:28s} {np.mean(values):.3f} +- {np.std(values) / np.sqrt(len(values)):.3f}", flush=True)


if __name__ == "__main__":
    main()
