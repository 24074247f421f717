"""Default strategy: expected hypervolume improvement from a surrogate of the accuracy and exact costs."""

from collections.abc import Iterable, Mapping
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray

from senas.strategies.acquisition import Vector, expected_hypervolume_improvement
from senas.strategies.candidates import crossed, every_row, key, mutated, new_rows, random_rows
from senas.strategies.encoding import Encoding
from senas.strategies.problem import Problem, Rows
from senas.strategies.proposing import ProposingStrategy
from senas.strategies.surrogate import Surrogate, concatenated, one_thread, warped

_BACKGROUND = 1_000  # feasible rows that represent the space
_OFFSPRING = 500  # offspring by mutation, and as many by crossover, in a round
_RANDOM_ROWS = 100  # random rows in a round
_ROUNDS = 2  # rounds of offspring: first of the front, then of the best offspring
_PARENTS = 40  # parents in the second round
_REFERENCE_QUANTILE = 0.4  # quantile of the predicted accuracies of the space that is the reference point
_FIT_ALWAYS_BELOW = 60  # with at least so many results, hyper-parameters are not fitted for every proposal
_MIN_RESULTS = 3  # results that a surrogate needs


class ExpectedHypervolumeImprovement(ProposingStrategy):
    """Strategy that proposes the architecture expected to add most to the hypervolume of the front.

    After an initial design that is spread over the cost, a Gaussian process on accuracy is fitted to all results, and
    the expected hypervolume improvement, which has a closed form because the cost is known, is maximised. If the space
    is small, the maximum is over all of it; otherwise it is over random rows, mutations and crossovers of the front,
    and mutations and crossovers of the best of those. Running trials count as if they had ended as predicted (the
    believer of Ginsbourger et al. 2010). The accuracy of the reference point is the 40 % quantile of the accuracies
    predicted for the space, since networks that most random ones beat do not belong on a front.

    Args:
        problem: What is known before training.
        seed: Random seed of all decisions.
        startup: Number of results from the initial design; with parallel trials the design also includes the
            architectures that are running when the last of these results arrives.
    """

    def __init__(self, problem: Problem, *, seed: int, startup: int = 10):
        super().__init__(problem, seed=seed)
        self._startup = startup
        self._background = np.random.default_rng([seed, 1])  # separate, so that a restored state sees the same rows
        self._space: _SpaceRows | None = None
        self._fitted_with = 0
        self._hyper: list[float] | None = None

    @one_thread
    def propose(self) -> NDArray[np.integer] | None:
        """Return the row with the largest expected improvement."""
        space = self._space = self._space or _SpaceRows(self.problem, self._background)
        if not len(space.rows):
            return None
        if len(self._rows) < max(self._startup, _MIN_RESULTS):
            return self._initial_design(space)
        surrogate = self._fitted_surrogate(space)
        evaluated = np.concatenate([self.rows, self.pending])
        features = space.encoding(evaluated)
        front = surrogate.predict(features)[0], features.cost

        def gain(mean: NDArray[np.float64], deviation: NDArray[np.float64], cost: NDArray[np.float64]) -> Vector:
            """Return the expected improvement; if it is 0 everywhere, the most uncertain row has the largest gain."""
            return expected_hypervolume_improvement(mean, deviation, cost, front, reference) + 1e-12 * deviation

        mean, deviation = surrogate.predict(space.features)
        reference = float(np.quantile(mean, _REFERENCE_QUANTILE)), 1.0
        gains = gain(mean, deviation, space.features.cost)
        gains[space.numbers(self.known)] = -np.inf
        best = space.rows[gains.argmax()] if np.isfinite(gains.max()) else None
        if space.whole:
            return best
        best_gain, parents = float(gains.max()), evaluated[_best_by_rank(*front)]
        for _ in range(_ROUNDS):
            rows = self._offspring(parents)
            if len(rows):
                features = space.encoding(rows)
                gains = gain(*surrogate.predict(features), features.cost)
                if gains.max() > best_gain:
                    best, best_gain = rows[gains.argmax()], float(gains.max())
                parents = rows[np.argsort(-gains, kind="stable")[:_PARENTS]]
        return best

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the base class and the surrogate's hyper-parameters, as plain data."""
        return {**super().state_dict(), "hyper": self._hyper, "fitted_with": self._fitted_with}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`, as `ProposingStrategy` does."""
        super().load_state_dict(state_dict)
        hyper, self._fitted_with = state_dict["hyper"], int(state_dict["fitted_with"])
        self._hyper = None if hyper is None else [float(value) for value in hyper]

    def _initial_design(self, space: "_SpaceRows") -> NDArray[np.integer] | None:
        """Return the next row of the initial design: in a cost stratum with the fewest rows, far from all others."""
        fresh = new_rows(self.problem, space.rows, self.known)
        if not len(fresh):
            fresh = new_rows(self.problem, random_rows(self.problem, 200, self.rng), self.known)
            if not len(fresh):
                return None
        proposed = np.array([np.frombuffer(row, dtype=np.int64) for row in sorted(self.known)], dtype=np.int64)
        proposed = proposed.reshape(-1, fresh.shape[1])
        edges = np.quantile(self.problem.costs(space.rows)[:, 0], np.linspace(0, 1, self._startup + 1)[1:-1])
        stratum = np.searchsorted(edges, self.problem.costs(fresh)[:, 0])
        counts = np.bincount(np.searchsorted(edges, self.problem.costs(proposed)[:, 0]), minlength=self._startup)
        min_count = counts[np.unique(stratum)].min()
        chosen = self.rng.choice([s for s in np.unique(stratum) if counts[s] == min_count])
        candidates = fresh[stratum == chosen]
        candidates = candidates[self.rng.permutation(len(candidates))[:200]]
        if not len(proposed):
            return candidates[0]
        distance = (candidates[:, None] != proposed).sum(axis=2).min(axis=1)  # choices in which the nearest row differs
        return candidates[distance.argmax()]

    def _fitted_surrogate(self, space: "_SpaceRows") -> Surrogate:
        """Return the surrogate of all results, in which running trials count as if they had ended as predicted."""
        surrogate = Surrogate(space.encoding.choice_of_column)
        if self._hyper is not None:
            surrogate.hyper = np.array(self._hyper)
        features, target = space.encoding(self.rows), warped(self.accuracies)
        due = len(target) >= max(self._fitted_with + 1, self._fitted_with * 21 // 20)
        if len(target) != self._fitted_with and (due or len(target) < _FIT_ALWAYS_BELOW):
            surrogate.fit(features, target, iterations=40 if len(target) < 20 else 10)
            self._hyper, self._fitted_with = surrogate.hyper.tolist(), len(target)
        else:
            surrogate.condition(features, target)
        if len(self._pending):
            running = space.encoding(self.pending)
            predicted, _ = surrogate.predict(running)
            surrogate.condition(concatenated([features, running]), np.concatenate([target, predicted]))
        return surrogate

    def _offspring(self, parents: Rows) -> Rows:
        """Return new feasible rows: mutations of the parents, crossovers of them, and random rows."""
        mothers, fathers = (parents[self.rng.integers(len(parents), size=_OFFSPRING)] for _ in range(2))
        offspring = (
            mutated(self.problem, mothers, 1.0 / mothers.shape[1], self.rng),
            crossed(self.problem, mothers, fathers, self.rng),
            random_rows(self.problem, _RANDOM_ROWS, self.rng),
        )
        return new_rows(self.problem, np.concatenate(offspring), self.known)


class _SpaceRows:
    """Rows that represent the space: all feasible ones if the space can be enumerated, a random sample otherwise."""

    def __init__(self, problem: Problem, rng: np.random.Generator):
        all_rows = every_row(problem)
        self.whole = all_rows is not None
        self.rows = random_rows(problem, _BACKGROUND, rng) if all_rows is None else all_rows
        self._number_of = {key(row): number for number, row in enumerate(self.rows)}
        if len(self.rows):
            self.encoding = Encoding(problem, self.rows)
            self.features = self.encoding(self.rows)

    def numbers(self, known: Iterable[bytes]) -> list[int]:
        """Return the numbers of the rows that are known."""
        return [self._number_of[row] for row in known if row in self._number_of]


def _best_by_rank(accuracy: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.integer]:
    """Return the numbers of the non-dominated points, and of further ones by rank up to a quarter of all points."""
    rank = moocore.pareto_rank(np.column_stack([-accuracy, cost]))
    count = max(int((rank == rank.min()).sum()), len(rank) // 4, 1)
    return np.argsort(rank, kind="stable")[:count]
