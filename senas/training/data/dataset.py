"""A data set with its splits, and the validation split that a search evaluates on.

torch is imported by the methods that need it, so that data that does not fit a network is refused at once.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from senas.architecture import Architecture, Input
from senas.errors import DataError
from senas.io import flaw
from senas.training.data.description import DataDescription, describe_splits
from senas.training.data.split import Split

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """Data set that a data function returns.

    Attributes:
        name: Name for messages and result files.
        train: Training set, which the validation split is taken from if there is none.
        test: Test set, which only retraining uses.
        classes: Number of classes.
        validation: Validation set, if the data set has its own.
        class_names: Name of each class, if the data set tells.
        flip: Whether a mirrored image keeps its label (false for digits).
        notes: How the data was understood where it could have been understood otherwise, one line each.

    Raises:
        DataError: Images and labels that do not fit each other or the number of classes.
    """

    name: str
    train: Split
    test: Split
    classes: int
    validation: Split | None = None
    class_names: tuple[str, ...] | None = None
    flip: bool = True
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, split in self._splits().items():
            split.check(f"data set {self.name}: {name}", self.classes)
            if split.shape != self.train.shape:
                raise DataError(
                    f"data set {self.name}: found training images {self.train.shape} and {name} images {split.shape}, "
                    "expected the same shape"
                )
        names = self.class_names
        for problem in filter(None, map(flaw, names or ())):
            raise DataError(f"data set {self.name}: class names: found {problem}")
        if names is not None and not len(names) == len(set(names)) == self.classes:
            raise DataError(
                f"data set {self.name}: found {len(names)} class names, {len(set(names))} of them distinct, expected "
                f"{self.classes}"
            )

    def __repr__(self) -> str:
        splits = ", ".join(f"{name}: {split!r}" for name, split in self._splits().items())
        return f"Dataset({self.name!r}, {self.classes} classes, {splits})"

    def require(self, arch: Architecture) -> None:
        """Check that an architecture can be trained on this data.

        Raises:
            DataError: Another image shape, more classes than the network has outputs, or fewer, if the data set names
                its classes. Without names, it may have classes of which it has no image.
        """
        require_shape(self.name, self.train.shape, arch.input)
        outputs = arch.head.classes
        if self.classes > outputs or (self.classes < outputs and self.class_names is not None):
            raise DataError(
                f"data set {self.name}: found {self.classes} classes, the network has {outputs} outputs; set classes = "
                f"{self.classes} in the space, or --classes {self.classes}"
            )

    @property
    def digest(self) -> str:
        """Digest of images and labels, 16 hexadecimal digits, which does not depend on the file they come from.

        Of images that are streamed, it is that of the names and sizes of their files.
        """
        digest = hashlib.sha256()
        for split in self._splits().values():
            for part in split.parts():
                digest.update(part)
        return digest.hexdigest()[:16]

    def describe(self) -> DataDescription:
        """Return splits, classes, counts, sizes and statistics of the images, and what is odd about them."""
        names = self.class_names or tuple(map(str, range(self.classes)))
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        present = {name: split for name, split in splits.items() if split is not None}
        return describe_splits(self.name, names, present, self.notes)

    @cached_property
    def statistics(self) -> "tuple[Tensor, Tensor]":
        """Mean and standard deviation per channel of the training images, each (1, C, 1, 1), see `pixel_statistics`."""
        from senas.training.data.statistics import pixel_statistics  # here, since it imports torch

        return pixel_statistics(self.train)

    def to(self, device: "torch.device | str") -> "Dataset":
        """Return the same data on another device."""
        validation = None if self.validation is None else self.validation.to(device)
        return replace(self, train=self.train.to(device), test=self.test.to(device), validation=validation)

    def with_validation(self, fraction: float = 0.2, seed: int = 0) -> "Dataset":
        """Return the data set with a validation split in place of the test set.

        It is the data set's own, or else a fixed, stratified share of the training set.

        Args:
            fraction: Share of the training images of each class in the validation split.
            seed: Random seed of the split.

        Returns:
            A data set whose `test` is the validation split and whose `train` is the rest; it has no real test set.

        Raises:
            DataError: Too few images to split.
        """
        if self.validation is not None:
            return replace(self, test=self.validation, validation=None)
        import torch

        labels = self.train.labels.cpu().numpy()
        order = np.random.default_rng(seed).permutation(len(labels))
        held_out = np.zeros(len(labels), dtype=bool)
        for label in np.unique(labels):
            members = order[labels[order] == label]
            held_out[members[: round(fraction * len(members))]] = True
        if held_out.all() or not held_out.any():
            raise DataError(
                f"data set {self.name}: found {len(labels)} training images, too few for a validation split"
            )
        device = self.train.labels.device
        train, validation = (torch.from_numpy(np.flatnonzero(mask)).to(device) for mask in (~held_out, held_out))
        return replace(self, train=self.train.take(train), test=self.train.take(validation))

    def with_all_for_training(self) -> "Dataset":
        """Return the data set with its validation set, if it has its own, added to the training set."""
        if self.validation is None:
            return self
        return replace(self, train=self.train.join(self.validation), validation=None)

    def _splits(self) -> dict[str, Split]:
        """Return the splits that there are, by their names in messages."""
        found = {"training": self.train, "test": self.test, "validation": self.validation}
        return {name: split for name, split in found.items() if split is not None}


def require_shape(name: str, found: tuple[int, ...], network_input: Input, hint: str = "") -> None:
    """Check that images have the shape, (C, H, W), that a network takes; `hint` ends the message if they do not.

    Raises:
        DataError: Another shape.
    """
    needed = (network_input.channels, network_input.size, network_input.size)
    if found != needed:
        raise DataError(f"data set {name}: found images {found}, the network needs {needed}{hint}")
