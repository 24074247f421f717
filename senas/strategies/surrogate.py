"""Surrogate: a Gaussian process on accuracy, over features of architectures that are known without training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, get_lapack_funcs, solve_triangular
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController

from senas.strategies.encoding import Features

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_JITTER = 1e-6
_MAX_FITTED = 300  # results that hyper-parameters are fitted to
_MAX_DEVIATIONS = 4.0  # limit of hyper-parameters: standard deviations of their priors from the medians
one_thread = ThreadpoolController().wrap(limits=1, user_api="blas")
"""Decorator of functions that compute with surrogates, which limits BLAS to one thread.

The matrices are small, and the other cores are training networks. The last digits of a result, which can decide a
proposal, must not depend on the number of cores either.
"""
_dpotrf, _dpotri = get_lapack_funcs(("potrf", "potri"), dtype=np.float64)  # Cholesky, and the inverse from its factor


class Prior(NamedTuple):
    """Log-normal prior of a hyper-parameter: its median, and the standard deviation of its logarithm."""

    median: float
    spread: float

    def at(self, away: float) -> float:
        """Return the value that is `away` standard deviations from the median."""
        return self.median * float(np.exp(away * self.spread))


# amplitudes and the noise are variances of a standardised accuracy; lengths refer to features scaled to about 1. The
# cost and the number of occurrences of each option act smoothly over the whole space, so their lengths are long; with
# the large amplitude of the shares, the expected slope or curvature is about 1
_PRIORS = {
    "noise": Prior(0.01, 1.0),
    "trend": Prior(0.5, 1.0),
    "trend_length": Prior(1.2, 0.6),
    "main": Prior(0.5, 1.0),
    "main_weight": Prior(1.0, 0.4),  # one per choice
    "joint": Prior(0.3, 1.0),
    "joint_decay": Prior(2.0, 1.0),
    "joint_weight": Prior(1.0, 0.4),  # one per choice
    "joint_length": Prior(0.5, 0.6),
    "shares": Prior(9.0, 1.0),
    "shares_length": Prior(2.1, 0.7),
    "effects": Prior(0.5, 1.0),
    "effects_length": Prior(1.0, 0.7),
}
_PER_CHOICE = ("main_weight", "joint_weight")


@dataclass(frozen=True, kw_only=True)
class _Term:
    """One term of the sum that is the kernel.

    Attributes:
        name: Name of the hyper-parameter that is its amplitude.
        matrix: Correlations, (N, M).
        slopes: Derivatives of the logarithm of the matrix with respect to the logarithms of hyper-parameters, each as
            the name of the hyper-parameter, a factor, and a matrix, (N, M).
    """

    name: str
    matrix: Matrix
    slopes: tuple[tuple[str, float, Matrix], ...] = ()


class Surrogate:
    """Gaussian process regression (Rasmussen & Williams 2006, algorithm 2.1).

    The hyper-parameters are fitted by maximum a posteriori estimation.

    The kernel is a sum of five terms: a smooth trend along the minimised cost; main effects, with one weight per
    choice; interactions, which decay with every choice that differs (a weighted Hamming distance) and with the
    difference in cost; the number of occurrences of each option, wherever they are; and the contributions of the chosen
    options to each cost. A constant mean has an almost flat prior.

    Args:
        choice_of_column: Number of the choice that each column of `Features.one_hot` belongs to, (D,).
        noise: Variance of one training, as a share of the variance of all accuracies; `None` to fit it.

    Attributes:
        hyper: Logarithms of the hyper-parameters.
        log_posterior: Log posterior density of the hyper-parameters at the last fit, up to a constant.
    """

    def __init__(self, choice_of_column: NDArray[np.integer], *, noise: float | None = None):
        self._choice = choice_of_column
        choices = int(choice_of_column.max()) + 1
        self._slices: dict[str, slice] = {}
        for name in _PRIORS:
            start = next(reversed(self._slices.values())).stop if self._slices else 0
            self._slices[name] = slice(start, start + (choices if name in _PER_CHOICE else 1))
        repeats = [part.stop - part.start for part in self._slices.values()]
        self._centre = np.repeat([np.log(prior.median) for prior in _PRIORS.values()], repeats)
        self._spread = np.repeat([prior.spread for prior in _PRIORS.values()], repeats)
        self._limit = _MAX_DEVIATIONS * self._spread
        if noise is not None:
            self._centre[self._slices["noise"]], self._limit[self._slices["noise"]] = np.log(noise), 0.0
        self.hyper: Vector = self._centre.copy()
        self.log_posterior = -np.inf

    def start_from(self, other: "Surrogate") -> None:
        """Start the next fit from another surrogate's hyper-parameters, clipped to the limits of this one."""
        self.hyper = np.clip(other.hyper, self._centre - self._limit, self._centre + self._limit)

    def fit(self, features: Features, target: Vector, *, iterations: int) -> None:
        """Optimise the hyper-parameters from their current values, then condition on the data.

        The optimum is the most probable value. If there are very many results, only an evenly spread subset of them is
        used for the hyper-parameters.

        Args:
            features: Features of the evaluated architectures, N of them.
            target: Observed targets, (N,).
            iterations: Maximum number of iterations of L-BFGS-B.
        """
        self._set_scale(target)
        subset = np.linspace(0, len(target) - 1, min(len(target), _MAX_FITTED)).round().astype(int)
        optimum = minimize(
            self._loss,
            self.hyper,
            args=(features.take(subset), self._standardised(target)[subset]),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(self._centre - self._limit, self._centre + self._limit, strict=True)),
            options={"maxiter": iterations},
        )
        self.hyper, self.log_posterior = optimum.x, -float(optimum.fun)
        self.condition(features, target)

    def condition(self, features: Features, target: Vector) -> None:
        """Condition on N results with the current hyper-parameters."""
        self._set_scale(target)
        covariance = self._kernel(features, features)
        covariance[np.diag_indices(len(features))] += self._noise
        self._data = features
        self._factor = np.linalg.cholesky(covariance)
        self._weights = cho_solve((self._factor, True), self._standardised(target), check_finite=False)

    def predict(self, features: Features) -> tuple[Vector, Vector]:
        """Return the posterior mean and standard deviation of each architecture, without noise, (N,) each."""
        across = self._kernel(self._data, features)  # (data, N)
        solved = solve_triangular(self._factor, across, lower=True, check_finite=False)
        variance = self._variance - np.einsum("ij,ij->j", solved, solved)
        return self._unstandardised(across.T @ self._weights), np.sqrt(np.maximum(variance, 1e-10)) * self._scale

    def joint(self, features: Features) -> tuple[Vector, Matrix]:
        """Return the joint posterior mean, (N,), and covariance, (N, N), of architectures, without noise."""
        across = self._kernel(self._data, features)
        solved = solve_triangular(self._factor, across, lower=True, check_finite=False)
        covariance = self._kernel(features, features) - solved.T @ solved
        return self._unstandardised(across.T @ self._weights), covariance * self._scale**2

    @property
    def noise_deviation(self) -> float:
        """Standard deviation of one training of an architecture around its mean, in units of the target."""
        return float(np.sqrt(self._noise)) * self._scale

    def _value(self, name: str) -> Vector:
        return np.exp(self.hyper[self._slices[name]])

    @property
    def _noise(self) -> float:
        return float(self._value("noise")[0]) + _JITTER

    @property
    def _variance(self) -> float:
        return 1.0 + sum(float(self._value(name)[0]) for name in ("trend", "main", "joint", "shares", "effects"))

    def _set_scale(self, target: Vector) -> None:
        self._centre_of_target, spread = float(target.mean()), float(target.std())
        self._scale = spread if spread > 0 else 1.0

    def _standardised(self, target: Vector) -> Vector:
        return (target - self._centre_of_target) / self._scale

    def _unstandardised(self, value: Vector) -> Vector:
        return value * self._scale + self._centre_of_target

    def _kernel(self, one: Features, other: Features) -> Matrix:
        """Return the prior covariance without noise, (N, M)."""
        return self._summed(self._terms(one, other))

    def _summed(self, terms: Sequence[_Term]) -> Matrix:
        """Return the kernel, given its terms, (N, M); the initial ones are the variance of the constant mean."""
        total = np.ones_like(terms[0].matrix)
        for term in terms:
            total += self._value(term.name)[0] * term.matrix
        return total

    def _terms(self, one: Features, other: Features) -> list[_Term]:
        half_squared = 0.5 * (one.cost[:, None] - other.cost) ** 2
        weights = self._main_weights()
        decays = self._joint_decays()
        hamming = decays.sum() - _agreement(one, other, decays[self._choice])
        trend = half_squared / self._value("trend_length") ** 2
        cost_distance = half_squared / self._value("joint_length") ** 2
        shares = _distance(one.shares, other.shares) / self._value("shares_length") ** 2
        effects = _distance(one.effects, other.effects) / self._value("effects_length") ** 2
        return [
            _Term(name="trend", matrix=np.exp(-trend), slopes=(("trend_length", 2.0, trend),)),
            _Term(name="main", matrix=_agreement(one, other, weights[self._choice])),
            _Term(
                name="joint",
                matrix=np.exp(-hamming - cost_distance),
                slopes=(("joint_length", 2.0, cost_distance), ("joint_decay", -1.0, hamming)),
            ),
            _Term(name="shares", matrix=np.exp(-shares), slopes=(("shares_length", 2.0, shares),)),
            _Term(name="effects", matrix=np.exp(-effects), slopes=(("effects_length", 2.0, effects),)),
        ]

    def _main_weights(self) -> Vector:
        weights = self._value("main_weight")
        return weights / weights.sum()

    def _joint_decays(self) -> Vector:
        weights = self._value("joint_weight")
        return weights * self._value("joint_decay") / len(weights)

    def _loss(self, hyper: Vector, features: Features, target: Vector) -> tuple[float, Vector]:
        """Return the negative log posterior density of the hyper-parameters, and its gradient (ibid., equation 5.9)."""
        self.hyper = hyper
        terms = self._terms(features, features)
        covariance = self._summed(terms)
        covariance[np.diag_indices(len(features))] += self._noise
        lower, failed = _dpotrf(covariance, lower=1)
        if failed:
            return 1e10, np.zeros(len(hyper))
        inverse, _ = _dpotri(lower, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        weights = inverse @ target
        away = (hyper - self._centre) / self._spread
        loss = 0.5 * target @ weights + np.log(np.diag(lower)).sum() + 0.5 * away @ away
        by_covariance = 0.5 * (inverse - np.outer(weights, weights))
        gradient = away / self._spread
        gradient[self._slices["noise"]] += self._value("noise") * np.trace(by_covariance)
        for term in terms:
            by_term = self._value(term.name)[0] * by_covariance * term.matrix
            gradient[self._slices[term.name]] += by_term.sum()
            for name, factor, slope in term.slopes:
                gradient[self._slices[name]] += factor * (by_term * slope).sum()
            if term.name == "joint":
                sum_of_differing = by_term.sum() - self._per_choice(features, by_term)
                gradient[self._slices["joint_weight"]] -= self._joint_decays() * sum_of_differing
        shared = self._value("main")[0] * self._main_weights() * self._per_choice(features, by_covariance)
        gradient[self._slices["main_weight"]] += shared - self._main_weights() * shared.sum()
        return float(loss), gradient

    def _per_choice(self, features: Features, matrix: Matrix) -> Vector:
        """Return the sum of a matrix over the pairs that agree in a choice, for each choice, (L,)."""
        columns = np.einsum("id,id->d", matrix @ features.one_hot, features.one_hot)
        return np.bincount(self._choice, columns).astype(np.float64)


def warped(accuracy: Vector) -> Vector:
    """Return accuracies in which those below the median are compressed, since bad networks need no detailed model.

    Values at or above the median are unchanged, so an expected improvement there stays exact; below the median, the
    distance to it is compressed logarithmically. Without this, a few networks that do not train at all would determine
    the scale.

    Args:
        accuracy: Accuracies, (N,).
    """
    middle, unit = _compression(accuracy)
    below = np.maximum(middle - accuracy, 0.0)
    return np.where(below > 0, middle - unit * np.log1p(below / unit), accuracy)


def unwarped(target: NDArray[np.float64], accuracy: Vector) -> NDArray[np.float64]:
    """Return the accuracies of targets: the inverse of the function that `warped` applies to `accuracy`.

    Args:
        target: Targets of any shape.
        accuracy: Accuracies that define the function, (N,).
    """
    middle, unit = _compression(accuracy)
    below = np.maximum(middle - target, 0.0)
    return np.where(below > 0, middle - unit * np.expm1(np.minimum(below / unit, 50.0)), target)


def _compression(accuracy: Vector) -> tuple[float, float]:
    """Return the accuracy below which the compression begins, and its unit."""
    middle, upper = np.quantile(accuracy, [0.5, 0.9])
    unit = max(float(upper - middle), 0.02 * float(accuracy.std()), 1e-9)  # with ties at the top, upper equals middle
    return float(middle), unit


def _agreement(one: Features, other: Features, weight: Vector) -> Matrix:
    """Return the sum of the weights of the choices that agree, (N, M)."""
    return (one.one_hot * weight) @ other.one_hot.T


def _distance(one: Matrix, other: Matrix) -> Matrix:
    """Return half the squared Euclidean distance, (N, M)."""
    squares = np.einsum("ij,ij->i", one, one)[:, None] + np.einsum("ij,ij->i", other, other)
    return np.maximum(0.5 * squares - one @ other.T, 0.0)


def concatenated(parts: Sequence[Features]) -> Features:
    """Return the features of several sets of architectures, concatenated in order."""
    return Features(
        one_hot=np.concatenate([part.one_hot for part in parts]),
        shares=np.concatenate([part.shares for part in parts]),
        effects=np.concatenate([part.effects for part in parts]),
        cost=np.concatenate([part.cost for part in parts]),
    )
