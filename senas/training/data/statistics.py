"""Mean and standard deviation of images, with which they are normalised."""

import torch
from torch import Tensor

from senas.training.data.dataset import Split


def pixel_statistics(split: Split) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation per channel, each (1, C, 1, 1)."""
    mean, variance = pixel_moments(split.images)
    deviation = variance.clamp(min=1e-6).sqrt()  # images are divided by it
    return mean.float()[None, :, None, None], deviation.float()[None, :, None, None]


def pixel_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance per channel of uint8 images (N, C, H, W), each (C,) of float64."""
    counts = torch.stack([torch.bincount(c.flatten().int(), minlength=256) for c in images.unbind(1)])
    share = counts.double() / counts.sum(1, keepdim=True)  # (C, 256)
    values = torch.arange(256, device=images.device, dtype=torch.float64)
    mean = (share * values).sum(1)
    return mean, (share * values**2).sum(1) - mean**2
