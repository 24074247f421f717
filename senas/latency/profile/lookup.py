"""Predicted latency over a whole search space by look-ups: one sample at a time, or arrays of them at once."""

import numpy as np
from numpy.typing import NDArray

from senas.latency.prediction import CONFIDENCE
from senas.latency.profile.profile import LatencyProfile
from senas.latency.profile.sections import Latency
from senas.spaces import PartSums, Sample, SearchSpace


class LatencyModel:
    """Predicted latency of every architecture of a space, equal to `LatencyProfile.predict` up to rounding.

    Args:
        space: Space to tabulate.
        profile: Profile of that space.
        confidence: Confidence of the upper bounds.

    Raises:
        ProfileError: A part has no entry, or the profile cannot give this confidence.
    """

    def __init__(self, space: SearchSpace, profile: LatencyProfile, *, confidence: float = CONFIDENCE):
        self.space, self.profile = space, profile
        self._bound = profile.bound(confidence)
        self._offset_ms = profile.calibration.current_offset_ms
        self._sums = PartSums(space, lambda part: (profile.part_ms(part),), width=1, dtype=np.float64)

    def latency(self, sample: Sample) -> Latency:
        """Return the latency of one sample.

        Args:
            sample: Option for every label of the space's `choices`.

        Raises:
            SpaceError: A label is missing or has a value that is not one of its options.
        """
        latency_ms = self._offset_ms + self._sums.one(sample)[0]
        return Latency(latency_ms=latency_ms, upper_ms=latency_ms * self._bound)

    def latencies(self, indices: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the latencies of many samples, in milliseconds.

        Args:
            indices: Option numbers in the order of the space's `choices`, (N, L); those of inactive cells are ignored.

        Returns:
            Expected latencies (N,) and upper bounds (N,).

        Raises:
            SpaceError: Not integers, not L columns, or a number outside the options of its choice.
        """
        latency_ms = self._offset_ms + self._sums.many(indices)[:, 0]
        return latency_ms, latency_ms * self._bound
