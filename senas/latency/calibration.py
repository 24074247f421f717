"""From the sum over parts to the latency of a whole network, and a bound that 95 % of networks keep.

    then = a + b * sum of entries + c * weight bytes + d * operations
    now  = drift.factor * then + drift.ms_per_operation * operations

Parts are measured alone, with their weights in the cache and nothing before them: the terms for weight bytes and
operations take back what that hides. A machine that grows slower does not slow everything down alike: what issues
operations and what computes them drift apart. So a drift has two numbers, fitted on the anchor networks of a profile,
measured then and now. Between two sessions on a shared 2-core machine the second one halved the mean error, from
0.9 % to 0.4 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from senas.errors import ProfileError

CONFIDENCE = 0.95

_DISTINCT = 1e-2  # smallest singular value of two columns of length 1 that tell two numbers apart
_TERMS = ([0, 1, 2, 3], [0, 1, 2], [0, 1, 3], [0, 1])  # of offset, entries, operations, weights: what may be left
_HUBER, _HUBER_STEPS = 1.5, 10
_NORMAL_MAD = 1.4826  # standard deviation of a normal distribution / its median absolute deviation


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What a prediction looks at; of a part, or summed over the parts of a network.

    Attributes:
        entries_ms: latency of the parts, each measured alone.
        weight_bytes: of the parameters.
        operations: issued one after the other.
    """

    entries_ms: float
    weight_bytes: int
    operations: int

    def __add__(self, other: "Load") -> "Load":
        return Load(
            entries_ms=self.entries_ms + other.entries_ms,
            weight_bytes=self.weight_bytes + other.weight_bytes,
            operations=self.operations + other.operations,
        )


