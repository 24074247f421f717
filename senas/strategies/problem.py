"""What a strategy knows before anything is trained: the choices, what each architecture costs, which are feasible."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.integer]  # (N, L) option numbers


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A space of choices with known costs; only the accuracy, which is maximised, is unknown.

    A row is an architecture: one option number per choice, -1 for a choice that does not matter, such as that of an
    inactive cell. So two rows are the same architecture exactly where they are equal.

    Attributes:
        labels: of the L choices.
        options: of each choice. Equal options of different choices count as the same thing at different places.
        costs: rows to costs, (N, L) to (N, C). The first is minimised; the others are only known.
        feasible: rows to whether they keep the budgets, (N, L) to (N,).
        worst_cost: the reference point of the minimised cost: its budget, or the largest of the space.
        canonical: rows to rows with -1 wherever a choice does not matter.
        listed: every feasible row, (N, L), where there is such a list and nothing beside it.
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
        """How many options each choice has, (L,)."""
        return np.array([len(options) for options in self.options])

    def sample(self, row: NDArray[np.integer]) -> dict[str, Hashable]:
        """A row as NNI has it: an option for every label, the first where it does not matter."""
        return {
            label: options[max(number, 0)]
            for label, options, number in zip(self.labels, self.options, row.tolist(), strict=True)
        }
