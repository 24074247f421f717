"""NSGA-II on architectures, for very many cheap trials."""

import moocore
import numpy as np
from numpy.typing import NDArray

from senas.strategies.candidates import crossed, mutated, new_rows, random_rows
from senas.strategies.problem import Problem
from senas.strategies.proposing import ProposingStrategy

_CROSSOVER = 0.9  # of all offspring; the others come from one parent
_BROOD = 16  # offspring made at a time, of which the first new and feasible one is proposed
_TRIES = 8


class ParetoEvolution(ProposingStrategy):
    """Steady-state NSGA-II (Deb et al. 2002; Durillo et al. 2009): one offspring at a time, the best of all survive.

    Parents win binary tournaments by non-dominated rank, then by crowding distance; uniform crossover, then each
    choice mutates with probability 1 / L. An infeasible or known offspring costs nothing and is made anew.

    Args:
        problem: what is known before training.
        seed: of all random decisions.
        population: how many architectures are random at first, and how many survive.
    """

    def __init__(self, problem: Problem, *, seed: int, population: int = 30):
        super().__init__(problem, seed=seed)
        self._population = population

    def propose(self) -> NDArray[np.integer] | None:
        """An offspring of two good parents, or a random row."""
        if len(self.known) < self._population or len(self._rows) < 2:
            return self._random()
        points = np.column_stack([-self.accuracies, self.problem.costs(self.rows)[:, 0]])  # both minimised
        parents = self.rows[ranked(points, self._population)]  # best first
        for _ in range(_TRIES):
            mothers, fathers = (parents[self._winners(len(parents))] for _ in range(2))
            crossing = self.rng.random((_BROOD, 1)) < _CROSSOVER
            children = np.where(crossing, crossed(self.problem, mothers, fathers, self.rng), mothers)
            untouched = self.rng.random(_BROOD) < 0.5
            changed = mutated(self.problem, children, 1.0 / children.shape[1], self.rng)
            fresh = new_rows(self.problem, np.where(untouched[:, None], children, changed), self.known)
            if len(fresh):
                return fresh[0]
        return self._random()

    def _winners(self, count: int) -> NDArray[np.integer]:
        """The better of two, for each of a brood: the population is sorted."""
        return self.rng.integers(count, size=(2, _BROOD)).min(axis=0)

    def _random(self) -> NDArray[np.integer] | None:
        for count in (16, 256, 4096):
            fresh = new_rows(self.problem, random_rows(self.problem, count, self.rng), self.known)
            if len(fresh):
                return fresh[0]
        return None


def ranked(points: NDArray[np.float64], count: int) -> NDArray[np.integer]:
    """Numbers of the best points: by non-dominated rank, then by crowding distance (Deb et al. 2002, section III).

    Args:
        points: (N, 2), both columns minimised.
        count: how many, best first; all where there are not so many.
    """
    rank = moocore.pareto_rank(points)
    last = np.sort(rank)[min(count, len(rank)) - 1]  # only as far as that matters which of a front are crowded
    crowding = np.zeros(len(points))
    for level in np.unique(rank[rank <= last]):
        members = np.flatnonzero(rank == level)
        crowding[members] = crowding_distance(points[members])
    return np.lexsort((-crowding, rank))[:count]


def crowding_distance(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far apart each point's neighbours on a front are, (N,); infinite at its ends (ibid., section III.B).

    Args:
        points: (N, 2) of one front.
    """
    distance = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if span > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance
