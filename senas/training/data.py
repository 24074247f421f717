"""Labelled images as tensors on the device, and the validation split that a search judges by."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from senas.architecture import Architecture
from senas.errors import DataError


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Labelled images.

    Attributes:
        images: (N, C, H, W), uint8.
        labels: (N,), int64, from 0.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Split":
        """The same images and labels on another device."""
        return Split(images=self.images.to(device), labels=self.labels.to(device))

    def take(self, index: Tensor) -> "Split":
        """The images at some positions, (M,) int64."""
        return Split(images=self.images[index], labels=self.labels[index])


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A data set: what a data function returns.

    Attributes:
        name: for messages and result files.
        train: what training and validation are carved from.
        test: touched by retraining alone.
        classes: number of classes.
        flip: whether a mirrored image keeps its label (false for digits).

    Raises:
        DataError: images and labels do not fit each other or the number of classes.
    """

    name: str
    train: Split
    test: Split
    classes: int
    flip: bool = True

    def __post_init__(self) -> None:
        for name, split in (("training", self.train), ("test", self.test)):
            images, labels = split.images, split.labels
            where = f"data set {self.name}: {name}"
            if images.ndim != 4 or images.dtype != torch.uint8:
                raise DataError(
                    f"{where} images: found {tuple(images.shape)} of {images.dtype}, expected (N, C, H, W) of uint8"
                )
            if not len(images) == len(labels) > 0 or labels.ndim != 1:
                found = f"{len(images)} images and {tuple(labels.shape)} labels"
                raise DataError(f"{where}: found {found}, expected one label for each of at least one image")
            if labels.dtype != torch.int64 or not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
                found = f"{int(labels.min())} to {int(labels.max())} of {labels.dtype}"
                raise DataError(f"{where} labels: found {found}, allowed: 0 to {self.classes - 1} of int64")
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            raise DataError(
                f"data set {self.name}: found training images {tuple(self.train.images.shape[1:])} "
                f"and test images {tuple(self.test.images.shape[1:])}, expected the same shape"
            )

    def require(self, arch: Architecture) -> None:
        """Check that an architecture can be trained on this data.

        Raises:
            DataError: another image shape, or more classes than the network tells apart.
        """
        found = tuple(self.train.images.shape[1:])
        needed = (arch.input.channels, arch.input.size, arch.input.size)
        if found != needed:
            raise DataError(f"data set {self.name}: found images {found}, the network needs {needed}")
        if self.classes > arch.head.classes:
            raise DataError(
                f"data set {self.name}: found {self.classes} classes, the network tells {arch.head.classes} apart"
            )

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that name the images and labels, whatever file they came from."""
        found = hashlib.sha256()
        for tensor in (self.train.images, self.train.labels, self.test.images, self.test.labels):
            found.update(str(tuple(tensor.shape)).encode())
            found.update(tensor.cpu().numpy().tobytes())
        return found.hexdigest()[:16]

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data on another device."""
        return replace(self, train=self.train.to(device), test=self.test.to(device))

    def with_validation(self, fraction: float = 0.2, seed: int = 0) -> "Dataset":
        """Carve a fixed, stratified validation split from the training set.

        Returns:
            A data set whose `train` is the rest and whose `test` is the validation split: the real test set is gone.
        """
        labels = self.train.labels.cpu().numpy()
        order = np.random.default_rng(seed).permutation(len(labels))
        held_out = np.zeros(len(labels), dtype=bool)
        for label in np.unique(labels):
            members = order[labels[order] == label]
            held_out[members[: round(fraction * len(members))]] = True
        if held_out.all() or not held_out.any():
            raise DataError(f"data set {self.name}: found {len(labels)} training images, too few to validate on a part")
        device = self.train.labels.device
        keep, judge = (torch.from_numpy(np.flatnonzero(mask)).to(device) for mask in (~held_out, held_out))
        return replace(self, train=self.train.take(keep), test=self.train.take(judge))
