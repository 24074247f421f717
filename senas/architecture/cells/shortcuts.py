"""The skip path of a residual cell whose output shape differs from its input shape."""

from typing import Literal

from senas.architecture.layers import Conv, Operation, PadChannels, Shape, Subsample, conv_norm

Shortcut = Literal["pad", "projection"]


def shortcut(
    kind: Shortcut, in_shape: Shape, channels: int, stride: int, *, norm: bool = True
) -> tuple[Operation, ...]:
    """Return the steps from `in_shape` to a map of `channels` at `stride`; no steps if the shape does not change.

    Args:
        kind: `pad` to drop pixels and pad channels with zeros (option A of He et al. 2016, section 4.1), or
            `projection` for a 1x1 convolution (option B).
        in_shape: Shape of the cell's input.
        channels: Number of output channels of the branch.
        stride: Stride of the branch.
        norm: Whether a batch norm follows the projection; in pre-activation cells none does.
    """
    if stride == 1 and in_shape.channels == channels:
        return ()
    if kind == "pad":
        return Subsample(stride), PadChannels(channels)
    return conv_norm(channels, 1, stride=stride, activation=None) if norm else (Conv(channels, 1, stride),)
