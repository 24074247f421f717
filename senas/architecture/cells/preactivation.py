"""Pre-activation cells, with batch norm and ReLU before convolutions: ResNet-110 and -164 for CIFAR, wide ResNets."""

from dataclasses import dataclass
from typing import ClassVar

from senas.architecture.cells.cell import Cell
from senas.architecture.cells.shortcuts import Shortcut, shortcut
from senas.architecture.layers import Activation, BatchNorm, Chain, Conv, Operation, Shape, Sum, norm_conv


@dataclass(frozen=True, kw_only=True, slots=True)
class PreActivationBasic(Cell):
    """The basic pre-activation block (He et al. 2016b, figure 4e; wide ResNet: Zagoruyko & Komodakis 2016, figure 1a).

    Attributes:
        channels: Number of output channels.
        stride: Stride of the first convolution.
        shortcut: Kind of the skip path if the shape changes, see `senas.architecture.cells.shortcuts`.
        shared: Whether the skip path also starts after the first batch norm and ReLU, as in the first unit of a network
            (He et al. 2016b, appendix). With a projection it always does.
    """

    kind: ClassVar[str] = "preactivation_basic"
    channels: int
    stride: int = 1
    shortcut: Shortcut = "pad"
    shared: bool = False

    def layout(self, in_shape: Shape) -> Chain:
        """Return two convolutions, each after batch norm and ReLU, and the addition as the last operation."""
        convolutions = Chain(
            Conv(self.channels, 3, self.stride),
            BatchNorm(),
            Activation(),
            self.se_at("inner"),
            Conv(self.channels, 3),
            self.se_at("standard"),
        )
        resizing = shortcut(self.shortcut, in_shape, self.channels, self.stride, norm=False)
        return _residual(self, convolutions, resizing, shared=self.shared)


@dataclass(frozen=True, kw_only=True, slots=True)
class PreActivationBottleneck(Cell):
    """The bottleneck pre-activation block (He et al. 2016b, appendix).

    Attributes:
        channels: Number of output channels.
        stride: Stride of the 3x3 convolution.
        expansion: Divisor of the channels: the inner convolutions have channels // expansion channels.
    """

    kind: ClassVar[str] = "preactivation_bottleneck"
    channels: int
    stride: int = 1
    expansion: int = 4

    def layout(self, in_shape: Shape) -> Chain:
        """Return three convolutions, each after batch norm and ReLU, and the addition as the last operation."""
        narrow = self.channels // self.expansion
        convolutions = Chain(
            Conv(narrow, 1),
            *norm_conv(narrow, 3, stride=self.stride),
            BatchNorm(),
            Activation(),
            self.se_at("inner"),
            Conv(self.channels, 1),
            self.se_at("standard"),
        )
        resizing = shortcut("projection", in_shape, self.channels, self.stride, norm=False)
        return _residual(self, convolutions, resizing)


def _residual(cell: Cell, convolutions: Operation, resizing: tuple[Operation, ...], *, shared: bool = False) -> Chain:
    """Return the sum of branch and skip path; a projection shares the branch's first batch norm and ReLU."""
    before, skip = (BatchNorm(), Activation()), Chain(*resizing, cell.se_at("identity"))
    if shared or any(isinstance(step, Conv) for step in resizing):
        branch = Chain(cell.se_at("pre"), convolutions)
        return Chain(*before, Sum(branch=branch, skip=skip), cell.se_at("post"))
    branch = Chain(cell.se_at("pre"), *before, convolutions)
    return Chain(Sum(branch=branch, skip=skip), cell.se_at("post"))
