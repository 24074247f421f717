"""The skip path of a residual cell where its shape changes."""

from typing import Literal

from senas.layers.layout import Operation, Shape
from senas.layers.operations import Conv, PadChannels, Subsample, conv_norm

Shortcut = Literal["pad", "projection"]


def shortcut(kind: Shortcut, inflow: Shape, channels: int, stride: int, *, norm: bool = True) -> tuple[Operation, ...]:
    """The steps from `inflow` to a map of `channels` at `stride`; none where nothing changes.

    Args:
        kind: `pad` drops pixels and pads channels with zeros (option A of He et al. 2016, section 4.1), `projection` is
            a 1x1 convolution (option B).
        inflow: what flows into the cell.
        channels: that the branch gives.
        stride: of the branch.
        norm: whether a batch norm follows the projection; not in pre-activation cells.
    """
    if stride == 1 and inflow.channels == channels:
        return ()
    if kind == "pad":
        return Subsample(stride), PadChannels(channels)
    return conv_norm(channels, 1, stride=stride, activation=None) if norm else (Conv(channels, 1, stride),)
