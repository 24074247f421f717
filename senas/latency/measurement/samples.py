"""Estimate of a latency and its precision from samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from senas.latency.devices import TimingSample

_RESAMPLES = 200  # bootstrap resamples


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """Measured latency of one module.

    Attributes:
        estimate_ms: Mean of the lower half of the samples, the latency that predictions use.
        interval: Width of the bootstrap 95 % interval of the estimate, as a share of it (Efron 1979).
        median_ms: Median of all samples.
        spread_ms: Half the interquartile range.
        count: Number of samples kept.
        host_ms: Median time that the host took to issue the work; `None` if host and device are one.
    """

    estimate_ms: float
    interval: float
    median_ms: float
    spread_ms: float
    count: int
    host_ms: float | None = None

    @classmethod
    def from_samples(cls, samples: Sequence[TimingSample]) -> "Measurement":
        """Summarize samples, of which there must be at least one."""
        ordered = np.sort([sample.ms for sample in samples])
        low, median, high = np.percentile(ordered, (25, 50, 75))
        hosts = [sample.host_ms for sample in samples if sample.host_ms is not None]
        return cls(
            estimate_ms=float(_lower_half_mean(ordered)),
            interval=interval(ordered),
            median_ms=float(median),
            spread_ms=float(high - low) / 2,
            count=len(ordered),
            host_ms=float(np.median(hosts)) if hosts else None,
        )


def interval(ordered_ms: NDArray[np.floating]) -> float:
    """Return the width of the bootstrap 95 % interval of the lower-half mean, as a share of that mean.

    The same samples always give the same width; fewer than two give infinity.

    Args:
        ordered_ms: Samples (n,), ascending.
    """
    count = len(ordered_ms)
    if count < 2:
        return float("inf")
    # the samples ascend, so sorting the indices sorts the resampled values
    picked = np.sort(np.random.default_rng(0).integers(count, size=(_RESAMPLES, count)), axis=1)
    low, high = np.percentile(_lower_half_mean(ordered_ms[picked]), (2.5, 97.5))
    return float((high - low) / _lower_half_mean(ordered_ms))


def _lower_half_mean(ordered: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the mean of the smaller half, including the middle value, along the last axis: (..., n) to (...)."""
    return ordered[..., : (ordered.shape[-1] + 1) // 2].mean(axis=-1)
