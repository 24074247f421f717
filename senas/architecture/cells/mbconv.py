"""The inverted residual of MobileNetV2, MobileNetV3 and EfficientNet (MBConv)."""

from dataclasses import dataclass
from typing import ClassVar

from senas.architecture.cells.cell import Cell
from senas.architecture.layers import ActivationKind, Chain, Shape, Sum, conv_norm
from senas.architecture.se import round_channels


@dataclass(frozen=True, kw_only=True, slots=True)
class MBConv(Cell):
    """Expansion, depthwise convolution and linear projection (Sandler et al. 2018, figure 4d).

    The SE block of the original networks is `inner`: after the depthwise convolution (Howard et al. 2019, figure 4).
    The skip path, and with it the places `identity` and `post`, exists only if the shape does not change.

    Attributes:
        channels: Number of output channels.
        stride: Stride of the depthwise convolution.
        expansion: Ratio of the depthwise convolution's channels, rounded to a multiple of 8, to the input channels; at
            1 there is no expanding convolution.
        kernel: Height = width of the depthwise convolution's kernel.
        activation: Activation after each of the first two convolutions.
    """

    kind: ClassVar[str] = "mbconv"
    channels: int
    stride: int = 1
    expansion: float = 6.0
    kernel: int = 3
    activation: ActivationKind = "relu"

    def layout(self, in_shape: Shape) -> Chain:
        """Return the three convolutions; there is no activation after the projection or the addition."""
        wide = in_shape.channels if self.expansion == 1 else round_channels(in_shape.channels * self.expansion, 8)
        expand = () if self.expansion == 1 else conv_norm(wide, 1, activation=self.activation)
        branch = Chain(
            self.se_at("pre"),
            *expand,
            *conv_norm(wide, self.kernel, stride=self.stride, groups=wide, activation=self.activation),
            self.se_at("inner"),
            *conv_norm(self.channels, 1, activation=None),
            self.se_at("standard"),
        )
        if self.stride != 1 or in_shape.channels != self.channels:
            return branch
        return Chain(Sum(branch=branch, skip=Chain(self.se_at("identity"))), self.se_at("post"))
