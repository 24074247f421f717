"""Latency over a whole search space by look-ups."""

import numpy as np
from numpy.typing import NDArray

from senas.latency.calibration import CONFIDENCE
from senas.latency.profile import LatencyProfile
from senas.latency.sections import Latency
from senas.spaces.space import Sample, SearchSpace
from senas.spaces.sums import PartSums


class LatencyModel:
    """What a profile predicts for every architecture of a space, equal to `LatencyProfile.predict`.

    Args:
        space: what to tabulate.
        profile: of that space.
        confidence: of the upper bounds.

    Raises:
        ProfileError: a part has no entry, or not a confidence that the profile can give.
    """

    def __init__(self, space: SearchSpace, profile: LatencyProfile, *, confidence: float = CONFIDENCE):
        self.space, self.profile = space, profile
        self._bound = profile.bound(confidence)
        self._offset = profile.calibration.offset_now
        self._sums = PartSums(space, lambda part: (profile.part_ms(part),), width=1, dtype=np.float64)

    def latency(self, sample: Sample) -> Latency:
        """The latency of one sample.

        Raises:
            SpaceError: a label is missing or holds something else than one of its options.
        """
        latency = self._offset + self._sums.one(sample)[0]
        return Latency(latency_ms=latency, upper_ms=latency * self._bound)

    def latencies(self, indices: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The latencies of many samples, in milliseconds.

        Args:
            indices: (N, L) option numbers in the order of the space's `choices`; those of inactive cells do not matter.

        Returns:
            What is expected (N,) and the upper bounds (N,).

        Raises:
            SpaceError: not integers, not L columns, or a number that is none of its choice's options.
        """
        latency = self._offset + self._sums.many(indices)[:, 0]
        return latency, latency * self._bound
