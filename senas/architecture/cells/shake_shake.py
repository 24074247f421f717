"""The shake-shake cell: two branches of two 3x3 convolutions, mixed at random in training."""

from dataclasses import dataclass
from typing import ClassVar

from senas.architecture.cells.cell import Cell
from senas.architecture.layers import (
    Activation,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    ShakeSum,
    Shape,
    Shift,
    Subsample,
    Sum,
    conv_norm,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShakeShake(Cell):
    """The residual block with shake-shake regularisation (Gastaldi 2017, section 2.1).

    At `pre`, `inner` and `standard` each branch has an SE block of its own; at `post` one block recalibrates the sum.

    Attributes:
        channels: Number of output channels.
        stride: Stride of the first convolution of each branch.
    """

    kind: ClassVar[str] = "shake_shake"
    channels: int
    stride: int = 1

    def layout(self, in_shape: Shape) -> Chain:
        """Return the sum of the skip path and two branches, each of twice ReLU, convolution and batch norm."""
        mixed = ShakeSum(first=self._branch(), second=self._branch())
        return Chain(Sum(branches=mixed, skip=self._skip(in_shape)), self.se_at("post"))

    def _branch(self) -> Chain:
        return Chain(
            self.se_at("pre"),
            Activation(),
            *conv_norm(self.channels, 3, stride=self.stride),
            self.se_at("inner"),
            *conv_norm(self.channels, 3, activation=None),
            self.se_at("standard"),
        )

    def _skip(self, in_shape: Shape) -> Chain:
        """Return the skip path; if the shape changes, two 1x1 convolutions, one on the shifted map (section 2.1)."""
        if self.stride == 1 and in_shape.channels == self.channels:
            return Chain(self.se_at("identity"))
        half = self.channels // 2
        flows = Concat(
            first=Chain(Subsample(self.stride), Conv(half, 1)),
            second=Chain(Shift(), Subsample(self.stride), Conv(self.channels - half, 1)),
        )
        return Chain(Activation(), flows, BatchNorm(), self.se_at("identity"))
