"""Description of a data set by its name; of a folder, only a sample of the images is decoded."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from senas.architecture import Input
from senas.io import brief
from senas.training.data.description import DataDescription, duplicates, imbalance, key_of
from senas.training.data.folders import ImageFolder, list_image_folder
from senas.training.data.images import decode_image, size_of
from senas.training.data.loading import FOLDER_SOURCE
from senas.training.data.sources import load_data

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
    sizes = sorted((size_of(path) for files in folder.splits.values() for path in files), key=np.prod)
    train = folder.splits["train"]
    sample = [train[i] for i in np.linspace(0, len(train) - 1, min(_SAMPLE, len(train))).astype(int)]
    import torch

    from senas.training.data.statistics import pixel_moments  # here, since it imports torch

    side = Input(channels=3, size=_SAMPLE_SIDE)
    mean, variance = pixel_moments(torch.tensor(decode_image(path, side))[None] for path in sample)
    return DataDescription(
        name=name,
        classes=folder.classes,
        counts=counts,
        smallest=sizes[0],
        largest=sizes[-1],
        mean=tuple(mean.tolist()),
        deviation=tuple(variance.clamp(min=0).sqrt().tolist()),
        sampled=len(sample),
        warnings=(*imbalance(folder.classes, counts), *_duplicate_files(folder.splits)),
    )


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
        keys[split] = [key_of(path.read_bytes()) for path in chosen]
        places[split] = [brief(str(path)) for path in chosen]
    return duplicates(keys, places)
