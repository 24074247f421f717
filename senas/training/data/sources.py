"""Sources of data sets: one function each, from the network's input to a `Dataset`.

torch is imported by the functions that make tensors, so that a data set that does not exist is refused at once.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from senas.architecture import Input
from senas.errors import DataError, one_of
from senas.io import read_arrays
from senas.training.data.dataset import Dataset, Split, require_shape
from senas.training.data.folders import list_image_folder
from senas.training.data.images import decode_image

DataFunction = Callable[[Input], Dataset]


def load_data(data: str | DataFunction, network_input: Input) -> Dataset:
    """Load a data set.

    Args:
        data: `digits`, `cifar10`, `cifar100`, `npz:FILE`, `imagefolder:DIR`, or a function of your own.
        network_input: Input of the network; image folders are resized to it.

    Raises:
        DataError: An unknown name, a file that is missing or in another format, or an extra that is not installed.
    """
    if callable(data):
        return data(network_input)
    name, _, argument = data.partition(":")
    if name in SOURCES:
        if argument:
            raise DataError(f"data set: found '{name}:{argument}', expected {name} alone")
        return SOURCES[name](network_input)
    if name in FILE_SOURCES:
        if not argument:
            raise DataError(f"data set: found '{data}', expected {name}: followed by a path")
        return FILE_SOURCES[name](Path(argument), network_input)
    raise DataError(f"data set: {one_of(data, [*SOURCES, 'npz:FILE', 'imagefolder:DIR'])}")


def located(data: str | DataFunction) -> str | DataFunction:
    """Return a data set's name with its path made absolute, so that a worker process in another folder finds it."""
    name, separator, argument = data.partition(":") if isinstance(data, str) else ("", "", "")
    return f"{name}:{Path(argument).resolve()}" if name in FILE_SOURCES and separator and argument else data


def digits(network_input: Input) -> Dataset:
    """Return scikit-learn's 1,797 handwritten digits of 8x8 pixels; a fixed random fifth is the test set.

    Raises:
        DataError: A network that takes images of another shape.
    """
    # before the imports, which take seconds; digits are what --data is without a word
    require_shape("digits", (1, 8, 8), network_input, "; name a data set with --data")
    import torch
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pixels = torch.from_numpy(images.astype(np.uint8).reshape(-1, 1, 8, 8))  # (N, 64), 0 to 16
    whole = Split(images=pixels, labels=torch.from_numpy(labels.astype(np.int64)))
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(whole)))
    test = len(whole) // 5
    return Dataset(name="digits", train=whole.take(order[test:]), test=whole.take(order[:test]), classes=10, flip=False)


def npz(path: Path, network_input: Input) -> Dataset:  # noqa: ARG001  # images are not resized; `Dataset.require` checks them
    """Return the data set in a NumPy file.

    `x_train` and `x_test` are (N, H, W) or (N, H, W, C) of uint8, `y_train` and `y_test` are whole numbers from 0.
    Optional arrays are `class_names` (K,) and the truth value `flip` (true: a mirrored image keeps its label).
    """
    arrays = read_arrays(path)
    for name in ("x_train", "y_train", "x_test", "y_test"):
        if name not in arrays:
            raise DataError(f"{path}: missing array '{name}', found {', '.join(sorted(arrays)) or 'none'}")
    flip, names = arrays.get("flip", np.array(True)), arrays.get("class_names")
    if flip.shape != () or flip.dtype != np.bool_:
        raise DataError(f"{path}: flip: found {flip.shape} of {flip.dtype}, expected one truth value")
    if names is not None and names.ndim != 1:
        raise DataError(f"{path}: class_names: found {names.shape}, expected (K,)")
    train = _split(arrays["x_train"], arrays["y_train"], f"{path}: x_train, y_train")
    return Dataset(
        name=f"npz:{path.resolve()}",
        train=train,
        test=_split(arrays["x_test"], arrays["y_test"], f"{path}: x_test, y_test"),
        classes=int(train.labels.max()) + 1 if names is None else len(names),
        class_names=None if names is None else tuple(map(str, names)),
        flip=bool(flip),
    )


