"""Description of a data set before anything is trained on it: splits, classes, sizes, statistics, and what is odd."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from senas.io import brief
from senas.training.data.split import Split

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
        notes: How the data was understood where it could have been understood otherwise, one line each.
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
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...]


def describe_splits(
    name: str, classes: Sequence[str], splits: Mapping[str, Split], notes: Sequence[str] = ()
) -> DataDescription:
    """Describe a data set that is loaded, by its splits; the first is the training set."""
    from senas.training.data.statistics import pixel_moments  # here, since it imports torch

    counts = {
        each: tuple(np.bincount(split.labels.cpu().numpy(), minlength=len(classes)).tolist())
        for each, split in splits.items()
    }
    train = next(iter(splits.values()))
    mean, variance = pixel_moments(images for images, _ in train.blocks())
    _, height, width = train.shape
    keys = {
        each: [key_of(image.tobytes()) for images, _ in split.blocks() for image in images.cpu().numpy()]
        for each, split in splits.items()
    }
    places = {each: [f"{each} {number}" for number in range(len(split))] for each, split in splits.items()}
    return DataDescription(
        name=name,
        classes=tuple(classes),
        counts=counts,
        smallest=(width, height),
        largest=(width, height),
        mean=tuple(mean.tolist()),
        deviation=tuple(variance.clamp(min=0).sqrt().tolist()),
        sampled=len(train),
        notes=tuple(notes),
        warnings=(*imbalance(classes, counts), *duplicates(keys, places)),
    )


def imbalance(classes: Sequence[str], counts: Mapping[str, tuple[int, ...]]) -> Iterable[str]:
    """Warn of classes with far fewer images than others, for each split."""
    for split, each in counts.items():
        least, most = min(each), max(each)
        if most > _IMBALANCE * least:
            names = (brief(classes[each.index(count)]) for count in (most, least))
            yield "{split}: {0} images of '{2}', {1} of '{3}'".format(most, least, *names, split=split)


def key_of(content: bytes) -> bytes:
    """Return a key that equal contents alone share."""
    return hashlib.sha256(content).digest()


def duplicates(keys: dict[str, list[bytes]], places: dict[str, list[str]]) -> Iterable[str]:
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
