"""Sums over the parts of a space's architectures, by look-up: one sample at a time, or arrays of them at once."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Part
from senas.errors import SpaceError
from senas.layers.layout import Shape
from senas.spaces.space import Sample, SearchSpace
from senas.spaces.stage import StageSpace

_CHUNK = 4_096  # rows at a time, so that what is in work stays in the cache

Values = tuple[float, ...]  # what is summed, of one part


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """What the cells of one stage add.

    A `case` is what flows in, a width and a depth, numbered together: (flow * widths + width) * depths + depth.

    Attributes:
        widths: how many there are to choose from.
        depths: how many there are to choose from.
        width_column: of the width's option number in a row.
        depth_column: of the depth's.
        se_columns: of each cell's SE choice.
        cells: for each cell (cases, SE options, values), 0 where the cell is inactive.
        active: (cases,): how many cells there are.
        onward: (cases,): which of the next stage's flows comes out.
    """

    widths: int
    depths: int
    width_column: int
    depth_column: int
    se_columns: tuple[int, ...]
    cells: tuple[NDArray[Any], ...]
    active: NDArray[np.int64]
    onward: NDArray[np.int64]

    def as_lists(self) -> tuple[list[list[tuple[int, list[list[float]]]]], list[int]]:
        """For Python to look up: for every case its active cells, each with its SE column; and `onward`."""
        cells = [table.tolist() for table in self.cells]
        columns = [
            [(self.se_columns[index], cells[index][case]) for index in range(active)]
            for case, active in enumerate(self.active.tolist())
        ]
        return columns, self.onward.tolist()


class PartSums:
    """What every architecture of a space sums up to, tabulated once.

    What a cell adds depends on its own choices and on what flows into it; what flows on depends on widths and depths
    alone. So each stage is one table.

    Args:
        space: what to tabulate.
        values: what is summed, of one part: as many numbers as `width`.
        width: how many.
        dtype: of the sums, `np.int64` or `np.float64`.
    """

    def __init__(
        self, space: SearchSpace, values: Callable[[Part], Values], *, width: int, dtype: type[np.int64 | np.float64]
    ):
        self.space = space
        self._values, self._width, self._dtype = values, width, dtype
        columns = {choice.label: column for column, choice in enumerate(space.choices)}
        self._stem_column = columns.get("width.stem", len(columns))  # a choice of one option: the column of zeros
        self._stem_values = self._of(space.stems)  # (stem widths, width)
        self._stem_flows = np.array([space.flows[0].index(part.outflow) for part in space.stems])
        self._stages = [
            self._tabulate(stage, inflows, outflows, columns)
            for stage, (inflows, outflows) in zip(space.stages, itertools.pairwise(space.flows), strict=True)
        ]
        self._head_values = self._of(space.heads)  # (flows, width)
        self._options = [
            (choice.label, {option: number for number, option in enumerate(choice.options)}) for choice in space.choices
        ]
        self._stem_list = list(zip(self._stem_flows.tolist(), self._stem_values.tolist(), strict=True))
        self._stage_lists = [(stage, *stage.as_lists()) for stage in self._stages]
        self._head_list = self._head_values.tolist()

    def one(self, sample: Sample) -> list[Any]:
        """The sums of one sample.

        Args:
            sample: an option for every label of the space's `choices`.

        Raises:
            SpaceError: a label is missing or holds something else than one of its options.
        """
        try:
            row = [numbers[sample[label]] for label, numbers in self._options]
        except KeyError:
            self.space.indices(sample)  # says what is wrong with it
            raise
        row.append(0)
        flow, total = self._stem_list[row[self._stem_column]]
        for stage, cases, onward in self._stage_lists:
            case = (flow * stage.widths + row[stage.width_column]) * stage.depths + row[stage.depth_column]
            for column, cell in cases[case]:
                total = [so_far + more for so_far, more in zip(total, cell[row[column]], strict=False)]
            flow = onward[case]
        return [so_far + more for so_far, more in zip(total, self._head_list[flow], strict=False)]

    def many(self, indices: NDArray[np.integer]) -> NDArray[Any]:
        """The sums of many samples, (N, width).

        Args:
            indices: (N, L) option numbers in the order of the space's `choices`; those of inactive cells do not matter.

        Raises:
            SpaceError: not integers, not L columns, or a number that is none of its choice's options.
        """
        indices = np.asarray(indices)
        self._check(indices)
        total = np.empty((len(indices), self._width), dtype=self._dtype)
        for start in range(0, len(indices), _CHUNK):
            total[start : start + _CHUNK] = self._sums(indices[start : start + _CHUNK])
        return total

    def _sums(self, indices: NDArray[np.integer]) -> NDArray[Any]:
        columns = np.zeros((indices.shape[1] + 1, len(indices)), dtype=np.intp)  # (L + 1, n), the last one zeros
        columns[:-1] = indices.T
        flow = self._stem_flows[columns[self._stem_column]]  # (n,)
        total = self._stem_values[columns[self._stem_column]]  # (n, width)
        for stage in self._stages:
            case = (flow * stage.widths + columns[stage.width_column]) * stage.depths + columns[stage.depth_column]
            for column, table in zip(stage.se_columns, stage.cells, strict=True):
                total += table.reshape(-1, self._width).take(case * table.shape[1] + columns[column], axis=0)
            flow = stage.onward[case]
        return total + self._head_values[flow]

    def _check(self, indices: NDArray[np.integer]) -> None:
        where, choices = f"indices of space {self.space.name}", self.space.choices
        if not np.issubdtype(indices.dtype, np.integer):
            raise SpaceError(f"{where}: found numbers of {indices.dtype}, expected integers")
        if indices.ndim != 2 or indices.shape[1] != len(choices):
            raise SpaceError(f"{where}: found the shape {indices.shape}, expected (N, {len(choices)})")
        if not len(indices):
            return
        for choice, least, most in zip(choices, indices.min(0), indices.max(0), strict=True):
            self.space.check_number(choice, least)
            self.space.check_number(choice, most)

    def _tabulate(
        self,
        stage: StageSpace,
        inflows: tuple[Shape, ...],
        outflows: tuple[Shape, ...],
        columns: dict[str, int],
    ) -> _Stage:
        shape = len(inflows), len(stage.widths), len(stage.depths)
        most = max(stage.depths)
        cells = np.zeros((most, *shape, len(stage.se), self._width), dtype=self._dtype)
        active, onward = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for f, inflow in enumerate(inflows):
            for w, width in enumerate(stage.widths):
                rows = [stage.parts(inflow, width, most, se) for se in stage.se]
                values = np.stack([self._of(row) for row in rows], axis=1)  # (cells, SE options, width)
                for d, depth in enumerate(stage.depths):
                    cells[:depth, f, w, d] = values[:depth]
                    active[f, w, d] = depth
                    onward[f, w, d] = outflows.index(rows[0][depth - 1].outflow)
        zeros = len(columns)
        return _Stage(
            widths=len(stage.widths),
            depths=len(stage.depths),
            width_column=columns.get(f"width.stage{stage.number}", zeros),
            depth_column=columns.get(f"depth.stage{stage.number}", zeros),
            se_columns=tuple(columns.get(stage.se_label(index), zeros) for index in range(most)),
            cells=tuple(table.reshape(-1, len(stage.se), self._width) for table in cells),
            active=active.ravel(),
            onward=onward.ravel(),
        )

    def _of(self, parts: Iterable[Part]) -> NDArray[Any]:
        return np.array([self._values(part) for part in parts], dtype=self._dtype)  # (parts, width)
