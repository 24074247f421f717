"""Cells without a skip path: the convolution of VGG and the depthwise separable one of MobileNet."""

from dataclasses import dataclass
from typing import ClassVar

from senas.cells.cell import Cell
from senas.layers.layout import Chain, Shape
from senas.layers.operations import Activation, BatchNorm, Conv, Pool, conv_norm


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainConv(Cell):
    """A 3x3 convolution with batch norm and ReLU (Simonyan & Zisserman 2015, section 2.1).

    Attributes:
        channels: flowing out.
        stride: of a max-pooling before the convolution; 1 is none.
    """

    kind: ClassVar[str] = "conv"
    channels: int
    stride: int = 1

    def layout(self, inflow: Shape) -> Chain:  # noqa: ARG002  # the same whatever flows in
        """The convolution has a bias, as VGG's had before batch norm."""
        pool = () if self.stride == 1 else (Pool("max", self.stride, self.stride),)
        return Chain(
            *pool,
            self.se_at("pre"),
            Conv(self.channels, 3, bias=True),
            BatchNorm(),
            Activation(),
            self.se_at("standard"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Separable(Cell):
    """A depthwise 3x3 and a 1x1 convolution, each with batch norm and ReLU (Howard et al. 2017, figure 3 right).

    Attributes:
        channels: flowing out.
        stride: of the depthwise convolution.
    """

    kind: ClassVar[str] = "separable"
    channels: int
    stride: int = 1

    def layout(self, inflow: Shape) -> Chain:
        """One filter per channel, then a mix of the channels."""
        return Chain(
            self.se_at("pre"),
            *conv_norm(inflow.channels, 3, stride=self.stride, groups=inflow.channels),
            self.se_at("inner"),
            *conv_norm(self.channels, 1),
            self.se_at("standard"),
        )
