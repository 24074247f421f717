"""The surrogate: a Gaussian process on accuracy over what is known of an architecture for free."""

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
_FITTED = 300  # results at most that hyper-parameters are fitted to
_REACH = 4.0  # standard deviations of their priors that hyper-parameters may be away from their medians
one_thread = ThreadpoolController().wrap(limits=1, user_api="blas")
"""Decorates what computes with surrogates: their matrices are small and the other cores are training networks, and
the last digits of a result, on which a proposal may turn, must not depend on how many cores there are."""
_dpotrf, _dpotri = get_lapack_funcs(("potrf", "potri"), dtype=np.float64)  # Cholesky, and the inverse from it


class Prior(NamedTuple):
    """Log-normal prior of a hyper-parameter: its median, and the standard deviation of its logarithm."""

    median: float
    spread: float

    def at(self, away: float) -> float:
        """The value so many standard deviations from the median."""
        return self.median * float(np.exp(away * self.spread))


# Amplitudes and the noise are variances of a standardised accuracy, lengths are of features scaled to about 1. The
# cost, and how often each option occurs, act smoothly over the whole space: their lengths are long, and with the large
# amplitude of the shares a slope or a curvature of about 1 is what is expected of them.
_PRIORS = {
    "noise": Prior(0.01, 1.0),
    "trend": Prior(0.5, 1.0),
    "trend_length": Prior(1.2, 0.6),
    "main": Prior(0.5, 1.0),
    "main_weight": Prior(1.0, 0.4),  # of each choice
    "joint": Prior(0.3, 1.0),
    "joint_decay": Prior(2.0, 1.0),
    "joint_weight": Prior(1.0, 0.4),  # of each choice
    "joint_length": Prior(0.5, 0.6),
    "shares": Prior(9.0, 1.0),
    "shares_length": Prior(2.1, 0.7),
    "effects": Prior(0.5, 1.0),
    "effects_length": Prior(1.0, 0.7),
}
_PER_CHOICE = ("main_weight", "joint_weight")


@dataclass(frozen=True, kw_only=True)
class _Term:
    """One summand of the kernel.

    Attributes:
        name: of its amplitude.
        matrix: (N, M) correlations.
        slopes: of the logarithm of the matrix by the logarithm of a hyper-parameter, as its name, a factor and (N, M).
    """

    name: str
    matrix: Matrix
    slopes: tuple[tuple[str, float, Matrix], ...] = ()


