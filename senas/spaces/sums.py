"""Sums over the parts of a space's architectures by table look-up, for one sample or for arrays of samples."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Part, Shape
from senas.errors import SpaceError
from senas.spaces.space import Sample, SearchSpace
from senas.spaces.stage import StageSpace

_CHUNK_ROWS = 4_096  # rows processed at a time, so that the working set stays in the cache

Values = tuple[float, ...]  # summands of one part


@dataclass(frozen=True, kw_only=True)
class _StageTable:
    """Table of the summands of one stage's cells.

    A `case` is one number for an input shape, a width and a depth: (flow * widths + width) * depths + depth, in which
    `flow` is the number of the input shape in the space's `flows`.

    Attributes:
        widths: Number of width options.
        depths: Number of depth options.
        width_column: Column of the width's option number in a row.
        depth_column: Column of the depth's option number in a row.
        se_columns: Column of each cell's SE choice.
        cells: Summands of each cell, (cases, SE options, values); 0 if the cell is inactive.
        active: Number of active cells, (cases,).
        next_flow: Number of the output shape among the next stage's input shapes, (cases,).
    """

    widths: int
    depths: int
    width_column: int
    depth_column: int
    se_columns: tuple[int, ...]
    cells: tuple[NDArray[Any], ...]
    active: NDArray[np.int64]
    next_flow: NDArray[np.int64]

    def as_lists(self) -> tuple[list[list[tuple[int, list[list[float]]]]], list[int]]:
        """Return the table as lists, which Python indexes faster than arrays.

        Returns:
            For every case the SE column and the summands of each active cell; and `next_flow`.
        """
        cells = [table.tolist() for table in self.cells]
        columns = [
            [(self.se_columns[index], cells[index][case]) for index in range(active)]
            for case, active in enumerate(self.active.tolist())
        ]
        return columns, self.next_flow.tolist()


class PartSums:
    """Sums over the parts of every architecture of a space, from tables that are computed once.

    The summands of a cell depend on its own choices and its input shape, and its output shape depends on widths and
    depths alone. Each stage is therefore one table.

    Args:
        space: Space to tabulate.
        values: Function from a part to its summands, a tuple of `width` numbers.
        width: Number of summands of a part.
        dtype: Type of the sums, `np.int64` or `np.float64`.
    """

    def __init__(
        self, space: SearchSpace, values: Callable[[Part], Values], *, width: int, dtype: type[np.int64 | np.float64]
    ):
        self.space = space
        self._values, self._width, self._dtype = values, width, dtype
        columns = {choice.label: column for column, choice in enumerate(space.choices)}
        self._stem_column = columns.get("width.stem", len(columns))  # if it is no choice, the column of zeros
        self._stem_values = self._values_of(space.stems)  # (stem widths, width)
        self._stem_flows = np.array([space.flows[0].index(part.out_shape) for part in space.stems])
        self._stages = [
            self._tabulate(stage, in_shapes, out_shapes, columns)
            for stage, (in_shapes, out_shapes) in zip(space.stages, itertools.pairwise(space.flows), strict=True)
        ]
        self._head_values = self._values_of(space.heads)  # (flows, width)
        self._options = [
            (choice.label, {option: number for number, option in enumerate(choice.options)}) for choice in space.choices
        ]
        self._stem_list = list(zip(self._stem_flows.tolist(), self._stem_values.tolist(), strict=True))
        self._stage_lists = [(stage, *stage.as_lists()) for stage in self._stages]
        self._head_list = self._head_values.tolist()

    def one(self, sample: Sample) -> list[Any]:
        """Return the sums of one sample.

        Args:
            sample: Option for every label of the space's `choices`.

        Raises:
            SpaceError: A label is missing, or its value is not one of its options.
        """
        try:
            row = [numbers[sample[label]] for label, numbers in self._options]
        except KeyError:
            self.space.indices(sample)  # raises the error that names the label
            raise
        row.append(0)
        flow, total = self._stem_list[row[self._stem_column]]
        for stage, cases, next_flow in self._stage_lists:
            case = (flow * stage.widths + row[stage.width_column]) * stage.depths + row[stage.depth_column]
            for column, cell in cases[case]:
                total = [so_far + value for so_far, value in zip(total, cell[row[column]], strict=False)]
            flow = next_flow[case]
        return [so_far + value for so_far, value in zip(total, self._head_list[flow], strict=False)]

    def many(self, indices: NDArray[np.integer]) -> NDArray[Any]:
        """Return the sums of many samples, (N, width).

        Args:
            indices: Option numbers, (N, L) in the order of the space's `choices`; inactive cells' have no effect.

        Raises:
            SpaceError: The indices are not integers, do not have L columns, or are outside the options of a choice.
        """
        indices = np.asarray(indices)
        self._check(indices)
        total = np.empty((len(indices), self._width), dtype=self._dtype)
        for start in range(0, len(indices), _CHUNK_ROWS):
            total[start : start + _CHUNK_ROWS] = self._sums(indices[start : start + _CHUNK_ROWS])
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
            flow = stage.next_flow[case]
        return total + self._head_values[flow]

    def _check(self, indices: NDArray[np.integer]) -> None:
        where, choices = f"indices of space {self.space.name}", self.space.choices
        if not np.issubdtype(indices.dtype, np.integer):
            raise SpaceError(f"{where}: found numbers of {indices.dtype}, expected integers")
        if indices.ndim != 2 or indices.shape[1] != len(choices):
            raise SpaceError(f"{where}: found the shape {indices.shape}, expected (N, {len(choices)})")
        if not len(indices):
            return
        for choice, smallest, largest in zip(choices, indices.min(0), indices.max(0), strict=True):
            self.space.check_number(choice, smallest)
            self.space.check_number(choice, largest)

    def _tabulate(
        self,
        stage: StageSpace,
        in_shapes: tuple[Shape, ...],
        out_shapes: tuple[Shape, ...],
        columns: dict[str, int],
    ) -> _StageTable:
        shape = len(in_shapes), len(stage.widths), len(stage.depths)
        max_depth = max(stage.depths)
        cells = np.zeros((max_depth, *shape, len(stage.se), self._width), dtype=self._dtype)
        active, next_flow = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for f, in_shape in enumerate(in_shapes):
            for w, width in enumerate(stage.widths):
                rows = [stage.parts(in_shape, width, max_depth, se) for se in stage.se]
                values = np.stack([self._values_of(row) for row in rows], axis=1)  # (cells, SE options, width)
                for d, depth in enumerate(stage.depths):
                    cells[:depth, f, w, d] = values[:depth]
                    active[f, w, d] = depth
                    next_flow[f, w, d] = out_shapes.index(rows[0][depth - 1].out_shape)
        zeros = len(columns)
        return _StageTable(
            widths=len(stage.widths),
            depths=len(stage.depths),
            width_column=columns.get(f"width.stage{stage.number}", zeros),
            depth_column=columns.get(f"depth.stage{stage.number}", zeros),
            se_columns=tuple(columns.get(stage.se_label(index), zeros) for index in range(max_depth)),
            cells=tuple(table.reshape(-1, len(stage.se), self._width) for table in cells),
            active=active.ravel(),
            next_flow=next_flow.ravel(),
        )

    def _values_of(self, parts: Iterable[Part]) -> NDArray[Any]:
        return np.array([self._values(part) for part in parts], dtype=self._dtype)  # (parts, width)
