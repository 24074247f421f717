"""Baseline of a search: the templates of its space, and random search of the same size."""

from collections.abc import Iterable

import numpy as np

from senas.architecture import Architecture
from senas.spaces import SearchSpace, make_templates
from senas.strategies import Problem, Rows, every_row, key, random_rows

_CHUNK = 256  # random rows drawn at a time; it is fixed so that a longer baseline begins with a shorter one


def random_search(problem: Problem, count: int, *, seed: int) -> Rows:
    """Return what random search would train: distinct feasible rows, (N, L), fewer than `count` if no more are found.

    Args:
        problem: What is known before training.
        count: Number of rows.
        seed: Random seed of the search that is compared with it.
    """
    rng = np.random.default_rng([seed, 2])
    all_rows = every_row(problem)
    if all_rows is not None:
        return rng.permutation(all_rows)[:count]
    found: dict[bytes, np.ndarray] = {}
    previous_count = -1
    while previous_count < len(found) < count:
        previous_count = len(found)
        for row in random_rows(problem, _CHUNK, rng):
            found.setdefault(key(row), row)
    return np.array([*found.values()][:count], dtype=np.int64).reshape(-1, len(problem.labels))


def baseline_architectures(space: SearchSpace, problem: Problem, count: int, *, seed: int) -> list[Architecture]:
    """Return the templates within the budget, then what random search would train.

    Args:
        space: Space of the search.
        problem: What is known before training.
        count: Number of random architectures; a longer baseline begins with a shorter one.
        seed: Random seed of the search.
    """
    rows = [space.indices_of(arch) for arch in make_templates(space).values()]
    feasible = [row for row in rows if problem.feasible(row[None])[0]]
    random = random_search(problem, count, seed=seed)
    return [*dict.fromkeys(architectures(space, [*feasible, *random]))]


def architectures(space: SearchSpace, rows: Iterable[np.ndarray]) -> list[Architecture]:
    """Return the architectures of rows of option numbers, which are -1 if a choice does not matter."""
    return [space.architecture(space.sample_at(np.maximum(row, 0))) for row in rows]
