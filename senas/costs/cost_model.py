"""FLOPs and parameters over a whole search space by look-ups: one sample at a time, or arrays of them at once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Part
from senas.costs.flops import Complexity, part_complexity
from senas.errors import SpaceError
from senas.io import read_json, write_json
from senas.spaces import PartSums, Sample, SearchSpace


@dataclass(frozen=True, kw_only=True)
class _CostTable:
    """File of a cost model: FLOPs and parameters of each part of a space, by the key of the part."""

    format: Literal["senas-costs/1"] = "senas-costs/1"
    space: str
    parts: dict[str, Complexity]


class CostModel:
    """FLOPs and parameters of every architecture of a space, equal to `complexity` to the integer.

    Args:
        space: Space to tabulate.
        counted: Complexity of each part by its key, as an earlier model counted it; by default fvcore counts each
            distinct part once.
        progress: Function that is told the share of the parts counted, in (0, 1].
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        counted: dict[str, Complexity] | None = None,
        progress: Callable[[float], None] = lambda _: None,
    ):
        self.space = space
        if counted is None:
            counted = {}
            for number, part in enumerate(space.parts, start=1):
                counted[part.key] = part_complexity(part)
                progress(number / len(space.parts))
        self._counted = counted
        by_part = {part: counted[part.key] for part in space.parts}

        def values(part: Part) -> tuple[int, int]:
            return by_part[part].flops, by_part[part].params

        self._sums = PartSums(space, values, width=2, dtype=np.int64)

    def save(self, path: Path) -> None:
        """Write the complexity of each part as JSON, so that `load` need not count again."""
        write_json(path, _CostTable(space=self.space.digest, parts=self._counted))

    @classmethod
    def load(cls, path: Path, space: SearchSpace) -> "CostModel":
        """Read what `save` wrote.

        Raises:
            SenasError: The file is missing or damaged, is of another space, or lacks a part.
        """
        table = read_json(path, _CostTable)
        if table.space != space.digest:
            raise SpaceError(f"{path}: space: found one of digest {table.space}, expected {space.digest}")
        for part in space.parts:
            if part.key not in table.parts:
                raise SpaceError(f"{path}: parts: missing '{part.key}'")
        return cls(space, counted=table.parts)

    def complexity(self, sample: Sample) -> Complexity:
        """Return the FLOPs and parameters of one sample.

        Args:
            sample: Option for every label of the space's `choices`.

        Raises:
            SpaceError: A label is missing or has a value that is not one of its options.
        """
        flops, params = self._sums.one(sample)
        return Complexity(flops=flops, params=params)

    def complexities(self, indices: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the FLOPs and parameters of many samples.

        Args:
            indices: Option numbers in the order of the space's `choices`, (N, L); those of inactive cells are ignored.

        Returns:
            FLOPs (N,) and parameters (N,).

        Raises:
            SpaceError: Not integers, not L columns, or a number outside the options of its choice.
        """
        total = self._sums.many(indices)
        return total[:, 0], total[:, 1]
