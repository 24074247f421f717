"""Imputation of the latency of parts that were not measured, from similar parts.

The latency of a cell with SE is split into that of its body, which is always measured, and what SE adds to it. What SE
adds is a smooth function: it grows with the number of elements that SE touches and hardly depends on the reduction. A
Gaussian process over a few features therefore learns it from a share of the cells (Rasmussen & Williams 2006, algorithm
2.1 and section 5.4.1).
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from senas.architecture import SE, Branches, Cell, Chain, Operation, Part, Shape

_MIN_SE_SHARE = 0.01  # minimum that SE adds, as a share of the body, since its logarithm is learned
_LENGTH_SCALES = (1.0, 2.0, 4.0)  # length scales to try, in standard deviations of a feature
_WIRING_CORRELATIONS = (0.5, 0.8, 0.95)  # correlations to try between two ways of wiring SE in, if all else is equal
_NOISE_LEVELS = (0.05, 0.1, 0.2, 0.4)  # standard deviations of the noise to try, as a share of that of the targets


def choose_parts(parts: Sequence[Part], share: float, rng: np.random.Generator) -> list[Part]:
    """Return the parts to measure: all without SE, the bodies of all with SE, and a share of those with SE.

    Args:
        parts: Parts of a space.
        share: Share of the parts with SE, in (0, 1]; at least one of each way to wire SE in is chosen.
        rng: Random generator of the choice.
    """
    bodies = dict.fromkeys(part.without_se() for part in parts)
    with_se = [part for part in parts if part not in bodies]
    chosen: dict[Part, None] = {}
    for _, group in itertools.groupby(sorted(with_se, key=_wiring), key=_wiring):
        members = list(group)
        count = max(1, round(share * len(members)))
        chosen |= dict.fromkeys(members[i] for i in sorted(rng.permutation(len(members))[:count]))
    return [*bodies, *(part for part in with_se if part in chosen)]


def impute(parts: Iterable[Part], measured_ms: Mapping[Part, float]) -> dict[Part, float]:
    """Return the latencies in milliseconds of the parts that were not measured.

    Args:
        parts: Parts that need an entry.
        measured_ms: Measured latencies of the parts that `choose_parts` returned.
    """
    missing = [part for part in parts if part not in measured_ms]
    if not missing:
        return {}
    with_se = [part for part in measured_ms if part != part.without_se()]
    added_ms = [measured_ms[part] - measured_ms[part.without_se()] for part in with_se]
    minimum_ms = [_MIN_SE_SHARE * measured_ms[part.without_se()] for part in with_se]
    process = _fit_process([_features(part) for part in with_se], np.log(np.maximum(added_ms, minimum_ms)))
    predicted_ms = np.exp(process.mean([_features(part) for part in missing]))
    return {part: measured_ms[part.without_se()] + float(ms) for part, ms in zip(missing, predicted_ms, strict=True)}


@dataclass(frozen=True, kw_only=True)
class _SEFeatures:
    """Features of a cell that determine the latency that SE adds.

    Attributes:
        numbers: Logarithms of the elements of the recalibrated map, of its channels and of the hidden units.
        wiring: How SE is wired in.
    """

    numbers: tuple[float, float, float]
    wiring: tuple[str, ...]


def _wiring(part: Part) -> tuple[str, ...]:
    """Return how SE is wired into a cell, and the kind of cell; empty without SE."""
    assert isinstance(part.layer, Cell)
    se = part.layer.se
    return () if se is None else (se.integration, se.squeeze, se.excitation, part.layer.kind)


def _features(part: Part) -> _SEFeatures:
    """Return the features of a cell with SE."""
    places = [
        (shape, operation.config)
        for operation, shape in _walk(part.layout, part.in_shape)
        if isinstance(operation, SE) and operation.config is not None
    ]
    shape, config = places[0]
    elements = sum(place.channels * place.size**2 for place, _ in places)
    numbers = np.log([elements, shape.channels, config.hidden(shape.channels)])
    return _SEFeatures(numbers=tuple(map(float, numbers)), wiring=_wiring(part))  # type: ignore[arg-type]  # three numbers


def _walk(operation: Operation, in_shape: Shape) -> Iterator[tuple[Operation, Shape]]:
    """Yield every operation that contains no others, with the shape of its input."""
    if isinstance(operation, Chain):
        for step in operation.steps:
            yield from _walk(step, in_shape)
            in_shape = step.shape(in_shape)
    elif isinstance(operation, Branches):
        for branch in operation.inner:
            yield from _walk(branch, in_shape)
    else:
        yield operation, in_shape


@dataclass(frozen=True, kw_only=True)
class _GaussianProcess:
    """Gaussian process with a constant mean, conditioned on targets.

    Attributes:
        points: Features of the n cells with targets.
        length: Length scale, in standard deviations of a feature.
        wiring_correlation: Correlation between two ways of wiring SE in.
        centre: Means of the numeric features (3,).
        scale: Standard deviations of the numeric features (3,).
        level: Mean of the targets.
        deviation: Standard deviation of the targets.
        weights: Weights of the targets' kernels (n,).
    """

    points: list[_SEFeatures]
    length: float
    wiring_correlation: float
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    level: float
    deviation: float
    weights: NDArray[np.floating]

    def mean(self, points: list[_SEFeatures]) -> NDArray[np.floating]:
        """Return the posterior means (m,) at m points."""
        kernel = _kernel(points, self.points, self.length, self.wiring_correlation, self.centre, self.scale)
        return self.level + self.deviation * kernel @ self.weights


def _fit_process(points: list[_SEFeatures], targets: NDArray[np.float64]) -> _GaussianProcess:
    """Return the process whose hyper-parameters maximise the marginal likelihood of the targets on a small grid."""
    numbers = np.array([point.numbers for point in points])  # (n, 3)
    centre, scale = numbers.mean(0), np.maximum(numbers.std(0), 1e-6)
    level, deviation = float(targets.mean()), max(float(targets.std()), 1e-6)
    standard = (targets - level) / deviation
    best_likelihood, best = -np.inf, None
    for length, wiring_correlation, noise in itertools.product(_LENGTH_SCALES, _WIRING_CORRELATIONS, _NOISE_LEVELS):
        kernel = _kernel(points, points, length, wiring_correlation, centre, scale)
        lower = np.linalg.cholesky(kernel + noise**2 * np.eye(len(points)))
        weights = np.linalg.solve(lower.T, np.linalg.solve(lower, standard))
        likelihood = float(-0.5 * standard @ weights - np.log(np.diag(lower)).sum())
        if likelihood > best_likelihood:
            best_likelihood, best = likelihood, (length, wiring_correlation, weights)
    assert best is not None
    length, wiring_correlation, weights = best
    return _GaussianProcess(
        points=points,
        length=length,
        wiring_correlation=wiring_correlation,
        centre=centre,
        scale=scale,
        level=level,
        deviation=deviation,
        weights=weights,
    )


def _kernel(
    rows: list[_SEFeatures],
    columns: list[_SEFeatures],
    length: float,
    wiring_correlation: float,
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the kernel matrix (rows, columns).

    It is a squared exponential in the numeric features, times `wiring_correlation` if SE is wired in differently.
    """
    left, right = (
        (np.array([point.numbers for point in group]) - centre) / (scale * length) for group in (rows, columns)
    )
    distance = ((left[:, None, :] - right[None, :, :]) ** 2).sum(-1)
    same = np.array([[row.wiring == column.wiring for column in columns] for row in rows])
    return np.exp(-distance / 2) * np.where(same, 1.0, wiring_correlation)