NO_LOAD = Load(entries_ms=0.0, weight_bytes=0, operations=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """How a session differs from the one that made a profile: now = factor * then + ms_per_operation * operations."""

    factor: float = 1.0
    ms_per_operation: float = 0.0

    @classmethod
    def fit(cls, then_ms: Sequence[float], now_ms: Sequence[float], operations: Sequence[int]) -> "Drift":
        """Robust least squares of the relative error over networks measured in both sessions.

        One network that something disturbed must not turn the others: errors beyond 1.5 standard deviations, as the
        median error tells them, weigh less the larger they are (Huber 1964).

        Args:
            then_ms: (n,), n at least 2.
            now_ms: (n,).
            operations: (n,); where all are equal they explain nothing and the factor alone is fitted.
        """
        then, now, counts = (np.asarray(values, dtype=float) for values in (then_ms, now_ms, operations))
        columns = np.stack([then / now, counts / now], axis=1)  # (n, 2)
        lengths = np.linalg.norm(columns, axis=0)  # so that units do not matter
        columns /= lengths
        if np.linalg.svd(columns, compute_uv=False)[-1] < _DISTINCT or len(now) < 2:
            return cls(factor=float(np.median(now / then)))
        found = np.linalg.lstsq(columns, np.ones(len(now)), rcond=None)[0]
        for _ in range(_HUBER_STEPS):
            errors = np.abs(columns @ found - 1)
            deviation = max(_NORMAL_MAD * float(np.median(errors)), 1e-9)
            weights = np.sqrt(np.minimum(1.0, _HUBER * deviation / np.maximum(errors, 1e-12)))
            found = np.linalg.lstsq(columns * weights[:, None], weights, rcond=None)[0]
        factor, per_operation = found / lengths
        return cls(factor=float(factor), ms_per_operation=float(per_operation))

    def now(self, then_ms: float, operations: int) -> float:
        """What took `then_ms` when the profile was made, now."""
        return self.factor * then_ms + self.ms_per_operation * operations

    def then(self, now_ms: float, operations: int) -> float:
        """The inverse of `now`."""
        return (now_ms - self.ms_per_operation * operations) / self.factor


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The coefficients of the prediction.

    Attributes:
        offset_ms: a.
        scale: b.
        ms_per_megabyte: c, of weights; never negative.
        ms_per_operation: d.
        ratios: measured / predicted of networks that the fit has not seen, each measured in one sitting and predicted
            with the drift of another, as in a search; ascending.
        drift: of the session that predictions are for.
    """

    offset_ms: float
    scale: float
    ms_per_megabyte: float
    ms_per_operation: float
    ratios: tuple[float, ...]
    drift: Drift = Drift()

    @classmethod
    def fit(cls, loads: Sequence[Load], measured_ms: Sequence[float]) -> "Calibration":
        """Least squares of the relative error; without `ratios` as yet.

        Where weights, or parts that take longer, would cost less than nothing, terms are left out, those without which
        the error grows least: where nearly all of a latency is the issuing of operations, the sum of entries and the
        number of operations say the same twice, and a little noise makes one of the coefficients negative.

        Args:
            loads: of whole networks, 4 or more.
            measured_ms: of the same.

        Raises:
            ProfileError: networks whose parts take longer take less.
        """
        measured = np.asarray(measured_ms, dtype=float)
        columns = np.array([(1.0, load.entries_ms, load.operations, load.weight_bytes / 1e6) for load in loads])
        relative = columns / measured[:, None]
        fits = [_least_squares(relative, kept) for kept in _TERMS]
        sensible = [found for found in fits if found[1] > 0 and found[3] >= 0]
        if not sensible:
            found = f"found {fits[-1][1]:.3g}, expected more than 0"
            raise ProfileError(f"calibration.scale: {found}; the machine is too busy")
        best = min(sensible, key=lambda found: np.square(relative @ found - 1.0).sum())
        offset, scale, per_operation, per_megabyte = best.tolist()
        return cls(
            offset_ms=offset,
            scale=scale,
            ms_per_megabyte=per_megabyte,
            ms_per_operation=per_operation,
            ratios=(),
        )

    def predict(self, load: Load) -> float:
        """The expected latency in milliseconds of a network with this load."""
        weights = self.ms_per_megabyte * load.weight_bytes / 1e6
        then = self.offset_ms + self.scale * load.entries_ms + weights + self.ms_per_operation * load.operations
        return self.drift.now(then, load.operations)

    @property
    def offset_now(self) -> float:
        """What is predicted where there is no load: the offset."""
        return self.predict(NO_LOAD)

    def share(self, load: Load) -> float:
        """What a part with this load adds to `predict`."""
        return self.predict(load) - self.offset_now

    def bound(self, confidence: float = CONFIDENCE) -> float:
        """How many times its predicted latency a network takes at most, with this confidence; at least 1.

        A one-sided split-conformal bound (Vovk et al. 2005; Lei et al. 2018, section 2): of n exchangeable ratios the
        ceil((n + 1) * confidence)-th smallest is not exceeded by the next one with that probability. Networks of one
        sitting share what it was like, so with eight sittings the coverage of a single session scatters more than that
        of 79 independent ratios would.

        Raises:
            ProfileError: not a confidence, or more than so many ratios can give.
        """
        return max(1.0, conformal_bound(np.asarray(self.ratios), confidence))


def conformal_bound(ratios: NDArray[np.floating], confidence: float) -> float:
    """The one-sided split-conformal bound of ascending scores.

    Raises:
        ProfileError: not a confidence, or more than so many scores can give.
    """
    count = len(ratios)
    rank = math.ceil((count + 1) * confidence - 1e-9) if 0 < confidence < 1 else count + 1
    if rank > count:
        most = math.floor(1e3 * count / (count + 1)) / 1e3
        raise ProfileError(f"confidence: found {confidence:g}, allowed with {count} networks: above 0, up to {most:g}")
    return float(ratios[max(1, rank) - 1])


def _least_squares(relative: NDArray[np.float64], kept: list[int]) -> NDArray[np.float64]:
    """Coefficients (k,) of columns (n, k), relative to what was measured, whose sum is closest to 1; 0 if not kept."""
    found = np.zeros(relative.shape[1])
    found[kept] = np.linalg.lstsq(relative[:, kept], np.ones(len(relative)), rcond=None)[0]
    return found
