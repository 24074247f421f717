"""What is to be believed of architectures that were trained: a single training is a noisy look."""

from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from senas.strategies.encoding import Encoding
from senas.strategies.problem import Problem, Rows
from senas.strategies.surrogate import Prior, Surrogate, unwarped, warped

_DRAWS = 512
_NOISE = Prior(0.03, 2.0)  # wider than a search needs: here the noise is what matters
LEAST = 5  # results, below which a surrogate knows nothing


@dataclass(frozen=True, kw_only=True)
class Belief:
    """The joint posterior of the accuracies of N architectures.

    Attributes:
        draws: (D, N) accuracies as they may truly be.
        cost: (N,) the minimised cost.
    """

    draws: NDArray[np.float64]
    cost: NDArray[np.float64]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """The expected accuracy of each, (N,): what was seen, shrunk towards what architectures like it reached."""
        return self.draws.mean(axis=0)

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviation of each, (N,)."""
        return self.draws.std(axis=0)

    @property
    def on_front(self) -> NDArray[np.float64]:
        """The probability that each is on the front of the N, (N,)."""
        points = [np.column_stack([-draw, self.cost]) for draw in self.draws]  # both minimised
        return np.mean([moocore.is_nondominated(drawn, keep_weakly=True) for drawn in points], axis=0)


class Posterior:
    """A surrogate fitted to every training of a run.

    Args:
        problem: what is known before training.
        rows: (T, L) of every training; trainings of the same architecture tell how much they scatter.
        accuracies: (T,) what was seen, at least `LEAST` of them.
        background: (B, L) feasible rows that stand for the space.
    """

    def __init__(self, problem: Problem, rows: Rows, accuracies: NDArray[np.float64], background: Rows):
        self._problem, self._seen = problem, accuracies
        self._encoding = Encoding(problem, background)
        self._surrogate = Surrogate(self._encoding.choice_of_column, noise=_NOISE)
        self._surrogate.fit(self._encoding(rows), warped(accuracies), iterations=100)

    def believe(self, rows: Rows, *, seed: int) -> Belief:
        """What is to be believed of architectures together, trained or not.

        Args:
            rows: (N, L) distinct ones.
            seed: of the draws.
        """
        mean, covariance = self._surrogate.joint(self._encoding(rows))
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        normal = np.random.default_rng(seed).standard_normal((_DRAWS, len(mean)))
        draws = np.clip(unwarped(mean + normal @ root.T, self._seen), 0.0, 1.0)
        return Belief(draws=draws, cost=self._problem.costs(rows)[:, 0])
