"""Calibration of the latency of a whole network from the sum over its parts, and a bound that 95 % of networks keep.

    at_profile_ms = a + b * sum of entries + c * weight bytes + d * operations
    current_ms = drift.factor * at_profile_ms + drift.ms_per_operation * operations

Parts are measured alone, with their weights in the cache and no other part before them; the terms for weight bytes and
operations correct for that. A machine that becomes slower does not slow down evenly: issuing operations and computing
them change by different factors. A drift therefore has two numbers, fitted on the anchor networks of a profile, which
are measured when the profile is made and again now. Between two sessions on a shared 2-core machine the second number
halved the mean error, from 0.9 % to 0.4 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from senas.errors import ProfileError

CONFIDENCE = 0.95

_MIN_SINGULAR_VALUE = 1e-2  # smallest singular value at which two columns of length 1 determine two coefficients
_TERM_SETS = ([0, 1, 2, 3], [0, 1, 2], [0, 1, 3], [0, 1])  # sets to fit, of offset, entries, operations, weights
_HUBER_THRESHOLD, _HUBER_STEPS = 1.5, 10  # threshold in standard deviations
_NORMAL_MAD = 1.4826  # standard deviation of a normal distribution / its median absolute deviation


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictorFeatures:
    """Features that predict a latency, of one part or summed over the parts of a network.

    Attributes:
        entries_ms: Latency of the parts, each measured alone.
        weight_bytes: Size of the parameters.
        operations: Number of operations issued one after the other.
    """

    entries_ms: float
    weight_bytes: int
    operations: int

    def __add__(self, other: "PredictorFeatures") -> "PredictorFeatures":
        return PredictorFeatures(
            entries_ms=self.entries_ms + other.entries_ms,
            weight_bytes=self.weight_bytes + other.weight_bytes,
            operations=self.operations + other.operations,
        )


NO_FEATURES = PredictorFeatures(entries_ms=0.0, weight_bytes=0, operations=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """Difference of a session from the sessions that made a profile.

    current_ms = factor * at_profile_ms + ms_per_operation * operations

    Attributes:
        factor: Factor on the latency when the profile was made.
        ms_per_operation: Milliseconds added for each operation.
    """

    factor: float = 1.0
    ms_per_operation: float = 0.0

    @classmethod
    def fit(cls, at_profile_ms: Sequence[float], current_ms: Sequence[float], operations: Sequence[int]) -> "Drift":
        """Fit a drift by robust least squares of the relative error over networks measured in both sessions.

        One disturbed network must not distort the fit: errors beyond 1.5 standard deviations, estimated from the median
        error, weigh less the larger they are (Huber 1964).

        Args:
            at_profile_ms: Latencies when the profile was made (n,), n at least 2.
            current_ms: Latencies in the session (n,).
            operations: Numbers of operations (n,); if they are nearly proportional to the latencies, they explain
                nothing and only the factor is fitted.
        """
        old, new, counts = (np.asarray(values, dtype=float) for values in (at_profile_ms, current_ms, operations))
        columns = np.stack([old / new, counts / new], axis=1)  # (n, 2)
        lengths = np.linalg.norm(columns, axis=0)  # normalized, so that units do not matter
        columns /= lengths
        if np.linalg.svd(columns, compute_uv=False)[-1] < _MIN_SINGULAR_VALUE or len(new) < 2:
            return cls(factor=float(np.median(new / old)))
        coefficients = np.linalg.lstsq(columns, np.ones(len(new)), rcond=None)[0]
        for _ in range(_HUBER_STEPS):
            errors = np.abs(columns @ coefficients - 1)
            deviation = max(_NORMAL_MAD * float(np.median(errors)), 1e-9)
            weights = np.sqrt(np.minimum(1.0, _HUBER_THRESHOLD * deviation / np.maximum(errors, 1e-12)))
            coefficients = np.linalg.lstsq(columns * weights[:, None], weights, rcond=None)[0]
        factor, per_operation = coefficients / lengths
        return cls(factor=float(factor), ms_per_operation=float(per_operation))

    def current_ms(self, at_profile_ms: float, operations: int) -> float:
        """Return the current latency, given the latency at the time of the profile."""
        return self.factor * at_profile_ms + self.ms_per_operation * operations

    def at_profile_ms(self, current_ms: float, operations: int) -> float:
        """Return the latency at the time of the profile, given the current one; the inverse of `current_ms`."""
        return (current_ms - self.ms_per_operation * operations) / self.factor


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Coefficients of the prediction.

    Attributes:
        offset_ms: Offset a.
        scale: Factor b on the sum of entries.
        ms_per_megabyte: Coefficient c, per megabyte of weights; never negative.
        ms_per_operation: Coefficient d, per operation.
        ratios: Measured / predicted latency of networks that the fit has not seen, each measured in one session and
            predicted with the drift of another, as in a search; ascending.
        drift: Drift of the session that predictions are for.
    """

    offset_ms: float
    scale: float
    ms_per_megabyte: float
    ms_per_operation: float
    ratios: tuple[float, ...]
    drift: Drift = Drift()

    @classmethod
    def fit(cls, features: Sequence[PredictorFeatures], measured_ms: Sequence[float]) -> "Calibration":
        """Fit the coefficients by least squares of the relative error; `ratios` are left empty.

        If the coefficient of the weights would be negative, or that of the sum of entries not positive, terms are left
        out: those whose absence increases the error least. This happens if a latency consists almost entirely of
        issuing operations: the sum of entries and the number of operations are then nearly collinear, and a little
        noise makes one coefficient negative.

        Args:
            features: Predictor features of whole networks, 4 or more.
            measured_ms: Measured latencies of the same networks.

        Raises:
            ProfileError: The latency falls as the sum of entries grows.
        """
        measured = np.asarray(measured_ms, dtype=float)
        columns = np.array([(1.0, row.entries_ms, row.operations, row.weight_bytes / 1e6) for row in features])
        relative = columns / measured[:, None]
        fits = [_least_squares(relative, kept) for kept in _TERM_SETS]
        plausible = [fit for fit in fits if fit[1] > 0 and fit[3] >= 0]
        if not plausible:
            raise ProfileError(
                f"calibration.scale: found {fits[-1][1]:.3g}, expected more than 0; the machine is too busy"
            )
        best = min(plausible, key=lambda fit: np.square(relative @ fit - 1.0).sum())
        offset, scale, per_operation, per_megabyte = best.tolist()
        return cls(
            offset_ms=offset,
            scale=scale,
            ms_per_megabyte=per_megabyte,
            ms_per_operation=per_operation,
            ratios=(),
        )

    def predict(self, features: PredictorFeatures) -> float:
        """Return the expected latency in milliseconds of a network with these features."""
        weights_ms = self.ms_per_megabyte * features.weight_bytes / 1e6
        operations_ms = self.ms_per_operation * features.operations
        at_profile_ms = self.offset_ms + self.scale * features.entries_ms + weights_ms + operations_ms
        return self.drift.current_ms(at_profile_ms, features.operations)

    @property
    def current_offset_ms(self) -> float:
        """Predicted latency without any part: the offset, adjusted to the drift."""
        return self.predict(NO_FEATURES)

    def part_ms(self, features: PredictorFeatures) -> float:
        """Return what a part with these features adds to the predicted latency."""
        return self.predict(features) - self.current_offset_ms

    def bound(self, confidence: float = CONFIDENCE) -> float:
        """Return the upper bound of latency / predicted latency at a confidence; at least 1.

        It is a one-sided split-conformal bound (Vovk et al. 2005; Lei et al. 2018, section 2): with probability
        `confidence`, the next ratio does not exceed the ceil((n + 1) * confidence)-th smallest of n exchangeable
        ratios. Networks of one session share its conditions, so with eight sessions the coverage of a single session
        varies more than that of 79 independent ratios would.

        Raises:
            ProfileError: The confidence is not between 0 and 1, or higher than this number of ratios can give.
        """
        return max(1.0, conformal_bound(np.asarray(self.ratios), confidence))


def conformal_bound(ratios: NDArray[np.floating], confidence: float) -> float:
    """Return the one-sided split-conformal bound of ratios (n,), which ascend.

    Raises:
        ProfileError: The confidence is not between 0 and 1, or higher than this number of ratios can give.
    """
    count = len(ratios)
    rank = math.ceil((count + 1) * confidence - 1e-9) if 0 < confidence < 1 else count + 1
    if rank > count:
        limit = math.floor(1e3 * count / (count + 1)) / 1e3
        raise ProfileError(f"confidence: found {confidence:g}, allowed with {count} networks: above 0, up to {limit:g}")
    return float(ratios[max(1, rank) - 1])


def _least_squares(relative: NDArray[np.float64], kept: list[int]) -> NDArray[np.float64]:
    """Return the coefficients (k,) with which columns (n, k), divided by the measured latency, sum closest to 1.

    The coefficients of columns that are not kept are 0.
    """
    coefficients = np.zeros(relative.shape[1])
    coefficients[kept] = np.linalg.lstsq(relative[:, kept], np.ones(len(relative)), rcond=None)[0]
    return coefficients
