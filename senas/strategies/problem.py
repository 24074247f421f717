"""Problem of a strategy: what is known before training, that is choices, costs and feasibility of architectures."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.integer]  # option numbers, (N, L)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Space of choices with known costs; only the accuracy, which is maximised, is unknown.

    A row represents an architecture: one option number per choice, -1 for a choice that does not matter, such as one of
    an inactive cell. So two rows are the same architecture if and only if they are equal.

    Attributes:
        labels: Labels of the L choices.
        options: Options of each choice. Equal options of different choices count as one option in different places.
        costs: Function from rows to costs, (N, L) to (N, C). The first cost is minimised; the others are additional
            information.
        feasible: Function from rows to whether they keep the budgets, (N, L) to (N,).
        worst_cost: Reference point of the minimised cost: its budget, or the largest cost of the space.
        canonical: Function from rows to rows with -1 at every choice that does not matter.
        listed: Every feasible row, (N, L), if the space is a list of rows; `None` otherwise.
    """

    labels: tuple[str, ...]
    options: tuple[tuple[Hashable, ...], ...]
    costs: Callable[[Rows], NDArray[np.float64]]
    feasible: Callable[[Rows], NDArray[np.bool_]]
    worst_cost: float
    canonical: Callable[[Rows], Rows] = lambda rows: rows
    listed: Rows | None = None

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of options of each choice, (L,)."""
        return np.array([len(options) for options in self.options])

    def sample(self, row: NDArray[np.integer]) -> dict[str, Hashable]:
        """Return a row as a sample, as NNI uses it: an option for every label, the first one if it does not matter."""
        return {
            label: options[max(number, 0)]
            for label, options, number in zip(self.labels, self.options, row.tolist(), strict=True)
        }
