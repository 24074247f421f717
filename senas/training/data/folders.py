"""Listing of image folders: which file is in which split and class. No image is opened, and torch is not imported.

The first level of a folder is its splits, the second its classes, and nothing else: a class may have any name.
"""

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from senas.errors import DataError
from senas.io import brief, flaw, os_reason
from senas.training.data.file_list import FileList

SPLIT_FOLDERS: dict[str, str] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_SPLITS = ("train", "validation", "test")
IMAGE_SUFFIXES = frozenset(
    (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
_LITTER = frozenset(("__MACOSX", "Thumbs.db", "desktop.ini"))  # what systems leave in folders, like hidden files


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Image files of a folder.

    Attributes:
        path: The folder.
        classes: Names of the classes, sorted; a label is the position of its class.
        splits: Files of each split, class by class, in sorted order; there are at least a training and a test set.
        labels: Label of each file of each split, (N,) of int64.
    """

    path: Path
    classes: tuple[str, ...]
    splits: dict[str, FileList]
    labels: dict[str, NDArray[np.int64]]

    def without(self, skipped: Collection[str]) -> "ImageFolder":
        """Return the folder without some files, given by their paths below it.

        Raises:
            DataError: A class would be left without images in a split.
        """
        if not skipped:
            return self
        unwanted = set(skipped)
        kept = {name: np.array([each not in unwanted for each in files.names()]) for name, files in self.splits.items()}
        for name, mask in kept.items():
            for label in set(range(len(self.classes))) - set(self.labels[name][mask].tolist()):
                shown = brief(self.classes[label])
                raise DataError(f"{_show(self.path)}: class '{shown}': found no image that is not damaged in {name}")
        return replace(
            self,
            splits={name: files.select(kept[name]) for name, files in self.splits.items()},
            labels={name: labels[kept[name]] for name, labels in self.labels.items()},
        )


def list_image_folder(path: Path) -> ImageFolder:
    """List `DIR/{train,val,test}/CLASS/...`; images may lie deeper, links are followed, hidden files are ignored.

    Without `test`, the folder `val` is the test set. `valid` and `validation` are other names of `val`.

    Raises:
        DataError: The folder is missing, has something else on its first two levels, a file that is no image, a loop of
            links, fewer than two classes, a class without images, or one that is not in every split.
    """
    if not path.is_dir():
        raise DataError(f"data set: found 'imagefolder:{brief(str(path))}', which is not a folder")
    found: dict[str, dict[str, FileList]] = {}
    for folder in _folders(path, f"a split, allowed: {', '.join(SPLIT_FOLDERS)}"):
        name = SPLIT_FOLDERS.get(folder.name)
        if name is None:
            raise DataError(
                f"{_show(path)}: found folder '{brief(folder.name)}', allowed: {', '.join(SPLIT_FOLDERS)}, each with "
                "a folder for each class"
            )
        if name in found:
            raise DataError(
                f"{_show(path)}: found two folders of the {name} set, allowed: one of val, valid, validation"
            )
        found[name] = {
            _class_name(each): FileList(path, (str(file.relative_to(path)) for file in _images(each, ())))
            for each in _folders(folder, "a class")
        }
    if "train" not in found:
        raise DataError(f"{_show(path)}: missing folder 'train', expected train/CLASS/ and test/CLASS/ or val/CLASS/")
    if "test" not in found:
        if "validation" not in found:
            raise DataError(f"{_show(path)}: missing folder 'test', expected test/CLASS/ or val/CLASS/")
        found["test"] = found.pop("validation")
    classes = sorted(set().union(*found.values()))
    _check_classes(path, classes, found)
    names = [name for name in _SPLITS if name in found]
    return ImageFolder(
        path=path,
        classes=tuple(classes),
        splits={name: FileList.join([found[name][each] for each in classes]) for name in names},
        labels={
            name: np.repeat(np.arange(len(classes)), [len(found[name][each]) for each in classes]) for name in names
        },
    )


def _class_name(folder: Path) -> str:
    """Return the name of a class's folder; one that cannot be kept in a text file is an error."""
    problem = flaw(folder.name)
    if problem is not None:
        raise DataError(f"{_show(folder)}: class name: found {problem}")
    return folder.name


def _check_classes(path: Path, classes: list[str], found: dict[str, dict[str, FileList]]) -> None:
    if len(classes) < 2:
        found_classes = f"one class, '{brief(classes[0])}'" if classes else "no class"
        raise DataError(f"{_show(path)}: found {found_classes}, expected at least two")
    for name, by_class in found.items():
        for each in classes:
            if each not in by_class:
                where = next(other for other in found if each in found[other])
                raise DataError(
                    f"{_show(path)}: class '{brief(each)}': found in the {where} set, missing in the {name} set"
                )
            if not by_class[each]:
                raise DataError(f"{_show(path)}: class '{brief(each)}': found no image in the {name} set")


def _folders(path: Path, expected: str) -> Iterator[Path]:
    """Yield the folders in a folder, sorted by name; a file among them is an error."""
    for entry in _entries(path):
        if not entry.is_dir():
            raise DataError(f"{_show(entry)}: found a file, expected the folder of {expected}")
        yield entry


def _images(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Yield the image files at any depth in a folder, sorted; `above` identifies the folders that it lies in."""
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        raise DataError(f"{_show(folder)}: found a link to a folder that it lies in, allowed: links out of it")
    for entry in _entries(folder):
        try:
            mode = entry.stat().st_mode
        except OSError as error:  # a broken link, or a loop of links
            raise DataError(f"{_show(entry)}: {os_reason(error)}") from None
        if stat.S_ISDIR(mode):
            yield from _images(entry, (*above, identity))
        elif not stat.S_ISREG(mode):
            raise DataError(f"{_show(entry)}: found no regular file, expected an image")
        elif entry.suffix.lower() not in IMAGE_SUFFIXES:
            raise DataError(
                f"{_show(entry)}: found a file that is no image, allowed: {', '.join(sorted(IMAGE_SUFFIXES))}"
            )
        else:
            yield entry


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted by name, except hidden files and what systems leave there."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        raise DataError(f"{_show(folder)}: {os_reason(error)}") from None
    return [folder / name for name in names if not name.startswith(".") and name not in _LITTER]


def _show(path: Path) -> str:
    return brief(str(path))
