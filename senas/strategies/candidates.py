"""Rows to choose among: whole small spaces, feasible samples, mutation and crossover."""

import numpy as np
from numpy.typing import NDArray

from senas.strategies.problem import Problem, Rows

SMALL = 20_000  # a space of at most so many rows is listed
_CHUNK, _CHUNKS = 4096, 64  # how long uniform rejection is tried


def every_row(problem: Problem) -> Rows | None:
    """Every feasible architecture, each once, in a fixed order; `None` for a space too large to be listed."""
    if problem.listed is not None:
        return problem.listed if len(problem.listed) <= SMALL else None
    counts = problem.counts
    if np.prod(counts.astype(float)) > 16 * SMALL:
        return None
    listed = np.indices(tuple(counts.tolist())).reshape(len(counts), -1).T
    distinct = np.unique(problem.canonical(listed), axis=0)
    return None if len(distinct) > SMALL else distinct[problem.feasible(distinct)]


def random_rows(problem: Problem, count: int, rng: np.random.Generator) -> Rows:
    """Feasible rows, uniform over the samples of the space; fewer than `count` where they are hard to find.

    Where a budget is so tight that uniform samples miss it, they come from random walks that start at rows made cheap
    one choice at a time; these are not uniform.
    """
    if problem.listed is not None:
        return problem.listed[rng.integers(len(problem.listed), size=count)]
    found: list[Rows] = []
    left = count
    for chunk in range(_CHUNKS):
        rows = _uniform(problem, min(_CHUNK, 2 * count if chunk == 0 else _CHUNK), rng)
        found.append(rows[problem.feasible(rows)][:left])
        left -= len(found[-1])
        if left == 0:
            return np.concatenate(found)
        if chunk >= 8 and left == count:
            break
    start = np.concatenate([*found, *_cheapened(problem, rng)])
    return np.concatenate([*found, _walked(problem, start, left, rng)]) if len(start) else start


def mutated(problem: Problem, rows: Rows, rate: float, rng: np.random.Generator) -> Rows:
    """Each row with at least one choice changed, the others each with probability `rate`; feasible or not."""
    rows = np.maximum(rows, 0)
    change = rng.random(rows.shape) < rate
    change[np.arange(len(rows)), rng.integers(rows.shape[1], size=len(rows))] = True
    shift = rng.integers(1, np.maximum(problem.counts, 2), size=rows.shape)  # never back to the same option
    return problem.canonical(np.where(change, (rows + shift) % problem.counts, rows))


def crossed(problem: Problem, mothers: Rows, fathers: Rows, rng: np.random.Generator) -> Rows:
    """Each choice from either parent with equal probability; feasible or not."""
    return problem.canonical(np.maximum(np.where(rng.random(mothers.shape) < 0.5, mothers, fathers), 0))


def new_rows(problem: Problem, rows: Rows, known: set[bytes]) -> Rows:
    """The feasible ones of rows, each once, without those in `known`, in the order of `rows`."""
    if not len(rows):
        return rows
    _, first = np.unique(rows, axis=0, return_index=True)
    rows = rows[np.sort(first)]
    rows = rows[[key(row) not in known for row in rows]]
    return rows[problem.feasible(rows)] if len(rows) else rows


def key(row: NDArray[np.integer]) -> bytes:
    """What names a row in sets."""
    return row.astype(np.int64).tobytes()


def _uniform(problem: Problem, count: int, rng: np.random.Generator) -> Rows:
    return problem.canonical(rng.integers(problem.counts, size=(count, len(problem.counts))))


def _cheapened(problem: Problem, rng: np.random.Generator) -> list[Rows]:
    """Feasible rows reached from random ones by the change of one choice that saves most, again and again."""
    reached = []
    for column in range(problem.costs(_uniform(problem, 1, rng)).shape[1]):
        row = _uniform(problem, 1, rng)
        while not problem.feasible(row)[0]:
            near = _neighbours(problem, row[0])
            cost, costs = problem.costs(row)[0, column], problem.costs(near)[:, column]
            if costs.min() >= cost:
                break
            row = near[[costs.argmin()]]
        reached.append(row[problem.feasible(row)])
    return reached


def _neighbours(problem: Problem, row: NDArray[np.integer]) -> Rows:
    near = np.repeat(np.maximum(row, 0)[None], problem.counts.sum(), axis=0)
    near[np.arange(len(near)), np.repeat(np.arange(len(row)), problem.counts)] = np.concatenate(
        [np.arange(count) for count in problem.counts]
    )
    return problem.canonical(near)


def _walked(problem: Problem, start: Rows, count: int, rng: np.random.Generator) -> Rows:
    rows = start[rng.integers(len(start), size=count)]
    for _ in range(4 * rows.shape[1]):
        stepped = mutated(problem, rows, 0.0, rng)
        rows = np.where(problem.feasible(stepped)[:, None], stepped, rows)
    return rows
