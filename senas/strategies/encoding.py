"""Features of architectures for the surrogate, from what is known without training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from senas.strategies.problem import Problem, Rows

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Features:
    """Features of N architectures.

    Attributes:
        one_hot: Ones for the chosen option of each choice, or for a choice that does not matter, (N, D).
        shares: Number of occurrences of each distinct option in all choices, divided by the square root of L, (N, K).
        effects: Contribution of each chosen option to each cost, scaled to distances around 1, (N, E).
        cost: Minimised cost, scaled so that the smallest of the sample is 0 and the worst that counts is 1, (N,).
    """

    one_hot: Matrix
    shares: Matrix
    effects: Matrix
    cost: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.cost)

    def take(self, numbers: NDArray[np.integer]) -> "Features":
        """Return the features of some of the architectures, given their numbers, (M,)."""
        return Features(
            one_hot=self.one_hot[numbers],
            shares=self.shares[numbers],
            effects=self.effects[numbers],
            cost=self.cost[numbers],
        )


class Encoding:
    """Encoding of the rows of a problem as features.

    The contribution of an option to a cost is estimated from a sample of the space by least squares on the choices. It
    shows the surrogate which options are similar, whatever their names, and where in the network a change is large.

    Args:
        problem: Problem of the rows.
        sample: Feasible rows, (N, L).
    """

    def __init__(self, problem: Problem, sample: Rows):
        self._problem = problem
        self._first = np.cumsum([0, *(problem.counts[:-1] + 1)])  # column of each choice if it does not matter
        self.choice_of_column = np.repeat(np.arange(len(problem.counts)), problem.counts + 1)  # (D,)
        distinct = {option: number for number, option in enumerate(dict.fromkeys(sum(problem.options, start=())))}
        self._shares = np.zeros((len(self.choice_of_column), len(distinct)))  # (D, K)
        for first, options in zip(self._first, problem.options, strict=True):
            for number, option in enumerate(options, start=1):
                self._shares[first + number, distinct[option]] = 1.0 / np.sqrt(len(problem.counts))
        costs = problem.costs(sample)
        self._min_cost = float(costs[:, 0].min())
        self._effects = self._fitted_effects(sample, costs)  # (D, C)
        unscaled = self._effects_of(sample)
        spread = unscaled.std(axis=0).mean() * np.sqrt(unscaled.shape[1])
        self._effects /= spread if spread > 0 else 1.0

    def __call__(self, rows: Rows) -> Features:
        """Return the features of rows, (N, L)."""
        one_hot = self._one_hot(rows)
        return Features(
            one_hot=one_hot,
            shares=one_hot @ self._shares,
            effects=self._effects_of(rows),
            cost=self._scaled(self._problem.costs(rows)[:, 0]),
        )

    def _scaled(self, cost: NDArray[np.float64]) -> NDArray[np.float64]:
        span = self._problem.worst_cost - self._min_cost
        return (cost - self._min_cost) / (span if span > 0 else 1.0)

    def _columns(self, rows: Rows) -> NDArray[np.integer]:
        return self._first + rows + 1  # (N, L)

    def _one_hot(self, rows: Rows) -> Matrix:
        one_hot = np.zeros((len(rows), len(self.choice_of_column)))
        np.put_along_axis(one_hot, self._columns(rows), 1.0, axis=1)
        return one_hot

    def _fitted_effects(self, sample: Rows, costs: Matrix) -> Matrix:
        spread = costs.std(axis=0)
        target = (costs - costs.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        one_hot = self._one_hot(sample)
        ridge = 1e-6 * len(sample) * np.eye(one_hot.shape[1])  # needed because the columns of a choice add up to one
        return np.linalg.solve(one_hot.T @ one_hot + ridge, one_hot.T @ target)

    def _effects_of(self, rows: Rows) -> Matrix:
        return self._effects[self._columns(rows)].reshape(
            len(rows), rows.shape[1] * self._effects.shape[1]
        )  # (N, L * C)
