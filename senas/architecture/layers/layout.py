"""Layouts: operations combined one after the other or in parallel.

The layout of a stem, a cell or a head is one operation, mostly a `Chain` of others. Everything else is derived from
that layout: the shapes, the places where an SE block can sit, and, in `senas.nn`, the torch module.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

from senas.errors import ArchitectureError


class Shape(NamedTuple):
    """Shape of a map between operations: (B, channels, size, size) at batch size B, or (B, channels) after a `Flatten`.

    Attributes:
        channels: Number of channels.
        size: Height = width; 1 after a `Flatten`.
    """

    channels: int
    size: int

    def __str__(self) -> str:
        return f"{self.channels}x{self.size}x{self.size}"

    def batch(self, count: int) -> tuple[int, int, int, int]:
        """Return the shape of a tensor of `count` such maps."""
        return count, self.channels, self.size, self.size


class Operation(ABC):
    """One step of a layout."""

    __slots__ = ()

    @abstractmethod
    def shape(self, in_shape: Shape) -> Shape:
        """Return the output shape for an input of `in_shape`.

        Raises:
            ArchitectureError: The operation cannot take an input of that shape.
        """

    @property
    def inner(self) -> tuple["Operation", ...]:
        """The operations that this one consists of."""
        return ()

    def walk(self) -> Iterator["Operation"]:
        """Yield this operation and, recursively, every operation that it consists of."""
        yield self
        for operation in self.inner:
            yield from operation.walk()


class Chain(Operation):
    """One operation after the other; an empty chain returns its input.

    Args:
        steps: Operations in order; a chain among them is replaced by its steps.
    """

    __slots__ = ("steps",)

    def __init__(self, *steps: Operation):
        parts = (step.steps if isinstance(step, Chain) else (step,) for step in steps)
        self.steps: tuple[Operation, ...] = tuple(itertools.chain.from_iterable(parts))

    @property
    def inner(self) -> tuple[Operation, ...]:
        """The steps."""
        return self.steps

    def shape(self, in_shape: Shape) -> Shape:
        """Return the output shape of the last step."""
        for step in self.steps:
            in_shape = step.shape(in_shape)
        return in_shape


class Branches(Operation):
    """Parallel operations that all have the same input.

    Args:
        branches: Two or more operations by name.

    Raises:
        ArchitectureError: There are fewer than two branches, or a name is not an identifier.
    """

    __slots__ = ("branches",)

    def __init__(self, **branches: Operation):
        if len(branches) < 2:
            raise ArchitectureError(f"branches: found {len(branches)}, allowed: at least 2")
        for name in branches:
            if not name.isidentifier():
                raise ArchitectureError(f"branch: found '{name}', expected a name of letters, digits and underscores")
        self.branches = branches

    @property
    def inner(self) -> tuple[Operation, ...]:
        """The branches."""
        return tuple(self.branches.values())


class Sum(Branches):
    """The sum of the outputs of all branches."""

    __slots__ = ()

    def shape(self, in_shape: Shape) -> Shape:
        """Return the output shape, which must be the same for all branches."""
        shapes = {name: branch.shape(in_shape) for name, branch in self.branches.items()}
        _require_same("channels of a sum", {name: shape.channels for name, shape in shapes.items()})
        _require_same("size of a sum", {name: shape.size for name, shape in shapes.items()})
        return next(iter(shapes.values()))


class ShakeSum(Sum):
    """A random convex combination of two branches per image, another one for the gradient (Gastaldi 2017, section 1).

    In evaluation mode it is their mean.
    """

    __slots__ = ()

    def __init__(self, *, first: Operation, second: Operation):
        super().__init__(first=first, second=second)


class Concat(Branches):
    """The concatenation of the channels of all branches, in order."""

    __slots__ = ()

    def shape(self, in_shape: Shape) -> Shape:
        """Return the sum of the branches' channels, at the size that must be the same for all."""
        shapes = {name: branch.shape(in_shape) for name, branch in self.branches.items()}
        _require_same("size of a concatenation", {name: shape.size for name, shape in shapes.items()})
        return Shape(sum(shape.channels for shape in shapes.values()), next(iter(shapes.values())).size)


def _require_same(what: str, values: dict[str, int]) -> None:
    if len(set(values.values())) > 1:
        found = ", ".join(f"{value} from {name}" for name, value in values.items())
        raise ArchitectureError(f"{what}: found {found}, expected the same from all")
