"""Tables of trained networks to search in; `benchmark_search.py` describes their format."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray

from senas.errors import DataError
from senas.io import read_arrays
from senas.strategies import Problem

Observe = Callable[[int], float]

MAX_BYTES = 2**26  # of all arrays together; NAS-Bench-101, the largest table of its kind, takes half of it
MAX_CHOICES = 2**24  # option numbers in a table; each becomes a Python object
MAX_VALUE = 1e30  # largest accuracy or cost, so that no difference of two is infinite


class Table:
    """Table of trained networks.

    Args:
        path: Path of the npz file.

    Attributes:
        name: Name of the file without its extension.
        choices: Option numbers of every row as in the file, (N, L).
        observed: Accuracies of single trainings in percent, (N, S).
        accuracy: True accuracies in percent, (N,).
        cost: Costs, (N,).
        unit: Unit of the costs.
        options: Option numbers of every choice, ascending.

    Raises:
        DataError: A file that holds no table; the message is one line.
    """

    def __init__(self, path: Path):
        arrays = read_arrays(path, max_bytes=MAX_BYTES)
        missing = [name for name in ("choices", "observed", "accuracy", "cost", "cost_unit") if name not in arrays]
        if missing:
            raise DataError(f"{path}: missing array '{missing[0]}', found {', '.join(sorted(arrays)) or 'none'}")
        self.name = path.stem
        self.choices = _choices(arrays["choices"], f"{path}: choices")
        self.observed, self.accuracy, self.cost = (
            _finite(arrays[name], f"{path}: {name}") for name in ("observed", "accuracy", "cost")
        )
        self.unit = str(arrays["cost_unit"])
        shapes = {name: getattr(self, name).shape for name in ("choices", "observed", "accuracy", "cost")}
        if len({shape[:1] for shape in shapes.values()}) > 1 or [*map(len, shapes.values())] != [2, 2, 1, 1]:
            raise DataError(f"{path}: found shapes {shapes}, expected (N, L), (N, S), (N,) and (N,)")
        if not self.choices.size or not self.observed.size:
            raise DataError(f"{path}: found shapes {shapes}, expected at least one of each")
        if np.ptp(self.cost) <= 0 or self.accuracy.max() <= np.median(self.accuracy):
            raise DataError(f"{path}: accuracy, cost: found no differences to rank rows by, expected several values")
        self.options = [np.unique(column).tolist() for column in self.choices.T]
        self._row_of = {tuple(row): number for number, row in enumerate(self.choices.tolist())}

    @cached_property
    def indices(self) -> NDArray[np.int64]:
        """Index of the option of every choice, (N, L)."""
        return np.stack([np.searchsorted(o, c) for o, c in zip(self.options, self.choices.T, strict=True)], axis=1)

    @cached_property
    def plane(self) -> NDArray[np.float64]:
        """Normalised accuracy and cost of every row, (N, 2), both minimised; see `normalise`."""
        return self.normalise(self.accuracy / 100, self.cost)

    def normalise(self, accuracy: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return accuracies in [0, 1] and costs on the plane of the hypervolume, (N, 2), both minimised."""
        best, middle = self.accuracy.max(), np.median(self.accuracy)
        span = self.cost.max() - self.cost.min()
        return np.column_stack([(best - 100 * accuracy) / (best - middle), (cost - self.cost.min()) / span])

    @cached_property
    def whole(self) -> float:
        """Hypervolume of the whole table."""
        return self.hypervolume(self.plane)

    @staticmethod
    def hypervolume(points: NDArray[np.float64]) -> float:
        """Return the hypervolume of points on the plane."""
        return float(moocore.hypervolume(points, ref=(1.0, 1.0)))

    def curve(self, rows: list[int], evaluations: int) -> NDArray[np.float64]:
        """Return the fraction of the hypervolume after each evaluation; after an early end the last one is repeated."""
        fractions, front = [0.0], np.empty((0, 2))
        for point in self.plane[rows]:
            if (point < 1).all() and not (front <= point).all(axis=1).any():
                front = np.vstack([front[~(front >= point).all(axis=1)], point])
                fractions.append(self.hypervolume(front) / self.whole)
            else:
                fractions.append(fractions[-1])
        return np.array(fractions[1:] + fractions[-1:] * (evaluations - len(rows)))

    def rows(self, indices: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the row number of each row of option indices, (M, L) to (M,); -1 if the table has no such row."""
        values = np.stack([np.array(o)[c] for o, c in zip(self.options, indices.T, strict=True)], axis=1)
        return np.array([self._row_of.get(tuple(row), -1) for row in values.tolist()], dtype=np.int64)


@dataclass(frozen=True)
class Choice:
    """Column of a table, as a choice of a search space."""

    label: str
    options: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """Row of a table, in place of an architecture."""

    number: int

    @property
    def digest(self) -> str:
        """Number of the row, as text."""
        return str(self.number)


class TableSpace:
    """Table in place of a `SearchSpace`, with the attributes that `NNISpace` uses."""

    def __init__(self, table: Table):
        self.table = table
        self.choices = tuple(
            Choice(f"choice{number}", tuple(options)) for number, options in enumerate(table.options, start=1)
        )

    def architecture(self, sample: Mapping[str, Any]) -> Row:
        """Return the row of a sample."""
        indices = [choice.options.index(sample[choice.label]) for choice in self.choices]
        return Row(int(self.table.rows(np.array([indices]))[0]))

    def problem(self) -> Problem:
        """Return the search problem: what is known of the table before training."""
        return Problem(
            labels=tuple(choice.label for choice in self.choices),
            options=tuple(choice.options for choice in self.choices),
            costs=lambda rows: self.table.cost[self.table.rows(rows)][:, None],
            feasible=lambda rows: self.table.rows(rows) >= 0,
            worst_cost=float(self.table.cost.max()),
            listed=self.table.indices,
        )


def load_tables(parser: argparse.ArgumentParser, paths: list[Path]) -> list[Table]:
    """Return the tables, or exit with status 2 and a line that says what is wrong with one."""
    try:
        return [Table(path) for path in paths]
    except DataError as error:
        parser.error(str(error))


def observer(table: Table, seed: int) -> Observe:
    """Return a function that gives the accuracy of one training of a row in percent, the same for every strategy."""
    trainings = np.random.default_rng([seed, 7]).integers(table.observed.shape[1], size=len(table.cost))
    return lambda row: float(table.observed[row, trainings[row]])


def _choices(values: np.ndarray, where: str) -> NDArray[np.int64]:
    """Return option numbers, (N, L), or raise `DataError` if they are not."""
    if not np.can_cast(values.dtype, np.int64) or values.size > MAX_CHOICES:
        raise DataError(
            f"{where}: found {values.size} of {values.dtype}, expected whole numbers of 64 bits, at most {MAX_CHOICES}"
        )
    return values.astype(np.int64)


def _finite(values: np.ndarray, where: str) -> NDArray[np.float64]:
    """Return finite numbers, or raise `DataError` if they are not."""
    if values.dtype.kind not in "iuf" or not (np.abs(values, dtype=np.float64) <= MAX_VALUE).all():
        raise DataError(f"{where}: found {values.dtype}, or numbers beyond {MAX_VALUE:g}, expected finite ones")
    return values.astype(np.float64)