class Surrogate:
    """Gaussian process regression (Rasmussen & Williams 2006, algorithm 2.1), hyper-parameters by maximum a posteriori.

    The kernel is a sum of five terms: a smooth trend along the minimised cost; main effects, one weight per choice;
    interactions, which decay with every choice that differs (a weighted Hamming distance) and with the difference in
    cost; how often each option occurs, wherever it does; and what the chosen options add to each cost. A constant mean
    has an almost flat prior.

    Args:
        choice_of_column: which choice each column of `Features.one_hot` belongs to, (D,).
        noise: variance of one training, as a share of that of all accuracies; `None` for one that is fitted.
    """

    def __init__(self, choice_of_column: NDArray[np.integer], *, noise: float | None = None):
        self._choice = choice_of_column
        choices = int(choice_of_column.max()) + 1
        self._at: dict[str, slice] = {}
        for name in _PRIORS:
            start = next(reversed(self._at.values())).stop if self._at else 0
            self._at[name] = slice(start, start + (choices if name in _PER_CHOICE else 1))
        repeats = [where.stop - where.start for where in self._at.values()]
        self._centre = np.repeat([np.log(prior.median) for prior in _PRIORS.values()], repeats)
        self._spread = np.repeat([prior.spread for prior in _PRIORS.values()], repeats)
        self._reach = _REACH * self._spread
        if noise is not None:
            self._centre[self._at["noise"]], self._reach[self._at["noise"]] = np.log(noise), 0.0
        self.hyper: Vector = self._centre.copy()  # logarithms
        self.log_posterior = -np.inf  # of the hyper-parameters as last fitted, up to a constant

    def start_from(self, other: "Surrogate") -> None:
        """Take another surrogate's hyper-parameters, as far as the priors allow, for the next fit to start from."""
        self.hyper = np.clip(other.hyper, self._centre - self._reach, self._centre + self._reach)

    def fit(self, features: Features, target: Vector, *, iterations: int) -> None:
        """Move the hyper-parameters towards the most probable ones, from where they stand, then condition on the data.

        Of very many results only some, evenly spread over them, decide on the hyper-parameters.

        Args:
            features: (N,) of what was evaluated.
            target: (N,) what was seen.
            iterations: of L-BFGS-B at most.
        """
        self._standardise(target)
        some = np.linspace(0, len(target) - 1, min(len(target), _FITTED)).round().astype(int)
        found = minimize(
            self._loss,
            self.hyper,
            args=(features.take(some), self._standard(target)[some]),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(self._centre - self._reach, self._centre + self._reach, strict=True)),
            options={"maxiter": iterations},
        )
        self.hyper, self.log_posterior = found.x, -float(found.fun)
        self.condition(features, target)

    def condition(self, features: Features, target: Vector) -> None:
        """Take data into account, (N,), under the hyper-parameters as they are."""
        self._standardise(target)
        covariance = self._kernel(features, features)
        covariance[np.diag_indices(len(features))] += self._noise
        self._data = features
        self._factor = np.linalg.cholesky(covariance)
        self._weights = cho_solve((self._factor, True), self._standard(target), check_finite=False)

    def predict(self, features: Features) -> tuple[Vector, Vector]:
        """Mean and standard deviation of what is to be expected of each architecture, without noise, (N,) each."""
        across = self._kernel(self._data, features)  # (data, N)
        solved = solve_triangular(self._factor, across, lower=True, check_finite=False)
        variance = self._variance - np.einsum("ij,ij->j", solved, solved)
        return self._original(across.T @ self._weights), np.sqrt(np.maximum(variance, 1e-10)) * self._scale

    def joint(self, features: Features) -> tuple[Vector, Matrix]:
        """Mean (N,) and covariance (N, N) of what is to be expected of architectures together, without noise."""
        across = self._kernel(self._data, features)
        solved = solve_triangular(self._factor, across, lower=True, check_finite=False)
        covariance = self._kernel(features, features) - solved.T @ solved
        return self._original(across.T @ self._weights), covariance * self._scale**2

    @property
    def noise_deviation(self) -> float:
        """Standard deviation of one training of an architecture around its mean, in units of the target."""
        return float(np.sqrt(self._noise)) * self._scale

    def _value(self, name: str) -> Vector:
        return np.exp(self.hyper[self._at[name]])

    @property
    def _noise(self) -> float:
        return float(self._value("noise")[0]) + _JITTER

    @property
    def _variance(self) -> float:
        return 1.0 + sum(float(self._value(name)[0]) for name in ("trend", "main", "joint", "shares", "effects"))

    def _standardise(self, target: Vector) -> None:
        self._centre_of_target, spread = float(target.mean()), float(target.std())
        self._scale = spread if spread > 0 else 1.0

    def _standard(self, target: Vector) -> Vector:
        return (target - self._centre_of_target) / self._scale

    def _original(self, standard: Vector) -> Vector:
        return standard * self._scale + self._centre_of_target

    def _kernel(self, one: Features, other: Features) -> Matrix:
        """Prior covariance without noise, (N, M)."""
        return self._summed(self._terms(one, other))

    def _summed(self, terms: Sequence[_Term]) -> Matrix:
        """The kernel of its terms, (N, M); the ones are the constant mean's."""
        total = np.ones_like(terms[0].matrix)
        for term in terms:
            total += self._value(term.name)[0] * term.matrix
        return total

    def _terms(self, one: Features, other: Features) -> list[_Term]:
        by_cost = 0.5 * (one.cost[:, None] - other.cost) ** 2
        weights = self._main_weights()
        decays = self._joint_decays()
        apart = decays.sum() - _agreement(one, other, decays[self._choice])
        trend = by_cost / self._value("trend_length") ** 2
        nearby = by_cost / self._value("joint_length") ** 2
        shares = _distance(one.shares, other.shares) / self._value("shares_length") ** 2
        effects = _distance(one.effects, other.effects) / self._value("effects_length") ** 2
        return [
            _Term(name="trend", matrix=np.exp(-trend), slopes=(("trend_length", 2.0, trend),)),
            _Term(name="main", matrix=_agreement(one, other, weights[self._choice])),
            _Term(
                name="joint",
                matrix=np.exp(-apart - nearby),
                slopes=(("joint_length", 2.0, nearby), ("joint_decay", -1.0, apart)),
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
        """Negative log posterior density of the hyper-parameters, and its gradient (ibid., equation 5.9)."""
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
        gradient[self._at["noise"]] += self._value("noise") * np.trace(by_covariance)
        for term in terms:
            by_term = self._value(term.name)[0] * by_covariance * term.matrix
            gradient[self._at[term.name]] += by_term.sum()
            for name, factor, slope in term.slopes:
                gradient[self._at[name]] += factor * (by_term * slope).sum()
            if term.name == "joint":
                differing = by_term.sum() - self._per_choice(features, by_term)
                gradient[self._at["joint_weight"]] -= self._joint_decays() * differing
        shared = self._value("main")[0] * self._main_weights() * self._per_choice(features, by_covariance)
        gradient[self._at["main_weight"]] += shared - self._main_weights() * shared.sum()
        return float(loss), gradient

    def _per_choice(self, features: Features, by: Matrix) -> Vector:
        """The sum of a matrix over the pairs that agree in a choice, for each choice, (L,)."""
        columns = np.einsum("id,id->d", by @ features.one_hot, features.one_hot)
        return np.bincount(self._choice, columns).astype(np.float64)


def warped(accuracy: Vector) -> Vector:
    """Accuracies with those below the median drawn together: what is bad is not worth modelling in detail.

    At and above the median nothing changes, so an expected improvement there stays exact; below it the distance to the
    median is compressed logarithmically. Without it a few networks that do not train at all decide the scale.

    Args:
        accuracy: (N,).
    """
    middle, unit = _bend(accuracy)
    below = np.maximum(middle - accuracy, 0.0)
    return np.where(below > 0, middle - unit * np.log1p(below / unit), accuracy)


def unwarped(target: NDArray[np.float64], accuracy: Vector) -> NDArray[np.float64]:
    """The inverse of `warped` as it was for `accuracy`, of any targets."""
    middle, unit = _bend(accuracy)
    below = np.maximum(middle - target, 0.0)
    return np.where(below > 0, middle - unit * np.expm1(np.minimum(below / unit, 50.0)), target)


def _bend(accuracy: Vector) -> tuple[float, float]:
    """Where the compression begins, and its unit."""
    middle, upper = np.quantile(accuracy, [0.5, 0.9])
    return float(middle), max(float(upper - middle), 0.02 * float(accuracy.std()), 1e-9)  # there may be ties at the top


def _agreement(one: Features, other: Features, weight: Vector) -> Matrix:
    """Sum of the weights of the choices that agree, (N, M)."""
    return (one.one_hot * weight) @ other.one_hot.T


def _distance(one: Matrix, other: Matrix) -> Matrix:
    """Half the squared Euclidean distance, (N, M)."""
    squares = np.einsum("ij,ij->i", one, one)[:, None] + np.einsum("ij,ij->i", other, other)
    return np.maximum(0.5 * squares - one @ other.T, 0.0)


def concatenated(parts: Sequence[Features]) -> Features:
    """Features of several sets of architectures, one after the other."""
    return Features(
        one_hot=np.concatenate([part.one_hot for part in parts]),
        shares=np.concatenate([part.shares for part in parts]),
        effects=np.concatenate([part.effects for part in parts]),
        cost=np.concatenate([part.cost for part in parts]),
    )
