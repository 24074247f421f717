"""From samples to one number that says how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 200


class Sample(NamedTuple):
    """One timing of one forward pass.

    Attributes:
        ms: the latency.
        host_ms: how long the host took to issue the work, where the device works on its own.
    """

    ms: float
    host_ms: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """The latency of one module.

    Attributes:
        estimate_ms: mean of the lower half of the samples, what predictions are made of.
        interval: width of the bootstrap 95 % interval of the estimate, as a share of it (Efron 1979).
        median_ms: of all samples.
        spread_ms: half the interquartile range.
        count: samples kept.
        host_ms: median time in which the host issued the work; `None` where host and device are one.
    """

    estimate_ms: float
    interval: float
    median_ms: float
    spread_ms: float
    count: int
    host_ms: float | None = None

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Measurement":
        """Summarise at least one sample."""
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
    """Width of the bootstrap 95 % interval of the lower-half mean, as a share of it.

    Always the same for the same samples; infinite for fewer than two.

    Args:
        ordered_ms: samples (n,), ascending.
    """
    count = len(ordered_ms)
    if count < 2:
        return float("inf")
    # Indices into ascending samples: sorting the indices sorts what they pick.
    picked = np.sort(np.random.default_rng(0).integers(count, size=(_RESAMPLES, count)), axis=1)
    low, high = np.percentile(_lower_half_mean(ordered_ms[picked]), (2.5, 97.5))
    return float((high - low) / _lower_half_mean(ordered_ms))


def _lower_half_mean(ordered: NDArray[np.floating]) -> NDArray[np.floating]:
    """Mean of the smaller half, the middle one included, along the last axis: (..., n) to (...)."""
    return ordered[..., : (ordered.shape[-1] + 1) // 2].mean(axis=-1)
