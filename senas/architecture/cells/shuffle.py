"""The unit of ShuffleNet: grouped 1x1 convolutions whose channels are shuffled."""

from dataclasses import dataclass
from typing import ClassVar

from senas.architecture.cells.cell import Cell
from senas.architecture.layers import Activation, Chain, Concat, Pool, Shape, Shuffle, Sum, conv_norm
from senas.errors import ArchitectureError


@dataclass(frozen=True, kw_only=True, slots=True)
class ShuffleUnit(Cell):
    """The unit with pointwise group convolution and channel shuffle (Zhang et al. 2018, figure 2b and c).

    Attributes:
        channels: Number of output channels; the inner convolutions have a quarter of them.
        stride: Stride of the depthwise convolution. Above 1 the skip path is an average pooling whose channels are
            concatenated with those of the branch.
        groups: Number of groups of the 1x1 convolutions.
        grouped_entry: Whether the first 1x1 convolution is grouped too; in the first unit it is not (section 3.2).
    """

    kind: ClassVar[str] = "shuffle"
    channels: int
    stride: int = 1
    groups: int = 3
    grouped_entry: bool = True

    def layout(self, in_shape: Shape) -> Chain:
        """Return the branch joined with the skip path, followed by a ReLU.

        Raises:
            ArchitectureError: At a stride above 1, there are not more output than input channels.
        """
        joined = self.channels - (in_shape.channels if self.stride > 1 else 0)
        if joined < 1:
            raise ArchitectureError(
                f"channels at stride {self.stride}: found {self.channels}, "
                f"allowed: more than the {in_shape.channels} of the input"
            )
        narrow = self.channels // 4
        branch = Chain(
            self.se_at("pre"),
            *conv_norm(narrow, 1, groups=self.groups if self.grouped_entry else 1),
            Shuffle(self.groups),
            *conv_norm(narrow, 3, stride=self.stride, groups=narrow, activation=None),
            self.se_at("inner"),
            *conv_norm(joined, 1, groups=self.groups, activation=None),
            self.se_at("standard"),
        )
        if self.stride == 1:
            together = Sum(branch=branch, skip=Chain(self.se_at("identity")))
        else:
            pool = Pool("avg", 3, self.stride, padding=1)
            together = Concat(skip=Chain(pool, self.se_at("identity")), branch=branch)
        return Chain(together, Activation(), self.se_at("post"))
