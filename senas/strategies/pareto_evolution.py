"""NSGA-II on architectures, for large numbers of cheap trials."""

import moocore
import numpy as np
from numpy.typing import NDArray

from senas.strategies.candidates import crossed, mutated, new_rows, random_rows
from senas.strategies.problem import Problem
from senas.strategies.proposing import ProposingStrategy

_CROSSOVER = 0.9  # share of the offspring with two parents; the others have one
_BATCH = 16  # offspring generated at a time, of which the first new and feasible one is proposed
_MAX_BATCHES = 8


class ParetoEvolution(ProposingStrategy):
    """Steady-state NSGA-II (Deb et al. 2002; Durillo et al. 2009): one offspring at a time, the best of all survive.

    Parents are chosen by binary tournaments on non-dominated rank, then on crowding distance. After uniform crossover,
    half of the offspring mutate: one random choice, and each other one with probability 1 / L. An offspring that is
    infeasible or known is not trained but replaced by another one.

    Args:
        problem: What is known before training.
        seed: Random seed of all decisions.
        population: Number of random architectures at the start, and of architectures that survive.
    """

    def __init__(self, problem: Problem, *, seed: int, population: int = 30):
        super().__init__(problem, seed=seed)
        self._population = population

    def propose(self) -> NDArray[np.integer] | None:
        """Return an offspring of tournament winners; a random row at the start, or if no offspring can be proposed."""
        if len(self.known) < self._population or len(self._rows) < 2:
            return self._random()
        points = np.column_stack([-self.accuracies, self.problem.costs(self.rows)[:, 0]])  # both minimised
        parents = self.rows[ranked(points, self._population)]  # best first
        for _ in range(_MAX_BATCHES):
            mothers, fathers = (parents[self._tournament_winners(len(parents))] for _ in range(2))
            crossing = self.rng.random((_BATCH, 1)) < _CROSSOVER
            children = np.where(crossing, crossed(self.problem, mothers, fathers, self.rng), mothers)
            unmutated = self.rng.random(_BATCH) < 0.5
            mutants = mutated(self.problem, children, 1.0 / children.shape[1], self.rng)
            fresh = new_rows(self.problem, np.where(unmutated[:, None], children, mutants), self.known)
            if len(fresh):
                return fresh[0]
        return self._random()

    def _tournament_winners(self, count: int) -> NDArray[np.integer]:
        """Return the winners of a batch of binary tournaments: the smaller number wins, since parents are sorted."""
        return self.rng.integers(count, size=(2, _BATCH)).min(axis=0)

    def _random(self) -> NDArray[np.integer] | None:
        for count in (16, 256, 4096):
            fresh = new_rows(self.problem, random_rows(self.problem, count, self.rng), self.known)
            if len(fresh):
                return fresh[0]
        return None


def ranked(points: NDArray[np.float64], count: int) -> NDArray[np.integer]:
    """Return the numbers of the best points, best first (Deb et al. 2002, section III).

    They are ordered by non-dominated rank, then by crowding distance.

    Args:
        points: Points, (N, 2), both columns minimised.
        count: Number of points to return; all if there are fewer.
    """
    rank = moocore.pareto_rank(points)
    last = np.sort(rank)[min(count, len(rank)) - 1]  # crowding decides only between points up to this rank
    crowding = np.zeros(len(points))
    for level in np.unique(rank[rank <= last]):
        members = np.flatnonzero(rank == level)
        crowding[members] = crowding_distance(points[members])
    return np.lexsort((-crowding, rank))[:count]


def crowding_distance(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance between each point's neighbours on a front, (N,); infinite at its ends (section III.B).

    Args:
        points: Points of one front, (N, 2).
    """
    distance = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if span > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance
