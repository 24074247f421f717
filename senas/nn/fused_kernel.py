"""Triton kernel of the fused SE block: the expanding layer, its gates, and the scaling of the feature map.

Each program computes the gates of a few channels from the hidden units and scales a tile of the feature map with them,
so that neither the expanded vector nor the gates are written to memory.
"""

import torch
import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]
from torch import Tensor

_TILE = 2048  # elements that one program scales, contiguous; twice as many with channels last
_TILE_CHANNELS_LAST = 64  # channels of a tile with channels last


@triton.jit
def _expand_and_scale(
    x_pointer,
    hidden_pointer,
    weight_pointer,
    bias_pointer,
    out_pointer,
    channels,
    units,
    space,
    stride_image,
    stride_channel,
    stride_space,
    excitation: tl.constexpr,
    has_bias: tl.constexpr,
    padded_units: tl.constexpr,
    tile_channels: tl.constexpr,
    tile_space: tl.constexpr,
):
    image = tl.program_id(2).to(tl.int64)
    channel = tl.program_id(0) * tile_channels + tl.arange(0, tile_channels)
    place = tl.program_id(1) * tile_space + tl.arange(0, tile_space)
    unit = tl.arange(0, padded_units)
    weight = tl.load(
        weight_pointer + channel[:, None] * units + unit[None, :],
        mask=(channel[:, None] < channels) & (unit[None, :] < units),
        other=0.0,
    )
    hidden = tl.load(hidden_pointer + image * units + unit, mask=unit < units, other=0.0)
    z = tl.sum(weight.to(tl.float32) * hidden.to(tl.float32)[None, :], axis=1)
    if has_bias:
        z += tl.load(bias_pointer + channel, mask=channel < channels, other=0.0).to(tl.float32)
    if excitation == "sigmoid":
        gate = 1.0 / (1.0 + tl.exp(-z))
    elif excitation == "hardsigmoid":
        gate = tl.minimum(tl.maximum(z + 3.0, 0.0), 6.0) / 6.0
    elif excitation == "tanh":
        gate = 2.0 / (1.0 + tl.exp(-2.0 * z)) - 1.0
    else:
        gate = tl.maximum(z, 0.0)
    offset = image * stride_image + channel[:, None] * stride_channel + place[None, :] * stride_space
    mask = (channel[:, None] < channels) & (place[None, :] < space)
    tile = tl.load(x_pointer + offset, mask=mask, other=0.0)
    tl.store(out_pointer + offset, (tile.to(tl.float32) * gate[:, None]).to(tile.dtype), mask=mask)


def expand_and_scale(x: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor | None, excitation: str) -> Tensor:
    """Return x * excitation(hidden weight^T + bias), computed in fp32, in the type of `x`.

    Args:
        x: Feature map, (B, C, H, W), contiguous or channels last.
        hidden: Hidden units, (B, hidden).
        weight: Weight of the expanding layer, (C, hidden).
        bias: Its bias, (C,), if any.
        excitation: Excitation of `SEConfig`.
    """
    batch, channels, height, width = x.shape
    channels_last = x.stride(1) == 1 and channels > 1
    if not x.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format):
        x = x.contiguous()
    out, space = torch.empty_like(x), height * width
    if channels_last:
        tile_channels = min(_TILE_CHANNELS_LAST, triton.next_power_of_2(channels))
        tile_space = min(2 * _TILE // tile_channels, triton.next_power_of_2(space))
    else:
        tile_space = min(256, triton.next_power_of_2(space))
        tile_channels = _TILE // tile_space if tile_space >= 32 else 64
    grid = (triton.cdiv(channels, tile_channels), triton.cdiv(space, tile_space), batch)
    _expand_and_scale[grid](  # type: ignore[reportIndexIssue]  # Triton's way to launch
        x,
        hidden,
        weight,
        hidden if bias is None else bias,  # not read if there is none
        out,
        channels,
        hidden.shape[1],
        space,
        x.stride(0),
        x.stride(1),
        x.stride(3),
        excitation=excitation,
        has_bias=bias is not None,
        padded_units=triton.next_power_of_2(hidden.shape[1]),
        tile_channels=tile_channels,
        tile_space=tile_space,
    )
    return out
