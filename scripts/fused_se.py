"""SE block for inference on CUDA in three kernels: pooling, the reducing layer with its ReLU, and all the rest.

The last one is written in Triton. Each of its programs computes the gates of a few channels and scales a tile of the
image with them, so that neither the gates nor the sum of the expanding layer are ever written to memory.
`benchmark_se.py` compares it with the block that senas ships.
"""

import torch
import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]
from torch import Tensor, nn


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
    padded_units: tl.constexpr,
    tile_channels: tl.constexpr,
    tile_space: tl.constexpr,
):
    image = tl.program_id(2)
    channel = tl.program_id(0) * tile_channels + tl.arange(0, tile_channels)
    place = tl.program_id(1) * tile_space + tl.arange(0, tile_space)
    unit = tl.arange(0, padded_units)
    weight = tl.load(
        weight_pointer + channel[:, None] * units + unit[None, :],
        mask=(channel[:, None] < channels) & (unit[None, :] < units),
        other=0.0,
    )
    hidden = tl.load(hidden_pointer + image * units + unit, mask=unit < units, other=0.0)
    bias = tl.load(bias_pointer + channel, mask=channel < channels, other=0.0)
    expanded = tl.sum(weight.to(tl.float32) * hidden.to(tl.float32)[None, :], axis=1) + bias.to(tl.float32)
    gate = 1.0 / (1.0 + tl.exp(-expanded))
    offset = image * stride_image + channel[:, None] * stride_channel + place[None, :] * stride_space
    mask = (channel[:, None] < channels) & (place[None, :] < space)
    tile = tl.load(x_pointer + offset, mask=mask)
    tl.store(out_pointer + offset, (tile.to(tl.float32) * gate[:, None]).to(tile.dtype), mask=mask)


class FusedSqueezeExcite(nn.Module):
    """SE block for inference: mean over space, two linear layers, ReLU, sigmoid.

    Args:
        channels: Number of channels of the input and of the output.
        units: Number of hidden units.
    """

    def __init__(self, channels: int, units: int):
        super().__init__()
        self.reduce = nn.Linear(channels, units)
        self.expand = nn.Linear(units, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Recalibrate channels, (B, C, H, W), contiguous or channels_last, to the same."""
        batch, channels, height, width = x.shape
        pooled = x.mean((2, 3))  # (B, C)
        hidden = torch._addmm_activation(self.reduce.bias, pooled, self.reduce.weight.t())  # (B, hidden), after ReLU
        out = torch.empty_like(x)
        last = x.stride(1) == 1
        tile_channels, tile_space = (64, 32) if last else (8, 256)
        space = height * width
        grid = (triton.cdiv(channels, tile_channels), triton.cdiv(space, tile_space), batch)
        _expand_and_scale[grid](
            x,
            hidden,
            self.expand.weight,
            self.expand.bias,
            out,
            channels,
            hidden.shape[1],
            space,
            x.stride(0),
            x.stride(1),
            x.stride(3),
            padded_units=triton.next_power_of_2(hidden.shape[1]),
            tile_channels=tile_channels,
            tile_space=tile_space,
        )
        return out
