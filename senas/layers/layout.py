"""How operations are put together: one after the other, or side by side.

A stem, a cell or a head lays itself out as one operation, mostly a `Chain` of others. Everything else follows from that
layout: the shapes, the places where an SE block can sit, and, in `senas.nn`, the torch module.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

from senas.errors import ArchitectureError


class Shape(NamedTuple):
    """What flows between operations at batch size B: (B, channels, size, size), or (B, channels) after a `Flatten`."""

    channels: int
    size: int

    def __str__(self) -> str:
        return f"{self.channels}x{self.size}x{self.size}"

    def batch(self, count: int) -> tuple[int, int, int, int]:
        """The shape of a tensor of `count` such maps."""
        return count, self.channels, self.size, self.size


class Operation(ABC):
    """One step of a layout."""

    __slots__ = ()

    @abstractmethod
    def shape(self, inflow: Shape) -> Shape:
        """What flows out where `inflow` flows in.

        Raises:
            ArchitectureError: the operation cannot take it.
        """

    @property
    def inner(self) -> tuple["Operation", ...]:
        """The operations that this one is made of."""
        return ()

    def walk(self) -> Iterator["Operation"]:
        """Yield this operation and all that it is made of."""
        yield self
        for operation in self.inner:
            yield from operation.walk()


class Chain(Operation):
    """One operation after the other; an empty chain passes on what flows in.

    Args:
        steps: in order; the steps of a chain among them become its own.
    """

    __slots__ = ("steps",)

    def __init__(self, *steps: Operation):
        parts = (step.steps if isinstance(step, Chain) else (step,) for step in steps)
        self.steps: tuple[Operation, ...] = tuple(itertools.chain.from_iterable(parts))

    @property
    def inner(self) -> tuple[Operation, ...]:
        """The steps."""
        return self.steps

    def shape(self, inflow: Shape) -> Shape:
        """What the last step makes of it."""
        for step in self.steps:
            inflow = step.shape(inflow)
        return inflow


class Branches(Operation):
    """Operations side by side, each of which sees the same inflow.

    Args:
        branches: by name, two or more.
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
    """The sum of what the branches make of their inflow."""

    __slots__ = ()

    def shape(self, inflow: Shape) -> Shape:
        """The shape that all branches agree on."""
        shapes = {name: branch.shape(inflow) for name, branch in self.branches.items()}
        _require_same("channels of a sum", {name: shape.channels for name, shape in shapes.items()})
        _require_same("size of a sum", {name: shape.size for name, shape in shapes.items()})
        return next(iter(shapes.values()))


class ShakeSum(Sum):
    """A random convex combination of two branches per image, another one for the gradient (Gastaldi 2017, section 1).

    In evaluation mode their mean.
    """

    __slots__ = ()

    def __init__(self, *, first: Operation, second: Operation):
        super().__init__(first=first, second=second)


class Concat(Branches):
    """The channels of all branches, one branch after the other."""

    __slots__ = ()

    def shape(self, inflow: Shape) -> Shape:
        """The sum of the branches' channels at the size that all agree on."""
        shapes = {name: branch.shape(inflow) for name, branch in self.branches.items()}
        _require_same("size of a concatenation", {name: shape.size for name, shape in shapes.items()})
        return Shape(sum(shape.channels for shape in shapes.values()), next(iter(shapes.values())).size)


def _require_same(what: str, values: dict[str, int]) -> None:
    if len(set(values.values())) > 1:
        found = ", ".join(f"{value} from {name}" for name, value in values.items())
        raise ArchitectureError(f"{what}: found {found}, expected the same from all")
