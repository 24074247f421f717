"""Architectures as the surrogate sees them: only what is known for free."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from senas.strategies.problem import Problem, Rows

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Features:
    """N architectures.

    Attributes:
        one_hot: (N, D) a one for what each choice is: one of its options, or that it does not matter.
        shares: (N, K) how often each distinct option occurs anywhere, over the square root of L.
        effects: (N, E) what each chosen option adds to each cost, scaled to distances around 1.
        cost: (N,) the minimised cost, 0 for the least and 1 for the worst that counts.
    """

    one_hot: Matrix
    shares: Matrix
    effects: Matrix
    cost: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.cost)

    def take(self, numbers: NDArray[np.integer]) -> "Features":
        """Some of the architectures, (M,) numbers."""
        return Features(
            one_hot=self.one_hot[numbers],
            shares=self.shares[numbers],
            effects=self.effects[numbers],
            cost=self.cost[numbers],
        )


class Encoding:
    """Turns the rows of a problem into features.

    What an option adds to a cost is learned from a sample of the space by least squares on the choices: it tells the
    surrogate which options, whatever their names, are alike, and where in the network a change is a large one.

    Args:
        problem: whose rows.
        sample: (N, L) feasible rows.
    """

    def __init__(self, problem: Problem, sample: Rows):
        self._problem = problem
        self._first = np.cumsum([0, *(problem.counts[:-1] + 1)])  # the first column of each choice: it does not matter
        self.choice_of_column = np.repeat(np.arange(len(problem.counts)), problem.counts + 1)  # (D,)
        distinct = {option: number for number, option in enumerate(dict.fromkeys(sum(problem.options, start=())))}
        self._shares = np.zeros((len(self.choice_of_column), len(distinct)))  # (D, K)
        for first, options in zip(self._first, problem.options, strict=True):
            for number, option in enumerate(options, start=1):
                self._shares[first + number, distinct[option]] = 1.0 / np.sqrt(len(problem.counts))
        costs = problem.costs(sample)
        self._least = float(costs[:, 0].min())
        self._effects = self._fitted_effects(sample, costs)  # (D, C)
        picked = self._effects_of(sample)
        spread = picked.std(axis=0).mean() * np.sqrt(picked.shape[1])
        self._effects /= spread if spread > 0 else 1.0

    def __call__(self, rows: Rows) -> Features:
        """The features of rows, (N, L)."""
        one_hot = self._one_hot(rows)
        return Features(
            one_hot=one_hot,
            shares=one_hot @ self._shares,
            effects=self._effects_of(rows),
            cost=self._scaled(self._problem.costs(rows)[:, 0]),
        )

    def _scaled(self, cost: NDArray[np.float64]) -> NDArray[np.float64]:
        span = self._problem.worst_cost - self._least
        return (cost - self._least) / (span if span > 0 else 1.0)

    def _columns(self, rows: Rows) -> NDArray[np.integer]:
        return self._first + rows + 1  # (N, L)

    def _one_hot(self, rows: Rows) -> Matrix:
        hot = np.zeros((len(rows), len(self.choice_of_column)))
        np.put_along_axis(hot, self._columns(rows), 1.0, axis=1)
        return hot

    def _fitted_effects(self, sample: Rows, costs: Matrix) -> Matrix:
        spread = costs.std(axis=0)
        target = (costs - costs.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        hot = self._one_hot(sample)
        ridge = 1e-6 * len(sample) * np.eye(hot.shape[1])  # the columns of a choice add up to one
        return np.linalg.solve(hot.T @ hot + ridge, hot.T @ target)

    def _effects_of(self, rows: Rows) -> Matrix:
        return self._effects[self._columns(rows)].reshape(
            len(rows), rows.shape[1] * self._effects.shape[1]
        )  # (N, L * C)
