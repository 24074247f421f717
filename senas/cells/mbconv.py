"""The inverted residual of MobileNetV2, MobileNetV3 and EfficientNet (MBConv)."""

from dataclasses import dataclass
from typing import ClassVar

from senas.cells.cell import Cell
from senas.layers.layout import Chain, Shape, Sum
from senas.layers.operations import ActivationKind, conv_norm
from senas.se import round_channels


@dataclass(frozen=True, kw_only=True, slots=True)
class MBConv(Cell):
    """Expansion, depthwise convolution, linear projection (Sandler et al. 2018, figure 4d).

    Their own SE block is `inner`: after the depthwise convolution (Howard et al. 2019, figure 4). The skip path exists,
    and with it `identity` and `post`, where the shape stays as it is.

    Attributes:
        channels: flowing out.
        stride: of the depthwise convolution.
        expansion: channels of the depthwise convolution / channels flowing in, rounded to a multiple of 8; 1 leaves the
            expanding convolution out.
        kernel: of the depthwise convolution.
        activation: of the first two convolutions.
    """

    kind: ClassVar[str] = "mbconv"
    channels: int
    stride: int = 1
    expansion: float = 6.0
    kernel: int = 3
    activation: ActivationKind = "relu"

    def layout(self, inflow: Shape) -> Chain:
        """No activation after the projection and the addition."""
        wide = inflow.channels if self.expansion == 1 else round_channels(inflow.channels * self.expansion, 8)
        expand = () if self.expansion == 1 else conv_norm(wide, 1, activation=self.activation)
        branch = Chain(
            self.se_at("pre"),
            *expand,
            *conv_norm(wide, self.kernel, stride=self.stride, groups=wide, activation=self.activation),
            self.se_at("inner"),
            *conv_norm(self.channels, 1, activation=None),
            self.se_at("standard"),
        )
        if self.stride != 1 or inflow.channels != self.channels:
            return branch
        return Chain(Sum(branch=branch, skip=Chain(self.se_at("identity"))), self.se_at("post"))
