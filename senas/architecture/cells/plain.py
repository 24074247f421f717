"""Cells without a skip path: the convolution of VGG and the depthwise separable convolution of MobileNet."""

from dataclasses import dataclass
from typing import ClassVar

from senas.architecture.cells.cell import Cell
from senas.architecture.layers import Activation, BatchNorm, Chain, Conv, Pool, Shape, conv_norm


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainConv(Cell):
    """A 3x3 convolution with batch norm and ReLU (Simonyan & Zisserman 2015, section 2.1).

    Attributes:
        channels: Number of output channels.
        stride: Stride of a max-pooling before the convolution; 1 for no pooling.
    """

    kind: ClassVar[str] = "conv"
    channels: int
    stride: int = 1

    def layout(self, in_shape: Shape) -> Chain:  # noqa: ARG002  # the layout does not depend on the input shape
        """Return pooling, convolution, batch norm and ReLU; the convolution has a bias, as in VGG before batch norm."""
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
        channels: Number of output channels.
        stride: Stride of the depthwise convolution.
    """

    kind: ClassVar[str] = "separable"
    channels: int
    stride: int = 1

    def layout(self, in_shape: Shape) -> Chain:
        """Return a convolution with one filter per channel, and one that mixes the channels."""
        return Chain(
            self.se_at("pre"),
            *conv_norm(in_shape.channels, 3, stride=self.stride, groups=in_shape.channels),
            self.se_at("inner"),
            *conv_norm(self.channels, 1),
            self.se_at("standard"),
        )
