"""Description of a data set by its name; of a folder, only a sample of the images is decoded."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from senas.architecture import Input
from senas.errors import DataError
from senas.io import brief
from senas.training.data.description import DataDescription, duplicates, imbalance
from senas.training.data.folders import ImageFolder, list_image_folder
from senas.training.data.images import decode_image, size_of
from senas.training.data.loading import FOLDER_SOURCE
from senas.training.data.sources import load_data

T = TypeVar("T")

_SAMPLE = 1_000  # training images of a folder whose pixels the statistics are taken from
_SAMPLE_SIDE = 64


def describe_data(data: str) -> DataDescription:
    """Describe a data set by its name, see `load_data`. Of a folder, only a sample of the images is decoded.

    Raises:
        DataError: An unknown name, or data that a search would refuse.
    """
    source, _, argument = data.partition(":")
    if source == FOLDER_SOURCE and argument:
        return _describe_folder(list_image_folder(Path(argument)), data)
    dataset = load_data(data, Input(channels=1, size=8))  # which only the digits and folders look at
    return replace(dataset.describe(), name=data)


def _describe_folder(folder: ImageFolder, name: str) -> DataDescription:
    counts = {
        split: tuple(np.bincount(labels, minlength=len(folder.classes)).tolist())
        for split, labels in folder.labels.items()
    }
    damaged: dict[Path, str] = {}
    sizes = [size for files in folder.splits.values() for path in files if (size := _try(size_of, path, damaged))]
    if not sizes:
        raise DataError(f"{name}: found no image that can be read: {next(iter(damaged.values()))}")
    train = folder.splits["train"]
    sample = [train[i] for i in np.linspace(0, len(train) - 1, min(_SAMPLE, len(train))).astype(int)]
    import torch

    from senas.training.data.statistics import pixel_moments  # here, since it imports torch

    side = Input(channels=3, size=_SAMPLE_SIDE)
    decoded = [
        pixels
        for path in sample
        if (pixels := _try(partial(decode_image, network_input=side), path, damaged)) is not None
    ]
    if not decoded:
        raise DataError(f"{name}: found no training image that can be read: {next(iter(damaged.values()))}")
    mean, variance = pixel_moments(torch.tensor(pixels)[None] for pixels in decoded)
    sizes.sort(key=math.prod)
    return DataDescription(
        name=name,
        classes=folder.classes,
        counts=counts,
        smallest=sizes[0],
        largest=sizes[-1],
        mean=tuple(mean.tolist()),
        deviation=tuple(variance.clamp(min=0).sqrt().tolist()),
        sampled=len(decoded),
        warnings=(*_unreadable(damaged), *imbalance(folder.classes, counts), *_duplicate_files(folder.splits)),
    )


def _file_key(path: Path) -> bytes:
    """Return a key that files of equal content alone share."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _try(read: Callable[[Path], T], path: Path, damaged: dict[Path, str]) -> T | None:
    """Return what a function reads of a file; `None` if it is damaged, with the reason kept."""
    try:
        return read(path)
    except DataError as error:
        damaged[path] = str(error)
        return None


def _unreadable(damaged: Mapping[Path, str]) -> Iterable[str]:
    """Warn of images that a search would stop at. Only those of the sample have been decoded as a whole."""
    if damaged:
        first = next(iter(damaged.values()))
        yield f"at least {len(damaged)} images cannot be read, which --skip-damaged N leaves out: {first}"


def _duplicate_files(files: Mapping[str, Sequence[Path]]) -> Iterable[str]:
    """Warn of equal files in two splits; only files of a size that several splits have are read."""
    sizes = {split: [path.stat().st_size for path in each] for split, each in files.items()}
    seen: dict[int, set[str]] = defaultdict(set)
    for split, each in sizes.items():
        for size in each:
            seen[size].add(split)
    keys, places = {}, {}
    for split, paths in files.items():
        chosen = [path for path, size in zip(paths, sizes[split], strict=True) if len(seen[size]) > 1]
        keys[split] = [_file_key(path) for path in chosen]
        places[split] = [brief(str(path)) for path in chosen]
    return duplicates(keys, places)
