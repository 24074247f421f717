"""Labelled images of one split, in memory or read from their files, behind one interface."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from senas.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from senas.training.data.streaming import StreamedImages

_BLOCK_BYTES = 2**24  # of images that are copied at a time


class Split:
    """Labelled images.

    Several splits may share one tensor, or one set of files: each then has the positions of its images in it, so that
    taking a split apart or joining two copies no image.

    Args:
        images: Images, (N, C, H, W) of uint8, or images that are read from their files when they are needed.
        labels: Class numbers from 0, (N,) of int64.
        index: Position in `images` of each image of the split, (N,) of int64; by default all of them in order.

    Attributes:
        labels: Class numbers from 0, (N,) of int64.
    """

    def __init__(self, *, images: "Tensor | StreamedImages", labels: "Tensor", index: "Tensor | None" = None):
        self.labels = labels
        self._source = images
        self._index = index

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        kind = "streamed" if self.streamed else "in memory"
        return f"Split({len(self)} images of {self.shape}, {kind})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, (C, H, W)."""
        return tuple(self._source.shape[1:])

    @property
    def streamed(self) -> bool:
        """Whether images are read from their files when they are needed."""
        import torch

        return not isinstance(self._source, torch.Tensor)

    @property
    def device(self) -> "torch.device":
        """Device that batches are on."""
        return self.labels.device

    @property
    def images(self) -> "Tensor":
        """All images, (N, C, H, W) of uint8; those of a streamed split are read now."""
        import torch

        if self._index is None and isinstance(self._source, torch.Tensor):
            return self._source
        return torch.cat([images for images, _ in self.blocks()])

    @property
    def shift(self) -> int:
        """Largest shift, in pixels, of an image in augmentation; none where it is cropped at random as it is read."""
        return 0 if self.streamed else self.shape[-1] // 8

    def batches(
        self, positions: "Sequence[Tensor]", *, crop_seed: int | None = None
    ) -> "Iterator[tuple[Tensor, Tensor]]":
        """Yield batches of images, (B, C, H, W) of uint8, and their labels, (B,).

        Args:
            positions: Positions in the split of the images of each batch, (B,) of int64 each.
            crop_seed: Random seed of the crops of images that are read from their files; by default, their middle is
                taken. Each crop depends on this seed and on the image alone.

        Raises:
            DataError: A file that has been damaged or removed meanwhile.
        """
        import torch

        if isinstance(self._source, torch.Tensor):
            for each in positions:
                yield self._source[self._places(each)], self.labels[each]
            return
        decoded = self._source.batches([self._places(each.cpu()) for each in positions], crop_seed=crop_seed)
        for each, images in zip(positions, decoded, strict=True):
            yield images.to(self.device), self.labels[each]

    def blocks(self, step: int = 1) -> "Iterator[tuple[Tensor, Tensor]]":
        """Yield every `step`-th image and its label in order, some megabytes at a time, see `batches`."""
        import torch

        size = max(1, _BLOCK_BYTES // max(1, math.prod(self.shape)))
        return self.batches(torch.arange(0, len(self), step, device=self.device).split(size))

    def to(self, device: "torch.device | str") -> "Split":
        """Return the split with its batches on another device; images in memory are copied there."""
        import torch

        device, labels = torch.device(device), self.labels.to(device)
        if device == self.device:
            return self
        if not isinstance(self._source, torch.Tensor):
            return Split(images=self._source, labels=labels, index=self._index)
        images = torch.empty((len(self), *self.shape), dtype=self._source.dtype, device=device)
        done = 0
        for block, _ in self.blocks():
            images[done : done + len(block)] = block
            done += len(block)
        return Split(images=images, labels=labels)

    def take(self, index: "Tensor") -> "Split":
        """Return the split of the images at some positions, (M,) of int64; no image is copied."""
        import torch

        places = self._places(index if isinstance(self._source, torch.Tensor) else index.cpu())
        return Split(images=self._source, labels=self.labels[index], index=places)

    def _places(self, index: "Tensor") -> "Tensor":
        """Return the positions in the images that the split shares of some of its positions."""
        return index if self._index is None else self._index[index]

    def join(self, other: "Split") -> "Split":
        """Return the images of this split, followed by those of another one."""
        import torch

        labels = torch.cat([self.labels, other.labels])
        if self._source is other._source and self._index is not None and other._index is not None:
            return Split(images=self._source, labels=labels, index=torch.cat([self._index, other._index]))
        return Split(images=torch.cat([self.images, other.images]), labels=labels)

    def check(self, where: str, classes: int) -> None:
        """Check that images and labels fit each other and a number of classes; `where` begins the message.

        Raises:
            DataError: They do not.
        """
        import torch

        images, labels = self._source, self.labels
        if isinstance(images, torch.Tensor) and (images.ndim != 4 or images.dtype != torch.uint8):
            raise DataError(
                f"{where} images: found {tuple(images.shape)} of {images.dtype}, expected (N, C, H, W) of uint8"
            )
        count = len(images if self._index is None else self._index)
        if not count == len(labels) > 0 or labels.ndim != 1:
            found = f"{count} images and {tuple(labels.shape)} labels"
            raise DataError(f"{where}: found {found}, expected one label for each of at least one image")
        if labels.dtype != torch.int64 or not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            found = f"{int(labels.min())} to {int(labels.max())} of {labels.dtype}"
            raise DataError(f"{where} labels: found {found}, allowed: 0 to {classes - 1} of int64")

    def parts(self) -> "Iterator[memoryview | bytes]":
        """Yield the bytes that a digest is made of: images in memory, or else names and sizes of files; and labels."""
        import torch

        yield str((len(self), *self.shape)).encode()
        if isinstance(self._source, torch.Tensor):
            for images, _ in self.blocks():
                yield images.cpu().contiguous().numpy().data
        else:
            yield from self._source.parts(self._index)
        yield str(tuple(self.labels.shape)).encode()
        yield self.labels.cpu().contiguous().numpy().data


def split_behind(images: "Tensor | StreamedImages", labels: "Mapping[str, NDArray[np.int64]]") -> dict[str, Split]:
    """Return splits by name whose images lie behind one another.

    Args:
        images: Images of all splits, (N, C, H, W), in memory or in files.
        labels: Labels of each split in order, (N,) in all.
    """
    import torch

    splits, first = {}, 0
    for name, each in labels.items():
        index = torch.arange(first, first + len(each))
        splits[name] = Split(images=images, labels=torch.from_numpy(each), index=index)
        first += len(each)
    return splits