def cifar10(network_input: Input) -> Dataset:  # noqa: ARG001  # the images are always 32x32
    """Return CIFAR-10 (Krizhevsky 2009) from the Hugging Face hub."""
    return _hub("cifar10", "img", "label", 10)


def cifar100(network_input: Input) -> Dataset:  # noqa: ARG001  # the images are always 32x32
    """Return CIFAR-100 (Krizhevsky 2009) with its fine labels, from the Hugging Face hub."""
    return _hub("cifar100", "img", "fine_label", 100)


def imagefolder(path: Path, network_input: Input) -> Dataset:
    """Return the images in `DIR/{train,val,test}/CLASS/`, resized and cropped to the network's input.

    All images are decoded into memory. See `list_image_folder` for the splits and `decode_image` for the pixels.
    """
    folder = list_image_folder(path)
    if network_input.channels not in (1, 3):
        raise DataError(f"{path}: found a network of {network_input.channels} channels, images have 1 or 3")
    splits = {name: _decoded(files, network_input) for name, files in folder.splits.items()}
    return Dataset(
        name=f"imagefolder:{path.resolve()}",
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
        classes=len(folder.classes),
        class_names=folder.classes,
    )


def _decoded(files: Sequence[tuple[Path, int]], network_input: Input) -> Split:
    """Return the images and labels of files; the images are decoded into one array."""
    shape = (network_input.channels, network_input.size, network_input.size)
    pixels = np.empty((len(files), *shape), np.uint8)  # (N, C, H, W)
    for number, (path, _) in enumerate(files):
        pixels[number] = decode_image(path, network_input)
    import torch

    return Split(images=torch.from_numpy(pixels), labels=torch.tensor([label for _, label in files]))


SOURCES: dict[str, DataFunction] = {"digits": digits, "cifar10": cifar10, "cifar100": cifar100}
FOLDER_SOURCE = "imagefolder"
FILE_SOURCES: dict[str, Callable[[Path, Input], Dataset]] = {"npz": npz, FOLDER_SOURCE: imagefolder}


def _split(images: np.ndarray, labels: np.ndarray, where: str) -> Split:
    """Return a split of arrays, (N, H, W) or (N, H, W, C) and (N,); `where` names them in messages."""
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(f"{where}: found {images.shape} of {images.dtype}, expected (N, H, W) or (N, H, W, C) of uint8")
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != images.shape[:1] or not len(labels):
        raise DataError(
            f"{where}: found labels {labels.shape} of {labels.dtype}, expected a whole number for each of at least "
            f"one image, here {len(images)}"
        )
    import torch

    channels_last = images[..., None] if images.ndim == 3 else images  # (N, H, W, C)
    pixels = torch.from_numpy(np.ascontiguousarray(channels_last.transpose(0, 3, 1, 2)))
    return Split(images=pixels, labels=torch.from_numpy(labels.astype(np.int64)))


def _hub(name: str, image: str, label: str, classes: int) -> Dataset:
    """Return a data set of the Hugging Face hub, given the names of its image and label columns."""
    library = _require_datasets()
    try:
        loaded = library.load_dataset(name)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"data set {name}: cannot be downloaded ({reason})") from None

    def split(rows: Any) -> Split:
        return _split(np.stack([np.asarray(item) for item in rows[image]]), np.asarray(rows[label]), name)

    return Dataset(name=name, train=split(loaded["train"]), test=split(loaded["test"]), classes=classes)


def _require_datasets() -> Any:
    """Return the module `datasets`, or raise `DataError` if it is not installed."""
    if find_spec("datasets") is None:
        raise DataError("data set: found no package datasets, needed for it: pip install datasets")
    import datasets

    datasets.disable_progress_bars()
    return datasets
