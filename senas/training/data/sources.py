"""Sources of data sets: one function each, from the network's input to a `Dataset`.

torch is imported by the functions that make tensors, so that a data set that does not exist is refused at once.
"""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from senas.architecture import Input
from senas.errors import DataError, one_of
from senas.training.data.dataset import Dataset, require_shape
from senas.training.data.file_list import FileList, Progress
from senas.training.data.folders import list_image_folder
from senas.training.data.loading import FOLDER_SOURCE, NPZ_SOURCE, Loading, plan_loading
from senas.training.data.mapped import map_pixels
from senas.training.data.npz_file import read_npz
from senas.training.data.split import Split, split_behind

DIGITS = Input(channels=1, size=8)  # of the data set that commands use without --data
DataFunction = Callable[[Input], Dataset]


def load_data(
    data: str | DataFunction,
    network_input: Input,
    loading: Loading = Loading(),  # noqa: B008  # immutable
    *,
    progress: Progress = lambda _done, _total: None,
) -> Dataset:
    """Load a data set.

    Args:
        data: `digits`, `cifar10`, `cifar100`, `npz:FILE`, `imagefolder:DIR`, or a function of your own.
        network_input: Input of the network; image folders are resized to it.
        loading: How the images of a folder are loaded; `plan_loading` makes and explains one.
        progress: Function that is called with (images decoded, images in all) while a folder is decoded into memory.

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
        if loading.streamed is None:
            loading = replace(loading, streamed=plan_loading(data, network_input).loading.streamed)
        return FILE_SOURCES[name](Path(argument), network_input, loading, progress)
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
    require_shape("digits", (DIGITS.channels, DIGITS.size, DIGITS.size), network_input, "; name a data set with --data")
    import torch
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pixels = torch.from_numpy(images.astype(np.uint8).reshape(-1, 1, 8, 8))  # (N, 64), 0 to 16
    whole = Split(images=pixels, labels=torch.from_numpy(labels.astype(np.int64)))
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(whole)))
    test = len(whole) // 5
    return Dataset(name="digits", train=whole.take(order[test:]), test=whole.take(order[:test]), classes=10, flip=False)


def npz(path: Path, network_input: Input, loading: Loading, progress: Progress) -> Dataset:  # noqa: ARG001  # images are not resized; `Dataset.require` checks them
    """Return the data set in a NumPy file, see `read_npz`."""
    return read_npz(path)


def cifar10(network_input: Input) -> Dataset:  # noqa: ARG001  # the images are always 32x32
    """Return CIFAR-10 (Krizhevsky 2009) from the Hugging Face hub."""
    return _hub("cifar10", "img", "label", 10)


def cifar100(network_input: Input) -> Dataset:  # noqa: ARG001  # the images are always 32x32
    """Return CIFAR-100 (Krizhevsky 2009) with its fine labels, from the Hugging Face hub."""
    return _hub("cifar100", "img", "fine_label", 100)


def imagefolder(path: Path, network_input: Input, loading: Loading, progress: Progress) -> Dataset:
    """Return the images in `DIR/{train,val,test}/CLASS/`, resized and cropped to the network's input.

    See `list_image_folder` for the splits, `decode_image` for the pixels, and `Loading` for where they are.
    """
    if network_input.channels not in (1, 3):
        raise DataError(f"{path}: found a network of {network_input.channels} channels, images have 1 or 3")
    folder = list_image_folder(path).without(loading.skip)
    files = FileList.join(list(folder.splits.values()))
    import torch

    from senas.training.data.streaming import StreamedImages, decode_all

    if loading.streamed:
        images: StreamedImages | torch.Tensor = StreamedImages(files, network_input)
    else:
        shape = (len(files), network_input.channels, network_input.size, network_input.size)
        identity = [str(path.resolve()), files.digest(times=True)]
        images = torch.from_numpy(
            map_pixels(identity, shape, lambda pixels: decode_all(files, network_input, pixels, progress))
        )
    splits = split_behind(images, folder.labels)
    return Dataset(
        name=f"{FOLDER_SOURCE}:{path.resolve()}",
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
        classes=len(folder.classes),
        class_names=folder.classes,
    )


SOURCES: dict[str, DataFunction] = {"digits": digits, "cifar10": cifar10, "cifar100": cifar100}
FILE_SOURCES: dict[str, Callable[[Path, Input, Loading, Progress], Dataset]] = {
    NPZ_SOURCE: npz,
    FOLDER_SOURCE: imagefolder,
}


def _hub(name: str, image: str, label: str, classes: int) -> Dataset:
    """Return a data set of the Hugging Face hub, given the names of its image and label columns."""
    library = _require_datasets()
    try:
        loaded = library.load_dataset(name)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"data set {name}: cannot be downloaded ({reason})") from None

    def split(rows: Any) -> Split:
        import torch

        pixels = np.stack([np.asarray(item) for item in rows[image]]).transpose(0, 3, 1, 2)  # from (N, H, W, C)
        labels = np.asarray(rows[label], np.int64)
        return Split(images=torch.from_numpy(np.ascontiguousarray(pixels)), labels=torch.from_numpy(labels))

    return Dataset(name=name, train=split(loaded["train"]), test=split(loaded["test"]), classes=classes)


def _require_datasets() -> Any:
    """Return the module `datasets`, or raise `DataError` if it is not installed."""
    if find_spec("datasets") is None:
        raise DataError("data set: found no package datasets, needed for it: pip install datasets")
    import datasets

    datasets.disable_progress_bars()
    return datasets
