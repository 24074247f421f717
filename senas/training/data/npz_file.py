"""Data sets in NumPy files, under the names and with the forms of labels that such files have."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from senas.errors import DataError
from senas.io import StoredArray, brief, open_arrays
from senas.training.data.dataset import Dataset
from senas.training.data.mapped import map_pixels
from senas.training.data.split import split_behind

# names of images and labels of the training, validation and test sets: Keras's, and MedMNIST's
_NAMES = (
    {"train": ("x_train", "y_train"), "validation": ("x_val", "y_val"), "test": ("x_test", "y_test")},
    {
        "train": ("train_images", "train_labels"),
        "validation": ("val_images", "val_labels"),
        "test": ("test_images", "test_labels"),
    },
)
_MAX_BYTES = 2**44
_SHARED_BYTES = 2**26  # more than this is mapped from a file that all processes share
_BLOCK_BYTES = 2**24
_MAX_CLASSES = 10**6


def read_npz(path: Path) -> Dataset:
    """Return the data set in a NumPy file.

    Arrays are `x_train`, `y_train`, `x_test`, `y_test` and, if the file has a validation set, `x_val` and `y_val`; or,
    as in MedMNIST, `train_images`, `train_labels` and so on. Images are uint8, (N, H, W), (N, H, W, C) or, with one or
    three channels, (N, C, H, W). Labels are whole numbers from 0 or from 1, (N,) or (N, 1), names of classes, or
    one-hot rows, (N, K). Optional arrays are `class_names`, (K,), and the truth value `flip` (true: a mirrored image
    keeps its label). Whatever is not the first of its kind is said in the data set's notes.

    Raises:
        DataError: A file that is missing or damaged, or arrays of another form; the message names the array.
    """
    with open_arrays(path, max_bytes=_MAX_BYTES) as arrays:
        names = _splits_of(arrays, path)
        flip, class_names = _flip(arrays, path), _class_names(arrays, path)
        found = {split: arrays[label].read() for split, (_, label) in names.items()}
        shown = {split: f"{path}: {image}, {label}" for split, (image, label) in names.items()}
        lengths = {split: arrays[image].shape[:1] for split, (image, _) in names.items()}
        plain, class_names, notes = _plain_labels(found, lengths, class_names, shown)
        ignored = set(arrays) - {"flip", "class_names", *(each for pair in names.values() for each in pair)}
        notes += [f"arrays that are not used: {', '.join(sorted(ignored))}"] if ignored else []
        shapes = {split: _shape_of(arrays[image], shown[split]) for split, (image, _) in names.items()}
        for split, shape in shapes.items():
            if shape != shapes["train"]:
                raise DataError(f"{shown[split]}: found images {shape}, the training set has {shapes['train']}")
        images = {split: arrays[image] for split, (image, _) in names.items()}
        if any(_channels_first(each) for each in images.values()):
            notes.append("images: channels first, (N, C, H, W)")
        pixels = _pixels(images, shapes["train"], path)
    import torch  # here, so that a file that cannot be used is refused at once

    splits = split_behind(torch.from_numpy(pixels), plain)
    return Dataset(
        name=f"npz:{path.resolve()}",
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
        classes=int(plain["train"].max()) + 1 if class_names is None else len(class_names),
        class_names=class_names,
        flip=flip,
        notes=tuple(notes),
    )


def _splits_of(arrays: Mapping[str, StoredArray], path: Path) -> dict[str, tuple[str, str]]:
    """Return the names of images and labels of each split that the file has."""
    known = max(_NAMES, key=lambda names: sum(each in arrays for pair in names.values() for each in pair))
    found = {
        split: pair for split, pair in known.items() if split != "validation" or any(each in arrays for each in pair)
    }
    for name in (name for pair in found.values() for name in pair):
        if name not in arrays:
            raise DataError(f"{path}: missing array '{name}', found {', '.join(sorted(arrays)) or 'none'}")
    return found


def _flip(arrays: Mapping[str, StoredArray], path: Path) -> bool:
    if "flip" not in arrays:
        return True
    found = arrays["flip"]
    if found.shape != () or found.dtype != np.bool_:
        raise DataError(f"{path}: flip: found {found.shape} of {found.dtype}, expected one truth value")
    return bool(found.read())


def _class_names(arrays: Mapping[str, StoredArray], path: Path) -> tuple[str, ...] | None:
    if "class_names" not in arrays:
        return None
    found = arrays["class_names"]
    if len(found.shape) != 1:
        raise DataError(f"{path}: class_names: found {found.shape}, expected (K,)")
    return tuple(map(str, found.read()))


def _plain_labels(
    found: dict[str, NDArray],
    lengths: dict[str, tuple[int, ...]],
    class_names: tuple[str, ...] | None,
    shown: dict[str, str],
) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...] | None, list[str]]:
    """Return the labels of each split as numbers from 0, the names of the classes, and notes.

    Args:
        found: Labels of each split as the file has them.
        lengths: Number of images of each split, (N,).
        class_names: Names of the classes, if the file has them.
        shown: Name of each split in messages.
    """
    notes = []
    if all(labels.ndim == 2 and labels.shape[1] > 1 and _is_one_hot(labels) for labels in found.values()):
        widths = {labels.shape[1] for labels in found.values()}
        if len(widths) > 1 or (class_names is not None and len(class_names) not in widths):
            raise DataError(f"{shown['train']}: found one-hot labels of {sorted(widths)} classes, expected one number")
        notes.append(f"labels: one-hot, {widths.pop()} classes")
        found = {split: labels.argmax(1) for split, labels in found.items()}
    elif all(labels.ndim == 2 and labels.shape[1] == 1 for labels in found.values()):
        notes.append("labels: (N, 1), taken as (N,)")
        found = {split: labels[:, 0] for split, labels in found.items()}
    if all(labels.ndim == 1 and labels.dtype.kind == "U" for labels in found.values()):
        names = class_names or tuple(map(str, np.unique(found["train"])))
        found = {split: _numbers_of(labels, names, shown[split]) for split, labels in found.items()}
        if class_names is None:
            notes.append(f"labels: names of {len(names)} classes, in sorted order")
        class_names = names
    for split, labels in found.items():
        if labels.dtype.kind not in "iu" or labels.shape != lengths[split] or not len(labels):
            raise DataError(
                f"{shown[split]}: found labels {labels.shape} of {labels.dtype}, expected a whole number for each of "
                f"at least one image, here {lengths[split][0] if lengths[split] else 0}; or one-hot rows, or names"
            )
    for split, labels in found.items():
        if int(labels.max()) >= _MAX_CLASSES:
            raise DataError(f"{shown[split]}: found label {labels.max()}, allowed: below {_MAX_CLASSES}")
    train = found["train"]
    least, most = min(int(labels.min()) for labels in found.values()), int(train.max())
    if least == 1 and (len(np.unique(train)) == most if class_names is None else len(class_names) == most):
        notes.append(f"labels: 1 to {most}, so that class 1 is the first")
        found = {split: labels.astype(np.int64) - 1 for split, labels in found.items()}
    elif least == 1 and class_names is not None and most < len(class_names):
        notes.append(f"labels: 1 to {most} of {len(class_names)} class names, counted from 0")
    return {split: labels.astype(np.int64) for split, labels in found.items()}, class_names, notes


def _is_one_hot(labels: NDArray) -> bool:
    """Return whether every row, of (N, K), has a single 1 among zeros."""
    numeric = labels.dtype.kind in "biuf"
    return numeric and bool(((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all())


def _numbers_of(labels: NDArray, names: tuple[str, ...], where: str) -> NDArray[np.int64]:
    numbers = {name: number for number, name in enumerate(names)}
    for label in np.unique(labels):
        if str(label) not in numbers:
            raise DataError(f"{where}: found label '{brief(str(label))}', which no class of the training set has")
    return np.array([numbers[str(label)] for label in labels], np.int64)


def _shape_of(images: StoredArray, where: str) -> tuple[int, int, int]:
    """Return the shape of one image, (C, H, W); `where` names the array in messages."""
    shape = images.shape
    if images.dtype != np.uint8 or len(shape) not in (3, 4):
        raise DataError(
            f"{where}: found {shape} of {images.dtype}, expected (N, H, W), (N, H, W, C) or (N, C, H, W) of uint8"
        )
    if len(shape) == 3:
        return 1, shape[1], shape[2]
    return (shape[1], shape[2], shape[3]) if _channels_first(images) else (shape[3], shape[1], shape[2])


def _channels_first(images: StoredArray) -> bool:
    shape = images.shape
    return len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3)


def _pixels(images: Mapping[str, StoredArray], shape: tuple[int, int, int], path: Path) -> NDArray[np.uint8]:
    """Return the images of all splits behind one another, (N, C, H, W), mapped from a shared file if they are large."""
    whole = (sum(each.shape[0] for each in images.values()), *shape)
    rows = max(1, _BLOCK_BYTES // max(1, math.prod(shape)))

    def fill(pixels: NDArray[np.uint8]) -> None:
        done = 0
        for each in images.values():
            channels_last = len(each.shape) == 4 and not _channels_first(each)
            for block in each.blocks(rows):
                ordered = block.transpose(0, 3, 1, 2) if channels_last else block
                pixels[done : done + len(block)] = ordered.reshape(len(block), *shape)
                done += len(block)

    if math.prod(whole) > _SHARED_BYTES:
        status = path.stat()
        return map_pixels([str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino], whole, fill)
    pixels = np.empty(whole, np.uint8)
    fill(pixels)
    return pixels
