"""Size of networks, computed from their layouts alone, and the limits that it is checked against before building.

A few hundred bytes can describe a network of terabytes. The limits are far above every network of the literature
(VGG-16 has 2^27 weights, Inception-ResNet-v2 2^34 multiply-adds), and an ordinary machine can run what is within them.
"""

from dataclasses import dataclass

from senas.architecture.layers import (
    MAX_ELEMENTS,
    MAX_WEIGHTS,
    SE,
    BatchNorm,
    Branches,
    Chain,
    Conv,
    Linear,
    Operation,
    Shape,
)
from senas.errors import ArchitectureError

MAX_MULTIPLY_ADDS = 2**40  # multiply-adds of a network at batch size 1: half a minute on one core


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """Size of a network or of a part of it.

    Attributes:
        weights: Number of trainable parameters.
        multiply_adds: Multiply-adds of one forward pass at batch size 1, without element-wise operations.
        elements: Number of elements of the largest feature map between operations, at batch size 1.
    """

    weights: int
    multiply_adds: int
    elements: int

    def __add__(self, other: "NetworkSize") -> "NetworkSize":
        """Return the combined size of two parts that run one after the other."""
        return NetworkSize(
            self.weights + other.weights,
            self.multiply_adds + other.multiply_adds,
            max(self.elements, other.elements),
        )

    def check(self) -> None:
        """Raise `ArchitectureError` if this size exceeds a limit."""
        for what, found, limit in (
            ("weights", self.weights, MAX_WEIGHTS),
            ("multiply-adds", self.multiply_adds, MAX_MULTIPLY_ADDS),
            ("elements of one map", self.elements, MAX_ELEMENTS),
        ):
            if found > limit:
                raise ArchitectureError(f"network: found {found} {what}, allowed: at most {limit}")


NO_SIZE = NetworkSize(0, 0, 0)


def size_of(operation: Operation, in_shape: Shape) -> NetworkSize:
    """Return the size of an operation for an input of `in_shape`.

    Raises:
        ArchitectureError: The operation cannot take an input of that shape.
    """
    total = NO_SIZE
    match operation:
        case Chain(steps=steps):
            for step in steps:
                total += size_of(step, in_shape)
                in_shape = step.shape(in_shape)
            return total + _map_size(in_shape)
        case Branches(branches=branches):
            for branch in branches.values():
                total += size_of(branch, in_shape)
            return total + _map_size(operation.shape(in_shape))
    weights, uses = _weights_and_uses(operation, in_shape)
    return NetworkSize(weights, weights * uses, 0) + _map_size(operation.shape(in_shape))


def _map_size(shape: Shape) -> NetworkSize:
    """Return the size of a feature map alone: no weights, no multiply-adds."""
    return NetworkSize(0, 0, shape.channels * shape.size**2)


def _weights_and_uses(operation: Operation, in_shape: Shape) -> tuple[int, int]:
    """Return the number of weights of a single operation, and how often a forward pass uses each."""
    match operation:
        case Conv(channels, groups=groups, bias=bias):
            height, width = operation.kernels
            weights = channels * (in_shape.channels // groups * height * width + bias)
            return weights, operation.shape(in_shape).size ** 2
        case Linear(channels):
            return channels * (in_shape.channels + 1), 1
        case BatchNorm():
            return 2 * in_shape.channels, 0
        case SE(config=config) if config is not None:
            hidden = config.hidden(in_shape.channels)
            biases = (hidden + in_shape.channels) * config.bias
            return 2 * hidden * in_shape.channels + biases, in_shape.size**2 if config.squeeze == "none" else 1
    return 0, 0
