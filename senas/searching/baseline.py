"""What a search is held against: the templates of its space, and random search of the same size."""

from collections.abc import Iterable

import numpy as np

from senas.architecture import Architecture
from senas.spaces.space import SearchSpace
from senas.spaces.templates import templates
from senas.strategies.candidates import every_row, key, random_rows
from senas.strategies.problem import Problem, Rows

_CHUNK = 256  # random rows are drawn so many at a time, so that a longer baseline begins with a shorter one


def random_search(problem: Problem, count: int, *, seed: int) -> Rows:
    """What random search would train: distinct feasible rows, (N, L), fewer than `count` where no more are found.

    Args:
        problem: what is known before training.
        count: how many.
        seed: of the search that it is compared with.
    """
    rng = np.random.default_rng([seed, 2])
    listed = every_row(problem)
    if listed is not None:
        return rng.permutation(listed)[:count]
    found: dict[bytes, np.ndarray] = {}
    before = -1
    while before < len(found) < count:
        before = len(found)
        for row in random_rows(problem, _CHUNK, rng):
            found.setdefault(key(row), row)
    return np.array([*found.values()][:count], dtype=np.int64).reshape(-1, len(problem.labels))


def baseline_of(space: SearchSpace, problem: Problem, count: int, *, seed: int) -> list[Architecture]:
    """The templates that keep the budget, then what random search would train.

    Args:
        space: that is searched.
        problem: what is known of it.
        count: of random architectures; a longer baseline begins with a shorter one.
        seed: of the search.
    """
    rows = [space.indices_of(arch) for arch in templates(space).values()]
    feasible = [row for row in rows if problem.feasible(row[None])[0]]
    random = random_search(problem, count, seed=seed)
    return [*dict.fromkeys(architectures(space, [*feasible, *random]))]


def architectures(space: SearchSpace, rows: Iterable[np.ndarray]) -> list[Architecture]:
    """The architectures of rows of option numbers, -1 where a choice does not matter."""
    return [space.architecture(space.sample_at(np.maximum(row, 0))) for row in rows]
