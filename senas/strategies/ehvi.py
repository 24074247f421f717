"""The default strategy: a surrogate on accuracy, exact costs, expected hypervolume improvement."""

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

_BACKGROUND = 1_000  # feasible rows that stand for the space
_OFFSPRING = 500  # of each kind, mutated and crossed, in a round
_FRESH = 100  # random rows in a round
_ROUNDS = 2  # of offspring: of the front, then of the best of those
_PARENTS = 40  # of the second round
_WORST = 0.4  # the quantile of the space's predicted accuracies that is the reference point
_PATIENT = 60  # with so many results, hyper-parameters are no longer fitted for every proposal
_LEAST = 3  # results before a surrogate makes sense


class ExpectedHypervolumeImprovement(ProposingStrategy):
    """Proposes the architecture that is expected to add most to the hypervolume of the front.

    After an initial design spread over the cost, a Gaussian process on accuracy is fitted to every result, and the
    expected hypervolume improvement, closed-form because the cost is known, is maximised: over the whole space where it
    is small, and otherwise over fresh samples, mutants and crossings of the front, and mutants of the best of those.
    Trials that are running count as if they had ended as predicted (the believer of Ginsbourger et al. 2010). The
    accuracy of the reference point is the 40 % quantile of what is predicted for the space: networks that most random
    ones beat are no part of a front.

    Args:
        problem: what is known before training.
        seed: of all random decisions.
        startup: how many results the initial design gives; with trials in parallel it has as many more architectures
            as are running when the last of these results comes.
    """

    def __init__(self, problem: Problem, *, seed: int, startup: int = 10):
        super().__init__(problem, seed=seed)
        self._startup = startup
        self._background = np.random.default_rng([seed, 1])  # of its own, so that a restored state sees the same space
        self._space: _KnownSpace | None = None
        self._fitted_with = 0
        self._hyper: list[float] | None = None

    @one_thread
    def propose(self) -> NDArray[np.integer] | None:
        """The row that promises most."""
        space = self._space = self._space or _KnownSpace(self.problem, self._background)
        if not len(space.rows):
            return None
        if len(self._rows) < max(self._startup, _LEAST):
            return self._spread_out(space)
        surrogate = self._fitted(space)
        evaluated = np.concatenate([self.rows, self.pending])
        believed = space.encoding(evaluated)
        front = surrogate.predict(believed)[0], believed.cost

        def gain(mean: NDArray[np.float64], deviation: NDArray[np.float64], cost: NDArray[np.float64]) -> Vector:
            """The expected improvement; where nothing promises any, what would teach most."""
            return expected_hypervolume_improvement(mean, deviation, cost, front, reference) + 1e-12 * deviation

        mean, deviation = surrogate.predict(space.features)
        reference = float(np.quantile(mean, _WORST)), 1.0
        gains = gain(mean, deviation, space.features.cost)
        gains[space.numbers(self.known)] = -np.inf
        best = space.rows[gains.argmax()] if np.isfinite(gains.max()) else None
        if space.whole:
            return best
        most, parents = float(gains.max()), evaluated[_front_first(*front)]
        for _ in range(_ROUNDS):
            rows = self._offspring(parents)
            if len(rows):
                features = space.encoding(rows)
                gains = gain(*surrogate.predict(features), features.cost)
                if gains.max() > most:
                    best, most = rows[gains.argmax()], float(gains.max())
                parents = rows[np.argsort(-gains, kind="stable")[:_PARENTS]]
        return best

    def memory(self) -> dict[str, Any]:
        """With the surrogate's hyper-parameters."""
        return {**super().memory(), "hyper": self._hyper, "fitted_with": self._fitted_with}

    def _remember(self, memory: Mapping[str, Any]) -> None:
        super()._remember(memory)
        hyper, self._fitted_with = memory["hyper"], int(memory["fitted_with"])
        self._hyper = None if hyper is None else [float(value) for value in hyper]

    def _spread_out(self, space: "_KnownSpace") -> NDArray[np.integer] | None:
        """The next row of the initial design: in a stratum of the cost with none yet, far from those there are."""
        fresh = new_rows(self.problem, space.rows, self.known)
        if not len(fresh):
            fresh = new_rows(self.problem, random_rows(self.problem, 200, self.rng), self.known)
            if not len(fresh):
                return None
        proposed = np.array([np.frombuffer(row, dtype=np.int64) for row in sorted(self.known)], dtype=np.int64)
        proposed = proposed.reshape(-1, fresh.shape[1])
        edges = np.quantile(self.problem.costs(space.rows)[:, 0], np.linspace(0, 1, self._startup + 1)[1:-1])
        stratum = np.searchsorted(edges, self.problem.costs(fresh)[:, 0])
        taken = np.bincount(np.searchsorted(edges, self.problem.costs(proposed)[:, 0]), minlength=self._startup)
        least = taken[np.unique(stratum)].min()
        chosen = self.rng.choice([s for s in np.unique(stratum) if taken[s] == least])
        inside = fresh[stratum == chosen]
        inside = inside[self.rng.permutation(len(inside))[:200]]
        if not len(proposed):
            return inside[0]
        apart = (inside[:, None] != proposed).sum(axis=2).min(axis=1)
        return inside[apart.argmax()]

    def _fitted(self, space: "_KnownSpace") -> Surrogate:
        """The surrogate with all results, and with what is running as if it had ended as predicted."""
        surrogate = Surrogate(space.encoding.choice_of_column)
        if self._hyper is not None:
            surrogate.hyper = np.array(self._hyper)
        seen, target = space.encoding(self.rows), warped(self.accuracies)
        due = len(target) >= max(self._fitted_with + 1, self._fitted_with * 21 // 20)
        if len(target) != self._fitted_with and (due or len(target) < _PATIENT):
            surrogate.fit(seen, target, iterations=40 if len(target) < 20 else 10)
            self._hyper, self._fitted_with = surrogate.hyper.tolist(), len(target)
        else:
            surrogate.condition(seen, target)
        if len(self._pending):
            running = space.encoding(self.pending)
            believed, _ = surrogate.predict(running)
            surrogate.condition(concatenated([seen, running]), np.concatenate([target, believed]))
        return surrogate

    def _offspring(self, parents: Rows) -> Rows:
        """New feasible rows: mutants of the parents, crossings of them, and a few from anywhere."""
        mothers, fathers = (parents[self.rng.integers(len(parents), size=_OFFSPRING)] for _ in range(2))
        made = (
            mutated(self.problem, mothers, 1.0 / mothers.shape[1], self.rng),
            crossed(self.problem, mothers, fathers, self.rng),
            random_rows(self.problem, _FRESH, self.rng),
        )
        return new_rows(self.problem, np.concatenate(made), self.known)


class _KnownSpace:
    """What stands for the space: all of its feasible rows where they can be listed, a sample of them otherwise."""

    def __init__(self, problem: Problem, rng: np.random.Generator):
        listed = every_row(problem)
        self.whole = listed is not None
        self.rows = random_rows(problem, _BACKGROUND, rng) if listed is None else listed
        self._number_of = {key(row): number for number, row in enumerate(self.rows)}
        if len(self.rows):
            self.encoding = Encoding(problem, self.rows)
            self.features = self.encoding(self.rows)

    def numbers(self, known: Iterable[bytes]) -> list[int]:
        """Which of its rows are known."""
        return [self._number_of[row] for row in known if row in self._number_of]


def _front_first(accuracy: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.integer]:
    """Numbers of the non-dominated points, and of as many more as make a quarter of all, front by front."""
    rank = moocore.pareto_rank(np.column_stack([-accuracy, cost]))
    count = max(int((rank == rank.min()).sum()), len(rank) // 4, 1)
    return np.argsort(rank, kind="stable")[:count]
