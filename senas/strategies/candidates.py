"""Candidate rows: enumeration of small spaces, feasible random samples, mutation and crossover."""

import numpy as np
from numpy.typing import NDArray

from senas.strategies.problem import Problem, Rows

_MAX_LISTED = 20_000  # maximum number of rows of a space that is enumerated
_CHUNK, _MAX_CHUNKS = 4096, 64  # rows drawn at a time by rejection sampling, and how often


def every_row(problem: Problem) -> Rows | None:
    """Return every feasible row, each once, in a fixed order; `None` if the space is too large to be enumerated."""
    if problem.listed is not None:
        return problem.listed if len(problem.listed) <= _MAX_LISTED else None
    counts = problem.counts
    if np.prod(counts.astype(float)) > 16 * _MAX_LISTED:
        return None
    combinations = np.indices(tuple(counts.tolist())).reshape(len(counts), -1).T
    distinct = np.unique(problem.canonical(combinations), axis=0)
    return None if len(distinct) > _MAX_LISTED else distinct[problem.feasible(distinct)]


def random_rows(problem: Problem, count: int, rng: np.random.Generator) -> Rows:
    """Return feasible rows, uniform over the samples of the space; fewer than `count` if they are hard to find.

    If a budget is so tight that uniform samples rarely keep it, rows come from random walks that start at rows made
    feasible by changing one choice at a time; these are not uniform.

    Args:
        problem: What is known before training.
        count: Number of rows.
        rng: Random generator.
    """
    if problem.listed is not None:
        return problem.listed[rng.integers(len(problem.listed), size=count)]
    found: list[Rows] = []
    left = count
    for chunk in range(_MAX_CHUNKS):
        rows = _uniform_rows(problem, min(_CHUNK, 2 * count if chunk == 0 else _CHUNK), rng)
        found.append(rows[problem.feasible(rows)][:left])
        left -= len(found[-1])
        if left == 0:
            return np.concatenate(found)
        if chunk >= 8 and left == count:
            break
    start = np.concatenate([*found, *_descended(problem, rng)])
    return np.concatenate([*found, _random_walks(problem, start, left, rng)]) if len(start) else start


def mutated(problem: Problem, rows: Rows, rate: float, rng: np.random.Generator) -> Rows:
    """Return rows with one random choice changed, and each other choice with probability `rate`; feasible or not."""
    rows = np.maximum(rows, 0)
    change = rng.random(rows.shape) < rate
    change[np.arange(len(rows)), rng.integers(rows.shape[1], size=len(rows))] = True
    shift = rng.integers(1, np.maximum(problem.counts, 2), size=rows.shape)  # never 0, so the option changes
    return problem.canonical(np.where(change, (rows + shift) % problem.counts, rows))


def crossed(problem: Problem, mothers: Rows, fathers: Rows, rng: np.random.Generator) -> Rows:
    """Return rows that take each choice from either parent with equal probability; feasible or not."""
    return problem.canonical(np.maximum(np.where(rng.random(mothers.shape) < 0.5, mothers, fathers), 0))


def new_rows(problem: Problem, rows: Rows, known: set[bytes]) -> Rows:
    """Return the feasible rows, each once and without those in `known`, in the order of `rows`."""
    if not len(rows):
        return rows
    _, first = np.unique(rows, axis=0, return_index=True)
    rows = rows[np.sort(first)]
    rows = rows[[key(row) not in known for row in rows]]
    return rows[problem.feasible(rows)] if len(rows) else rows


def key(row: NDArray[np.integer]) -> bytes:
    """Return a hashable key of a row."""
    return row.astype(np.int64).tobytes()


def _uniform_rows(problem: Problem, count: int, rng: np.random.Generator) -> Rows:
    return problem.canonical(rng.integers(problem.counts, size=(count, len(problem.counts))))


def _descended(problem: Problem, rng: np.random.Generator) -> list[Rows]:
    """Return feasible rows found by descent: from a random row, change the choice that saves most cost, repeatedly."""
    feasible = []
    for column in range(problem.costs(_uniform_rows(problem, 1, rng)).shape[1]):
        row = _uniform_rows(problem, 1, rng)
        while not problem.feasible(row)[0]:
            neighbours = _neighbours(problem, row[0])
            cost, costs = problem.costs(row)[0, column], problem.costs(neighbours)[:, column]
            if costs.min() >= cost:
                break
            row = neighbours[[costs.argmin()]]
        feasible.append(row[problem.feasible(row)])
    return feasible


def _neighbours(problem: Problem, row: NDArray[np.integer]) -> Rows:
    """Return every row that differs from a row in at most one choice."""
    neighbours = np.repeat(np.maximum(row, 0)[None], problem.counts.sum(), axis=0)
    neighbours[np.arange(len(neighbours)), np.repeat(np.arange(len(row)), problem.counts)] = np.concatenate(
        [np.arange(count) for count in problem.counts]
    )
    return problem.canonical(neighbours)


def _random_walks(problem: Problem, start: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Return the ends of random walks over feasible rows."""
    rows = start[rng.integers(len(start), size=count)]
    for _ in range(4 * rows.shape[1]):
        stepped = mutated(problem, rows, 0.0, rng)
        rows = np.where(problem.feasible(stepped)[:, None], stepped, rows)
    return rows
