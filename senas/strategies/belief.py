"""What is to be believed of architectures that were trained: a single training is a noisy look."""

from collections.abc import Iterator
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from senas.strategies.encoding import Encoding
from senas.strategies.problem import Problem, Rows
from senas.strategies.surrogate import Prior, Surrogate, one_thread, unwarped, warped

_DRAWS = 512
_NOISE = Prior(0.03, 2.0)  # wider than a search needs: here the noise is what matters
_LEVELS = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)  # of the noise: standard deviations of its prior from the median
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
    def on_front(self) -> NDArray[np.float64]:
        """The probability that each is on the front of the N, (N,)."""
        points = [np.column_stack([-draw, self.cost]) for draw in self.draws]  # both minimised
        return np.mean([moocore.is_nondominated(drawn, keep_weakly=True) for drawn in points], axis=0)


class Posterior:
    """What the trainings of a run tell of any architecture: surrogates under several levels of noise, averaged over.

    A few trainings of different architectures hardly tell noise from what makes the architectures differ, and the level
    that is most probable is then far too sure of itself. So each level counts by how probable it makes the results.

    Args:
        problem: what is known before training.
        rows: (T, L) of every training; trainings of the same architecture tell how much they scatter.
        accuracies: (T,) what was seen, at least `LEAST` of them.
        background: (B, L) feasible rows that stand for the space.
    """

    @one_thread
    def __init__(self, problem: Problem, rows: Rows, accuracies: NDArray[np.float64], background: Rows):
        self._problem, self._seen = problem, accuracies
        self._encoding = Encoding(problem, background)
        features, target = self._encoding(rows), warped(accuracies)
        self._surrogates: list[Surrogate] = []
        for away in _LEVELS:
            surrogate = Surrogate(self._encoding.choice_of_column, noise=_NOISE.at(away))
            if self._surrogates:
                surrogate.start_from(self._surrogates[-1])
            surrogate.fit(features, target, iterations=60)
            self._surrogates.append(surrogate)
        evidence = np.array([surrogate.log_posterior for surrogate in self._surrogates]) - 0.5 * np.square(_LEVELS)
        weights = np.exp(evidence - evidence.max())
        self._counts = np.diff(np.round(_DRAWS * np.cumsum([0.0, *weights / weights.sum()]))).astype(int)  # of draws

    @one_thread
    def believe(self, rows: Rows, *, seed: int) -> Belief:
        """What is to be believed of architectures together, trained or not.

        Args:
            rows: (N, L) distinct ones.
            seed: of the draws.
        """
        features, rng = self._encoding(rows), np.random.default_rng(seed)
        drawn = [_drawn(*surrogate.joint(features), count, rng) for surrogate, count in self._levels()]
        return Belief(draws=self._accuracies(drawn), cost=self._problem.costs(rows)[:, 0])

    @one_thread
    def imagine(self, rows: Rows, *, seed: int) -> NDArray[np.float64]:
        """Expected accuracies that architectures may come to have once each of them is trained, (D, N).

        That is what such trainings would entitle one to claim, so that it can be compared with what is claimed of
        others: their accuracies are drawn, seen through the noise of one training, and believed as far as that allows.

        Args:
            rows: (N, L) distinct ones; those that are trained already are imagined to be trained once more.
            seed: of the draws.
        """
        features, rng, drawn = self._encoding(rows), np.random.default_rng(seed), []
        for surrogate, count in self._levels():
            mean, covariance = surrogate.joint(features)
            noise = surrogate.noise_deviation
            seen = _drawn(mean, covariance, count, rng) + noise * rng.standard_normal((count, len(mean)))
            gain = np.linalg.solve(covariance + noise**2 * np.eye(len(mean)), covariance)  # (N, N)
            drawn.append(mean + (seen - mean) @ gain)
        return self._accuracies(drawn)

    def _levels(self) -> Iterator[tuple[Surrogate, int]]:
        """The surrogates that count, and how many draws each is good for."""
        yield from ((s, count) for s, count in zip(self._surrogates, self._counts.tolist(), strict=True) if count)

    def _accuracies(self, drawn: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.clip(unwarped(np.concatenate(drawn), self._seen), 0.0, 1.0)


def _drawn(
    mean: NDArray[np.float64], covariance: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draws from a normal distribution, (count, N); its covariance may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return mean + rng.standard_normal((count, len(mean))) @ root.T
