"""Posterior of the accuracies of architectures, given trainings.

A single training is a noisy observation of an architecture's accuracy.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from senas.strategies import Encoding, Prior, Problem, Rows, Surrogate, one_thread, unwarped, warped

_DRAWS = 512
_NOISE = Prior(0.03, 2.0)  # wider than in a search, since the noise matters more here
_NOISE_LEVELS = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)  # standard deviations of the noise prior from its median
MIN_RESULTS = 5  # with fewer results a surrogate cannot predict anything


@dataclass(frozen=True, kw_only=True)
class PosteriorSamples:
    """Samples from the joint posterior of the accuracies of N architectures.

    Attributes:
        draws: Samples of the true accuracies, (D, N).
        cost: Minimised cost, (N,).
    """

    draws: NDArray[np.float64]
    cost: NDArray[np.float64]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Expected accuracies, (N,): the observed ones, shrunk towards those of similar architectures."""
        return self.draws.mean(axis=0)

    @property
    def on_front(self) -> NDArray[np.float64]:
        """Probability that each architecture is on the front of the N, (N,)."""
        points = [np.column_stack([-draw, self.cost]) for draw in self.draws]  # both minimised
        return np.mean([moocore.is_nondominated(sample, keep_weakly=True) for sample in points], axis=0)


class AccuracyPosterior:
    """Posterior of any architecture's accuracy, given the trainings of a run: an average over levels of noise.

    A few trainings of different architectures hardly separate noise from true differences, and a posterior under the
    most probable level of noise alone would be far too certain. So there is one surrogate per level, and each is
    weighted by how probable it makes the results.

    Args:
        problem: What is known before training.
        rows: Row of every training, (T, L); trainings of the same architecture show how much they scatter.
        accuracies: Observed accuracies, (T,), at least `MIN_RESULTS` of them.
        background: Feasible rows that represent the space, (B, L).
    """

    @one_thread
    def __init__(self, problem: Problem, rows: Rows, accuracies: NDArray[np.float64], background: Rows):
        self._problem, self._observed = problem, accuracies
        self._encoding = Encoding(problem, background)
        features, target = self._encoding(rows), warped(accuracies)
        self._surrogates: list[Surrogate] = []
        for level in _NOISE_LEVELS:
            surrogate = Surrogate(self._encoding.choice_of_column, noise=_NOISE.at(level))
            if self._surrogates:
                surrogate.start_from(self._surrogates[-1])
            surrogate.fit(features, target, iterations=60)
            self._surrogates.append(surrogate)
        evidence = np.array([surrogate.log_posterior for surrogate in self._surrogates]) - 0.5 * np.square(
            _NOISE_LEVELS
        )
        weights = np.exp(evidence - evidence.max())
        cumulative = np.cumsum([0.0, *weights / weights.sum()])
        self._draw_counts = np.diff(np.round(_DRAWS * cumulative)).astype(int)

    @one_thread
    def sample(self, rows: Rows, *, seed: int) -> PosteriorSamples:
        """Return samples of the joint posterior of architectures, trained or not.

        Args:
            rows: Distinct rows, (N, L).
            seed: Random seed of the draws.
        """
        features, rng = self._encoding(rows), np.random.default_rng(seed)
        draws = [_draw_normal(*surrogate.joint(features), count, rng) for surrogate, count in self._levels()]
        return PosteriorSamples(draws=self._accuracies(draws), cost=self._problem.costs(rows)[:, 0])

    @one_thread
    def simulate(self, rows: Rows, *, seed: int) -> NDArray[np.float64]:
        """Return samples of the expected accuracies after each architecture has been trained once, (D, N).

        They can be compared with the expected accuracies of architectures that were trained. For each sample, true
        accuracies are drawn, the noise of one training is added to them, and the expected accuracies given these
        observations are computed.

        Args:
            rows: Distinct rows, (N, L); those that are trained already are trained once more in the simulation.
            seed: Random seed of the draws.
        """
        features, rng, draws = self._encoding(rows), np.random.default_rng(seed), []
        for surrogate, count in self._levels():
            mean, covariance = surrogate.joint(features)
            noise = surrogate.noise_deviation
            observed = _draw_normal(mean, covariance, count, rng) + noise * rng.standard_normal((count, len(mean)))
            gain = np.linalg.solve(covariance + noise**2 * np.eye(len(mean)), covariance)  # (N, N)
            draws.append(mean + (observed - mean) @ gain)
        return self._accuracies(draws)

    def _levels(self) -> Iterator[tuple[Surrogate, int]]:
        """Yield every surrogate that has a share of the draws, with the number of its draws."""
        yield from (
            (surrogate, count)
            for surrogate, count in zip(self._surrogates, self._draw_counts.tolist(), strict=True)
            if count
        )

    def _accuracies(self, draws: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.clip(unwarped(np.concatenate(draws), self._observed), 0.0, 1.0)


def _draw_normal(
    mean: NDArray[np.float64], covariance: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return draws from a normal distribution, (count, N); its covariance may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return mean + rng.standard_normal((count, len(mean))) @ root.T
