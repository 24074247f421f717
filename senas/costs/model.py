"""FLOPs and parameters over a whole search space by look-ups: one sample at a time, or arrays of them at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Part
from senas.costs.complexity import Complexity, part_complexity
from senas.spaces.space import Sample, SearchSpace
from senas.spaces.sums import PartSums


class CostModel:
    """FLOPs and parameters of every architecture of a space, equal to `complexity` to the integer.

    fvcore counts each distinct part of the space once, when the model is made.

    Args:
        space: what to tabulate.
        progress: told the share of the parts counted, in (0, 1].
    """

    def __init__(self, space: SearchSpace, *, progress: Callable[[float], None] = lambda _: None):
        self.space = space
        for number, part in enumerate(space.parts, start=1):
            part_complexity(part)
            progress(number / len(space.parts))
        self._sums = PartSums(space, _values, width=2, dtype=np.int64)

    def complexity(self, sample: Sample) -> Complexity:
        """FLOPs and parameters of one sample.

        Args:
            sample: an option for every label of the space's `choices`.

        Raises:
            SpaceError: a label is missing or holds something else than one of its options.
        """
        flops, params = self._sums.one(sample)
        return Complexity(flops=flops, params=params)

    def complexities(self, indices: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """FLOPs and parameters of many samples.

        Args:
            indices: (N, L) option numbers in the order of the space's `choices`; those of inactive cells do not matter.

        Returns:
            FLOPs (N,) and parameters (N,).

        Raises:
            SpaceError: not integers, not L columns, or a number that is none of its choice's options.
        """
        total = self._sums.many(indices)
        return total[:, 0], total[:, 1]


def _values(part: Part) -> tuple[int, int]:
    counted = part_complexity(part)
    return counted.flops, counted.params
