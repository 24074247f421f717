"""The bottleneck cell: 1x1, 3x3 and 1x1 convolution with a skip path; with groups in the 3x3, that of ResNeXt."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from senas.architecture.cells.cell import Cell
from senas.architecture.cells.shortcuts import shortcut
from senas.architecture.layers import Activation, Chain, Shape, Sum, conv_norm


@dataclass(frozen=True, kw_only=True, slots=True)
class Bottleneck(Cell):
    """The bottleneck block of ResNet (He et al. 2016, figure 5 right) and of ResNeXt (Xie et al. 2017, figure 3c).

    Attributes:
        channels: Number of output channels.
        stride: Stride of the convolution that `strided` names, and of the projection.
        expansion: Divisor of the channels: the inner convolutions have channels // expansion channels.
        groups: Number of groups of the 3x3 convolution, the cardinality of ResNeXt.
        strided: Convolution with the stride: the first 1x1, as in the networks of the SE paper, or the 3x3.
    """

    kind: ClassVar[str] = "bottleneck"
    channels: int
    stride: int = 1
    expansion: int = 4
    groups: int = 1
    strided: Literal["1x1", "3x3"] = "1x1"

    def layout(self, in_shape: Shape) -> Chain:
        """Return convolutions with batch norm, with a ReLU between them and after the addition."""
        narrow = self.channels // self.expansion
        first, second = (self.stride, 1) if self.strided == "1x1" else (1, self.stride)
        branch = Chain(
            self.se_at("pre"),
            *conv_norm(narrow, 1, stride=first),
            *conv_norm(narrow, 3, stride=second, groups=self.groups),
            self.se_at("inner"),
            *conv_norm(self.channels, 1, activation=None),
            self.se_at("standard"),
        )
        skip = Chain(*shortcut("projection", in_shape, self.channels, self.stride), self.se_at("identity"))
        return Chain(Sum(branch=branch, skip=skip), Activation(), self.se_at("post"))
