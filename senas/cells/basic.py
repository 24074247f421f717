"""Two 3x3 convolutions beside a skip path."""

from dataclasses import dataclass
from typing import ClassVar

from senas.cells.cell import Cell
from senas.cells.shortcuts import Shortcut, shortcut
from senas.layers.layout import Chain, Shape, Sum
from senas.layers.operations import Activation, conv_norm


@dataclass(frozen=True, kw_only=True, slots=True)
class Basic(Cell):
    """The basic block of ResNet (He et al. 2016, figure 5 left).

    Attributes:
        channels: flowing out.
        stride: of the first convolution.
        shortcut: how the skip path changes its shape, see `senas.cells.shortcuts`.
    """

    kind: ClassVar[str] = "basic"
    channels: int
    stride: int = 1
    shortcut: Shortcut = "pad"

    def layout(self, inflow: Shape) -> Chain:
        """Convolutions with batch norm; ReLU between them and after the addition."""
        branch = Chain(
            self.se_at("pre"),
            *conv_norm(self.channels, 3, stride=self.stride),
            self.se_at("inner"),
            *conv_norm(self.channels, 3, activation=None),
            self.se_at("standard"),
        )
        skip = Chain(*shortcut(self.shortcut, inflow, self.channels, self.stride), self.se_at("identity"))
        return Chain(Sum(branch=branch, skip=skip), Activation(), self.se_at("post"))
