"""1x1, 3x3 and 1x1 convolution beside a skip path; with groups in the 3x3 convolution the cell of ResNeXt."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from senas.cells.cell import Cell
from senas.cells.shortcuts import shortcut
from senas.layers.layout import Chain, Shape, Sum
from senas.layers.operations import Activation, conv_norm


@dataclass(frozen=True, kw_only=True, slots=True)
class Bottleneck(Cell):
    """The bottleneck block of ResNet (He et al. 2016, figure 5 right) and of ResNeXt (Xie et al. 2017, figure 3c).

    Attributes:
        channels: flowing out.
        stride: of the convolution that `strided` names, and of the projection.
        expansion: the inner convolutions have channels // expansion channels.
        groups: of the 3x3 convolution, the cardinality of ResNeXt.
        strided: the first 1x1 convolution, as in the networks of the SE paper, or the 3x3 convolution.
    """

    kind: ClassVar[str] = "bottleneck"
    channels: int
    stride: int = 1
    expansion: int = 4
    groups: int = 1
    strided: Literal["1x1", "3x3"] = "1x1"

    def layout(self, inflow: Shape) -> Chain:
        """Convolutions with batch norm; ReLU between them and after the addition."""
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
        skip = Chain(*shortcut("projection", inflow, self.channels, self.stride), self.se_at("identity"))
        return Chain(Sum(branch=branch, skip=skip), Activation(), self.se_at("post"))
