"""The basic residual cell: two 3x3 convolutions in parallel with a skip path."""

from dataclasses import dataclass
from typing import ClassVar

from senas.architecture.cells.cell import Cell
from senas.architecture.cells.shortcuts import Shortcut, shortcut
from senas.architecture.layers import Activation, Chain, Shape, Sum, conv_norm


@dataclass(frozen=True, kw_only=True, slots=True)
class Basic(Cell):
    """The basic block of ResNet (He et al. 2016, figure 5 left).

    Attributes:
        channels: Number of output channels.
        stride: Stride of the first convolution.
        shortcut: Kind of the skip path if the shape changes, see `senas.architecture.cells.shortcuts`.
    """

    kind: ClassVar[str] = "basic"
    channels: int
    stride: int = 1
    shortcut: Shortcut = "pad"

    def layout(self, in_shape: Shape) -> Chain:
        """Return convolutions with batch norm, with a ReLU between them and after the addition."""
        branch = Chain(
            self.se_at("pre"),
            *conv_norm(self.channels, 3, stride=self.stride),
            self.se_at("inner"),
            *conv_norm(self.channels, 3, activation=None),
            self.se_at("standard"),
        )
        skip = Chain(*shortcut(self.shortcut, in_shape, self.channels, self.stride), self.se_at("identity"))
        return Chain(Sum(branch=branch, skip=skip), Activation(), self.se_at("post"))
