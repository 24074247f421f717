"""Mean and standard deviation of images, with which they are normalised."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from senas.training.data.split import Split

_MAX_BYTES = 2**30  # of a split whose images are all looked at
_SAMPLE = 10_000  # images that are looked at in larger ones


def pixel_statistics(split: Split) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation per channel, each (1, C, 1, 1).

    They are those of all images or, in a split of more than 1 GiB, of at most 10,000 images, evenly spaced.
    """
    step = 1 if len(split) * math.prod(split.shape) <= _MAX_BYTES else math.ceil(len(split) / _SAMPLE)
    mean, variance = pixel_moments(images for images, _ in split.blocks(step))
    deviation = variance.clamp(min=1e-6).sqrt()  # images are divided by it
    return mean.float()[None, :, None, None], deviation.float()[None, :, None, None]


def pixel_moments(blocks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return mean and variance per channel of blocks of uint8 images (N, C, H, W), each (C,) of float64."""
    counts: Tensor | None = None  # (C, 256)
    for images in blocks:
        found = torch.stack([torch.bincount(c.flatten().int(), minlength=256) for c in images.unbind(1)])
        counts = found if counts is None else counts + found
    assert counts is not None  # a split has at least one image
    share = counts.double() / counts.sum(1, keepdim=True)
    values = torch.arange(256, device=counts.device, dtype=torch.float64)
    mean = (share * values).sum(1)
    return mean, (share * values**2).sum(1) - mean**2
