"""The module of BN-Inception: convolutions of several sizes and a pooling in parallel."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from senas.architecture.cells.cell import Cell
from senas.architecture.layers import Chain, Concat, Operation, Pool, Shape, conv_norm


@dataclass(frozen=True, kw_only=True, slots=True)
class Inception(Cell):
    """The Inception module with batch norm (Ioffe & Szegedy 2015, figure 5; sizes as in its table).

    Attributes:
        pointwise: Number of channels of the 1x1 branch; 0 for no such branch.
        single: Numbers of channels of the 1x1 and the 3x3 convolution in the branch with one 3x3 convolution.
        double: Numbers of channels of the 1x1 and of both 3x3 convolutions in the branch with two.
        pooling: Kind of the 3x3 pooling.
        pooled: Number of channels of the 1x1 convolution after the pooling; 0 for no such convolution.
        stride: Stride of the last 3x3 convolution of each branch and of the pooling.
    """

    kind: ClassVar[str] = "inception"
    pointwise: int
    single: tuple[int, int]
    double: tuple[int, int]
    pooling: Literal["max", "avg"]
    pooled: int
    stride: int = 1

    def layout(self, in_shape: Shape) -> Chain:  # noqa: ARG002  # the layout does not depend on the input shape
        """Return the concatenation of the branches."""
        narrow, out = self.single
        branches: dict[str, Operation] = {}
        if self.pointwise:
            branches["conv1x1"] = Chain(*conv_norm(self.pointwise, 1))
        branches["conv3x3"] = Chain(*conv_norm(narrow, 1), *conv_norm(out, 3, stride=self.stride))
        narrow, out = self.double
        branches["double3x3"] = Chain(*conv_norm(narrow, 1), *conv_norm(out, 3), *conv_norm(out, 3, stride=self.stride))
        padding = 1 if self.stride == 1 else 0
        pool = Pool(self.pooling, 3, self.stride, padding, ceil=self.stride > 1)
        branches["pool"] = Chain(pool, *(conv_norm(self.pooled, 1) if self.pooled else ()))
        return Chain(self.se_at("pre"), Concat(**branches), self.se_at("standard"))
