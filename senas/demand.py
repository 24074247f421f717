"""How much a layer asks of a device, from its layout alone, so that what none can hold is refused before it is built.

A few hundred bytes can describe a network of terabytes. The bounds stand far above every network of the literature
(VGG-16 has 2^27 weights, Inception-ResNet-v2 2^34 multiply-adds) and below what would bring an ordinary machine down.
"""

from typing import NamedTuple

from senas.errors import ArchitectureError
from senas.layers.layout import Branches, Chain, Operation, Shape
from senas.layers.operations import SE, BatchNorm, Conv, Linear

MAX_WEIGHTS = 2**28  # of a network: 1 GiB in fp32
MAX_MULTIPLY_ADDS = 2**40  # of a network at batch size 1: half a minute on one core
MAX_ELEMENTS = 2**26  # of one map at batch size 1: 256 MiB in fp32


class Demand(NamedTuple):
    """What is asked for.

    Attributes:
        weights: trainable numbers.
        multiply_adds: of one forward pass at batch size 1, element-wise work left out.
        elements: of the largest map that flows between operations.
    """

    weights: int
    multiply_adds: int
    elements: int

    def __or__(self, other: "Demand") -> "Demand":
        """What two things ask for together, one after the other."""
        return Demand(
            self.weights + other.weights,
            self.multiply_adds + other.multiply_adds,
            max(self.elements, other.elements),
        )

    def check(self) -> None:
        """Raise `ArchitectureError` where it is more than a network may ask for."""
        for what, found, most in (
            ("weights", self.weights, MAX_WEIGHTS),
            ("multiply-adds", self.multiply_adds, MAX_MULTIPLY_ADDS),
            ("elements of one map", self.elements, MAX_ELEMENTS),
        ):
            if found > most:
                raise ArchitectureError(f"network: found {found} {what}, allowed: at most {most}")


NOTHING = Demand(0, 0, 0)


def demand_of(operation: Operation, inflow: Shape) -> Demand:
    """What an operation asks for where `inflow` flows in.

    Raises:
        ArchitectureError: it cannot take what flows in.
    """
    total = NOTHING
    match operation:
        case Chain(steps=steps):
            for step in steps:
                total |= demand_of(step, inflow)
                inflow = step.shape(inflow)
            return total | _map(inflow)
        case Branches(branches=branches):
            for branch in branches.values():
                total |= demand_of(branch, inflow)
            return total | _map(operation.shape(inflow))
    weights, positions = _weights(operation, inflow)
    return Demand(weights, weights * positions, 0) | _map(operation.shape(inflow))


def _map(shape: Shape) -> Demand:
    return Demand(0, 0, shape.channels * shape.size**2)


def _weights(operation: Operation, inflow: Shape) -> tuple[int, int]:
    """Of a single operation, and how often each takes part; other operations than these have none."""
    match operation:
        case Conv(channels, groups=groups, bias=bias):
            height, width = operation.kernels
            return channels * (inflow.channels // groups * height * width + bias), operation.shape(inflow).size ** 2
        case Linear(channels):
            return channels * (inflow.channels + 1), 1
        case BatchNorm():
            return 2 * inflow.channels, 0
        case SE(config=config) if config is not None:
            hidden = config.hidden(inflow.channels)
            biases = (hidden + inflow.channels) * config.bias
            return 2 * hidden * inflow.channels + biases, inflow.size**2 if config.squeeze == "none" else 1
    return 0, 0
