"""The module of BN-Inception: convolutions of several sizes and a pooling side by side."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from senas.cells.cell import Cell
from senas.layers.layout import Chain, Concat, Operation, Shape
from senas.layers.operations import Pool, conv_norm


@dataclass(frozen=True, kw_only=True, slots=True)
class Inception(Cell):
    """The Inception module with batch norm (Ioffe & Szegedy 2015, figure 5; sizes as in its table).

    Attributes:
        pointwise: channels of the 1x1 branch; 0 is none.
        single: channels of the 1x1 and the 3x3 convolution of the branch with one 3x3 convolution.
        double: channels of the 1x1 and of both 3x3 convolutions of the branch with two.
        pooling: the kind of the 3x3 pooling.
        pooled: channels of the 1x1 convolution after the pooling; 0 passes the pooled channels on.
        stride: of the last 3x3 convolutions and of the pooling.
    """

    kind: ClassVar[str] = "inception"
    pointwise: int
    single: tuple[int, int]
    double: tuple[int, int]
    pooling: Literal["max", "avg"]
    pooled: int
    stride: int = 1

    def layout(self, inflow: Shape) -> Chain:  # noqa: ARG002  # the same whatever flows in
        """The branches' channels one after the other."""
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
