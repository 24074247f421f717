"""Augmentation of whole batches on the device: a random crop of the padded image, a flip, cutout."""

import torch
from torch import Tensor
from torch.nn import functional as F


def augment(images: Tensor, generator: torch.Generator, *, shift: int, flip: bool, cutout: bool) -> Tensor:
    """Augment a batch, with different random numbers for every image.

    Args:
        images: Images, (B, C, H, W), normalised so that zero is the mean.
        generator: Generator of all random numbers, on the device of the images.
        shift: Largest shift of an image in pixels.
        flip: Whether to mirror each image with probability one half.
        cutout: Whether to zero a square of a quarter of the width (DeVries and Taylor 2017).
    """
    images = crop(images, shift, generator) if shift else images
    if flip:
        mirrored = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
        images = torch.where(mirrored, images.flip(-1), images)
    return cut_out(images, images.shape[-1] // 4, generator) if cutout else images


def crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Shift each image by up to `padding` pixels either way and fill with zeros: (B, C, H, W) to the same."""
    batch, _, height, width = images.shape
    padded = F.pad(images, (padding,) * 4)
    offsets = torch.randint(2 * padding + 1, (2, batch, 1), generator=generator, device=images.device)
    rows = offsets[0] + torch.arange(height, device=images.device)  # (B, H)
    columns = offsets[1] + torch.arange(width, device=images.device)  # (B, W)
    each = torch.arange(batch, device=images.device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)  # from (B, H, W, C)


def cut_out(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Zero one square of `side` pixels per image, which may lie partly outside: (B, C, H, W) to the same."""
    batch, _, height, width = images.shape
    centres = torch.rand(2, batch, 1, generator=generator, device=images.device)
    top = (centres[0] * height).floor() - side // 2  # (B, 1)
    left = (centres[1] * width).floor() - side // 2
    y = torch.arange(height, device=images.device)
    x = torch.arange(width, device=images.device)
    rows = (y >= top) & (y < top + side)  # (B, H)
    columns = (x >= left) & (x < left + side)  # (B, W)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)
