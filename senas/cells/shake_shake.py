"""Two branches of two 3x3 convolutions, mixed at random in training."""

from dataclasses import dataclass
from typing import ClassVar

from senas.cells.cell import Cell
from senas.layers.layout import Chain, Concat, ShakeSum, Shape, Sum
from senas.layers.operations import Activation, BatchNorm, Conv, Shift, Subsample, conv_norm


@dataclass(frozen=True, kw_only=True, slots=True)
class ShakeShake(Cell):
    """The residual block with shake-shake regularisation (Gastaldi 2017, section 2.1).

    Each branch has its own SE block at `pre`, `inner` and `standard`; at `post` one recalibrates the sum.

    Attributes:
        channels: flowing out.
        stride: of the first convolution of each branch.
    """

    kind: ClassVar[str] = "shake_shake"
    channels: int
    stride: int = 1

    def layout(self, inflow: Shape) -> Chain:
        """Two branches of ReLU, convolution, batch norm, twice; nothing after the addition."""
        mixed = ShakeSum(first=self._branch(), second=self._branch())
        return Chain(Sum(branches=mixed, skip=self._skip(inflow)), self.se_at("post"))

    def _branch(self) -> Chain:
        return Chain(
            self.se_at("pre"),
            Activation(),
            *conv_norm(self.channels, 3, stride=self.stride),
            self.se_at("inner"),
            *conv_norm(self.channels, 3, activation=None),
            self.se_at("standard"),
        )

    def _skip(self, inflow: Shape) -> Chain:
        """Where the shape changes, two 1x1 convolutions, one of them on the map shifted by a pixel (section 2.1)."""
        if self.stride == 1 and inflow.channels == self.channels:
            return Chain(self.se_at("identity"))
        half = self.channels // 2
        flows = Concat(
            first=Chain(Subsample(self.stride), Conv(half, 1)),
            second=Chain(Shift(), Subsample(self.stride), Conv(self.channels - half, 1)),
        )
        return Chain(Activation(), flows, BatchNorm(), self.se_at("identity"))
