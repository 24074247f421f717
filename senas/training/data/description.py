"""Description of a data set before anything is trained on it: splits, classes, sizes, statistics, and what is odd."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Input
from senas.io import brief
from senas.training.data.folders import ImageFolder, list_image_folder
from senas.training.data.images import decode_image, size_of
from senas.training.data.sources import FOLDER_SOURCE, load_data

_SAMPLE = 1_000  # training images of a folder whose pixels the statistics are taken from
_SAMPLE_SIDE = 64
_IMBALANCE = 10  # times as many images in the largest class as in the smallest that are worth a warning
_SHOWN = 3  # duplicates that a warning names


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """What a data set holds.

    Attributes:
        name: Name of the data set.
        classes: Name of each class, or its number.
        counts: Number of images of each class, by split.
        smallest: Width and height of the image with fewest pixels.
        largest: Width and height of the image with most pixels.
        mean: Mean per channel of the training images, on the scale of pixels, 0 to 255.
        deviation: Their standard deviation per channel.
        sampled: Number of training images that mean and deviation are of.
        warnings: What is odd, one line each.
    """

    name: str
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    smallest: tuple[int, int]
    largest: tuple[int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    sampled: int
    warnings: tuple[str, ...]


def describe_data(data: str) -> DataDescription:
    """Describe a data set by its name, see `load_data`. Of a folder, only a sample of the images is decoded.

    Raises:
        DataError: An unknown name, or data that a search would refuse.
    """
    source, _, argument = data.partition(":")
    if source == FOLDER_SOURCE and argument:
        return _describe_folder(list_image_folder(Path(argument)), data)
    return _describe_arrays(data)


def _describe_folder(folder: ImageFolder, name: str) -> DataDescription:
    counts = {
        split: tuple(np.bincount([label for _, label in files], minlength=len(folder.classes)).tolist())
        for split, files in folder.splits.items()
    }
    sizes = sorted((size_of(path) for files in folder.splits.values() for path, _ in files), key=np.prod)
    train = [path for path, _ in folder.splits["train"]]
    sample = [train[i] for i in np.linspace(0, len(train) - 1, min(_SAMPLE, len(train))).astype(int)]
    pixels = np.stack([decode_image(path, Input(channels=3, size=_SAMPLE_SIDE)) for path in sample])
    mean, deviation = _statistics(pixels)
    files = {split: [path for path, _ in each] for split, each in folder.splits.items()}
    return DataDescription(
        name=name,
        classes=folder.classes,
        counts=counts,
        smallest=sizes[0],
        largest=sizes[-1],
        mean=mean,
        deviation=deviation,
        sampled=len(sample),
        warnings=(*_imbalance(folder.classes, counts), *_duplicate_files(files)),
    )


def _describe_arrays(name: str) -> DataDescription:
    dataset = load_data(name, Input(channels=1, size=8))  # which only the digits and folders look at
    classes = dataset.class_names or tuple(map(str, range(dataset.classes)))
    splits = {"train": dataset.train, "test": dataset.test}
    counts = {
        split: tuple(np.bincount(each.labels.numpy(), minlength=dataset.classes).tolist())
        for split, each in splits.items()
    }
    height, width = dataset.train.images.shape[2:]
    mean, deviation = _statistics(dataset.train.images.numpy())
    keys = {split: [_key(image.tobytes()) for image in each.images.numpy()] for split, each in splits.items()}
    places = {split: [f"{split} {number}" for number in range(len(each))] for split, each in splits.items()}
    return DataDescription(
        name=name,
        classes=classes,
        counts=counts,
        smallest=(width, height),
        largest=(width, height),
        mean=mean,
        deviation=deviation,
        sampled=len(dataset.train),
        warnings=(*_imbalance(classes, counts), *_duplicates(keys, places)),
    )


def _statistics(pixels: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel of images, (N, C, H, W)."""
    import torch

    from senas.training.data.statistics import pixel_moments  # here, since it imports torch

    mean, variance = pixel_moments(torch.from_numpy(pixels))
    return tuple(mean.tolist()), tuple(variance.clamp(min=0).sqrt().tolist())


def _imbalance(classes: Sequence[str], counts: dict[str, tuple[int, ...]]) -> Iterable[str]:
    for split, each in counts.items():
        least, most = min(each), max(each)
        if most > _IMBALANCE * least:
            names = (brief(classes[each.index(count)]) for count in (most, least))
            yield "{split}: {0} images of '{2}', {1} of '{3}'".format(most, least, *names, split=split)


def _duplicate_files(files: dict[str, list[Path]]) -> Iterable[str]:
    """Warn of equal files in two splits; only files of a size that several splits have are read."""
    sizes = {split: [path.stat().st_size for path in each] for split, each in files.items()}
    seen: dict[int, set[str]] = defaultdict(set)
    for split, each in sizes.items():
        for size in each:
            seen[size].add(split)
    keys, places = {}, {}
    for split, paths in files.items():
        chosen = [path for path, size in zip(paths, sizes[split], strict=True) if len(seen[size]) > 1]
        keys[split] = [_key(path.read_bytes()) for path in chosen]
        places[split] = [brief(str(path)) for path in chosen]
    return _duplicates(keys, places)


def _key(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _duplicates(keys: dict[str, list[bytes]], places: dict[str, list[str]]) -> Iterable[str]:
    """Warn of equal keys in two splits, for each pair of splits."""
    names = list(keys)
    for number, first in enumerate(names):
        known = dict(zip(keys[first], places[first], strict=True))
        for second in names[number + 1 :]:
            found = [
                (known[key], place) for key, place in zip(keys[second], places[second], strict=True) if key in known
            ]
            if found:
                shown = "; ".join(f"{one} = {other}" for one, other in found[:_SHOWN])
                yield f"{len(found)} images of {second} are in {first} as well: {shown}"
