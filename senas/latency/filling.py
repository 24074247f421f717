"""Entries that were not measured, filled in from parts like them.

A cell with SE is factored into its body, which is always measured, and what SE adds to it. What SE adds is smooth: it
grows with the elements it has to touch and hardly depends on the reduction. So a Gaussian process over a few features
learns it from a share of the cells (Rasmussen & Williams 2006, algorithm 2.1 and section 5.4.1).
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Part
from senas.cells import Cell
from senas.layers.layout import Branches, Chain, Operation, Shape
from senas.layers.operations import SE

_FLOOR = 0.01  # of the body: what SE adds at least, since its logarithm is learned
_LENGTHS = (1.0, 2.0, 4.0)  # in standard deviations of a feature
_KINDS = (0.5, 0.8, 0.95)  # correlation between two ways of wiring SE in, all else being equal
_NOISES = (0.05, 0.1, 0.2, 0.4)  # standard deviation, as a share of that of the targets


def choose_parts(parts: Sequence[Part], share: float, rng: np.random.Generator) -> list[Part]:
    """The parts to measure: every one without SE, the body of every one with SE, and a share of the latter.

    Args:
        parts: of a space.
        share: of those with SE, in (0, 1]; at least one of each way to wire SE in is chosen.
        rng: chooses.
    """
    bodies = dict.fromkeys(part.without_se() for part in parts)
    with_se = [part for part in parts if part not in bodies]
    chosen: dict[Part, None] = {}
    for _, group in itertools.groupby(sorted(with_se, key=_way), key=_way):
        members = list(group)
        count = max(1, round(share * len(members)))
        chosen |= dict.fromkeys(members[i] for i in sorted(rng.permutation(len(members))[:count]))
    return [*bodies, *(part for part in with_se if part in chosen)]


def fill(parts: Iterable[Part], measured_ms: Mapping[Part, float]) -> dict[Part, float]:
    """Latencies in milliseconds of the parts that were not measured.

    Args:
        parts: all that an entry is needed for.
        measured_ms: of parts as `choose_parts` chose them.
    """
    missing = [part for part in parts if part not in measured_ms]
    if not missing:
        return {}
    known = [part for part in measured_ms if part != part.without_se()]
    added = [measured_ms[part] - measured_ms[part.without_se()] for part in known]
    floors = [_FLOOR * measured_ms[part.without_se()] for part in known]
    process = _fit([_features(part) for part in known], np.log(np.maximum(added, floors)))
    predicted = np.exp(process.mean([_features(part) for part in missing]))
    return {part: measured_ms[part.without_se()] + float(ms) for part, ms in zip(missing, predicted, strict=True)}


@dataclass(frozen=True, kw_only=True)
class _Features:
    """What the latency that SE adds depends on.

    Attributes:
        numbers: logarithms of the elements of the recalibrated map, of its channels and of the hidden units.
        way: how SE is wired in.
    """

    numbers: tuple[float, float, float]
    way: tuple[str, ...]


def _way(part: Part) -> tuple[str, ...]:
    assert isinstance(part.layer, Cell)
    se = part.layer.se
    return () if se is None else (se.integration, se.squeeze, se.excitation, part.layer.kind)


def _features(part: Part) -> _Features:
    places = [
        (shape, operation.config)
        for operation, shape in _flow(part.layout, part.inflow)
        if isinstance(operation, SE) and operation.config is not None
    ]
    shape, config = places[0]
    elements = sum(place.channels * place.size**2 for place, _ in places)
    numbers = np.log([elements, shape.channels, config.hidden(shape.channels)])
    return _Features(numbers=tuple(map(float, numbers)), way=_way(part))  # type: ignore[arg-type]  # three of them


def _flow(operation: Operation, inflow: Shape) -> Iterator[tuple[Operation, Shape]]:
    """Every operation that holds no others, with what flows into it."""
    if isinstance(operation, Chain):
        for step in operation.steps:
            yield from _flow(step, inflow)
            inflow = step.shape(inflow)
    elif isinstance(operation, Branches):
        for branch in operation.inner:
            yield from _flow(branch, inflow)
    else:
        yield operation, inflow


@dataclass(frozen=True, kw_only=True)
class _Process:
    """A Gaussian process with a constant mean, conditioned on targets."""

    points: list[_Features]
    length: float
    kinds: float
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    level: float
    deviation: float
    weights: NDArray[np.floating]

    def mean(self, points: list[_Features]) -> NDArray[np.floating]:
        """Posterior means (n,)."""
        kernel = _kernel(points, self.points, self.length, self.kinds, self.centre, self.scale)
        return self.level + self.deviation * kernel @ self.weights


def _fit(points: list[_Features], targets: NDArray[np.float64]) -> _Process:
    """The process whose hyper-parameters give the targets the largest marginal likelihood on a small grid."""
    numbers = np.array([point.numbers for point in points])  # (n, 3)
    centre, scale = numbers.mean(0), np.maximum(numbers.std(0), 1e-6)
    level, deviation = float(targets.mean()), max(float(targets.std()), 1e-6)
    standard = (targets - level) / deviation
    best, chosen = -np.inf, None
    for length, kinds, noise in itertools.product(_LENGTHS, _KINDS, _NOISES):
        kernel = _kernel(points, points, length, kinds, centre, scale)
        lower = np.linalg.cholesky(kernel + noise**2 * np.eye(len(points)))
        weights = np.linalg.solve(lower.T, np.linalg.solve(lower, standard))
        likelihood = float(-0.5 * standard @ weights - np.log(np.diag(lower)).sum())
        if likelihood > best:
            best, chosen = likelihood, (length, kinds, weights)
    assert chosen is not None
    length, kinds, weights = chosen
    return _Process(
        points=points,
        length=length,
        kinds=kinds,
        centre=centre,
        scale=scale,
        level=level,
        deviation=deviation,
        weights=weights,
    )


def _kernel(
    rows: list[_Features],
    columns: list[_Features],
    length: float,
    kinds: float,
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Squared exponential in the numbers, times `kinds` where SE is wired in differently: (rows, columns)."""
    one, other = (
        (np.array([point.numbers for point in group]) - centre) / (scale * length) for group in (rows, columns)
    )
    distance = ((one[:, None, :] - other[None, :, :]) ** 2).sum(-1)
    same = np.array([[row.way == column.way for column in columns] for row in rows])
    return np.exp(-distance / 2) * np.where(same, 1.0, kinds)
