"""FLOPs and parameters over a whole search space by look-ups: one sample at a time, or arrays of them at once."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Part
from senas.costs.complexity import Complexity, part_complexity
from senas.errors import SpaceError
from senas.layers.layout import Shape
from senas.spaces.space import Sample, SearchSpace
from senas.spaces.stage import StageSpace

_CHUNK = 4_096  # rows at a time, so that what is in work stays in the cache


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
        cells: for each cell (cases, SE options, 2): FLOPs and parameters, 0 where the cell is inactive.
        active: (cases,): how many cells there are.
        onward: (cases,): which of the next stage's flows comes out.
    """

    widths: int
    depths: int
    width_column: int
    depth_column: int
    se_columns: tuple[int, ...]
    cells: tuple[NDArray[np.int64], ...]
    active: NDArray[np.int64]
    onward: NDArray[np.int64]

    def as_lists(self) -> tuple[list[list[tuple[int, list[list[int]]]]], list[int]]:
        """For Python to look up: for every case its active cells, each with its SE column; and `onward`."""
        cells = [table.tolist() for table in self.cells]
        columns = [
            [(self.se_columns[index], cells[index][case]) for index in range(active)]
            for case, active in enumerate(self.active.tolist())
        ]
        return columns, self.onward.tolist()


class CostModel:
    """FLOPs and parameters of every architecture of a space, equal to `complexity` to the integer.

    fvcore counts each distinct part of the space once, when the model is made. What a cell costs depends on its own
    choices and on what flows into it; what flows on depends on widths and depths alone. So each stage is one table.

    Args:
        space: what to tabulate.
        progress: told the share of the parts counted, in (0, 1].
    """

    def __init__(self, space: SearchSpace, *, progress: Callable[[float], None] = lambda _: None):
        self.space = space
        for number, part in enumerate(space.parts, start=1):
            part_complexity(part)
            progress(number / len(space.parts))
        columns = {choice.label: column for column, choice in enumerate(space.choices)}
        self._stem_column = columns.get("width.stem", len(columns))  # a choice of one option: the column of zeros
        self._stem_costs = _costs(space.stems)  # (stem widths, 2)
        self._stem_flows = np.array([space.flows[0].index(part.outflow) for part in space.stems])
        self._stages = [
            _tabulate(stage, inflows, outflows, columns)
            for stage, (inflows, outflows) in zip(space.stages, itertools.pairwise(space.flows), strict=True)
        ]
        self._head_costs = _costs(space.heads)  # (flows, 2)
        self._options = [
            (choice.label, {option: number for number, option in enumerate(choice.options)}) for choice in space.choices
        ]
        self._stem_list = list(zip(self._stem_flows.tolist(), self._stem_costs.tolist(), strict=True))
        self._stage_lists = [(stage, *stage.as_lists()) for stage in self._stages]
        self._head_list = self._head_costs.tolist()

    def complexity(self, sample: Sample) -> Complexity:
        """FLOPs and parameters of one sample.

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
        return self._complexity_of([*row, 0])

    def complexities(self, indices: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """FLOPs and parameters of many samples.

        Args:
            indices: (N, L) option numbers in the order of the space's `choices`; those of inactive cells do not matter.

        Returns:
            FLOPs (N,) and parameters (N,).

        Raises:
            SpaceError: not integers, not L columns, or a number that is none of its choice's options.
        """
        indices = np.asarray(indices)
        self._check(indices)
        total = np.empty((len(indices), 2), dtype=np.int64)
        for start in range(0, len(indices), _CHUNK):
            total[start : start + _CHUNK] = self._complexities_of(indices[start : start + _CHUNK])
        return total[:, 0], total[:, 1]

    def _complexity_of(self, row: list[int]) -> Complexity:
        flow, (flops, params) = self._stem_list[row[self._stem_column]]
        for stage, cases, onward in self._stage_lists:
            case = (flow * stage.widths + row[stage.width_column]) * stage.depths + row[stage.depth_column]
            for column, cell in cases[case]:
                more = cell[row[column]]
                flops += more[0]
                params += more[1]
            flow = onward[case]
        more = self._head_list[flow]
        return Complexity(flops=flops + more[0], params=params + more[1])

    def _complexities_of(self, indices: NDArray[np.integer]) -> NDArray[np.int64]:
        columns = np.zeros((indices.shape[1] + 1, len(indices)), dtype=np.intp)  # (L + 1, n), the last one zeros
        columns[:-1] = indices.T
        flow = self._stem_flows[columns[self._stem_column]]  # (n,)
        total = self._stem_costs[columns[self._stem_column]]  # (n, 2)
        for stage in self._stages:
            case = (flow * stage.widths + columns[stage.width_column]) * stage.depths + columns[stage.depth_column]
            for column, table in zip(stage.se_columns, stage.cells, strict=True):
                total += table.reshape(-1, 2).take(case * table.shape[1] + columns[column], axis=0)
            flow = stage.onward[case]
        return total + self._head_costs[flow]

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
    stage: StageSpace, inflows: tuple[Shape, ...], outflows: tuple[Shape, ...], columns: dict[str, int]
) -> _Stage:
    shape = len(inflows), len(stage.widths), len(stage.depths)
    most = max(stage.depths)
    cells = np.zeros((most, *shape, len(stage.se), 2), dtype=np.int64)
    active, onward = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for f, inflow in enumerate(inflows):
        for w, width in enumerate(stage.widths):
            rows = [stage.parts(inflow, width, most, se) for se in stage.se]
            costs = np.stack([_costs(row) for row in rows], axis=1)  # (cells, SE options, 2)
            for d, depth in enumerate(stage.depths):
                cells[:depth, f, w, d] = costs[:depth]
                active[f, w, d] = depth
                onward[f, w, d] = outflows.index(rows[0][depth - 1].outflow)
    zeros = len(columns)
    return _Stage(
        widths=len(stage.widths),
        depths=len(stage.depths),
        width_column=columns.get(f"width.stage{stage.number}", zeros),
        depth_column=columns.get(f"depth.stage{stage.number}", zeros),
        se_columns=tuple(columns.get(stage.se_label(index), zeros) for index in range(most)),
        cells=tuple(table.reshape(-1, len(stage.se), 2) for table in cells),
        active=active.ravel(),
        onward=onward.ravel(),
    )


def _costs(parts: Iterable[Part]) -> NDArray[np.int64]:
    counted = [part_complexity(part) for part in parts]
    return np.array([(cost.flops, cost.params) for cost in counted], dtype=np.int64)  # (parts, 2)
