"""Export of a retrained network, checked on the test images of its data."""

import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from senas.errors import DataError, RunError
from senas.export import Agreement, export_module, require_format
from senas.io import brief
from senas.training.data import Split, load_data, plan_loading
from senas.training.trained import NETWORK_FILE, NetworkDescription, TrainedNetwork, load_network
from senas.training.usage import usage_lines

MAX_IMAGES = 10_000  # of the test set that a file is compared on
_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """An exported network.

    Attributes:
        path: Path of the file.
        format: Format of the file.
        runtime: Name and version of the runtime that it was checked in.
        data: Name of the data set whose test images it was checked on.
        test_images: Number of test images of the data set; of more than 10,000, evenly spaced ones were taken.
        agreement: Comparison with the network in PyTorch on these images.
        accuracy_told: Accuracy in `network.json`, if the images are all the test images that it was found with.
        usage: Five lines of Python that run the file on an image file without senas.
    """

    path: Path
    format: str
    runtime: str
    data: str
    test_images: int
    agreement: Agreement
    accuracy_told: float | None
    usage: tuple[str, ...]


def export_network(
    folder: Path | str,
    *,
    format: str = "onnx",  # noqa: A002  # the public name
    out: Path | str | None = None,
    data: str | None = None,
    skip_damaged: int = 0,
) -> ExportReport:
    """Export a retrained network to a file that a runtime reads, checked against the network in PyTorch.

    The file takes `images`, uint8 (B, C, H, W) with any B, normalises them itself, and returns `logits`, (B, classes).
    It is run in its runtime on up to 10,000 test images; a file that disagrees is not written. Its metadata tells the
    class names, the architecture's digest, how an image file becomes its input, the versions of senas and torch, and
    what it was checked with.

    Args:
        folder: Folder of the retrained network.
        format: `onnx`, run in ONNX Runtime, or `torch`, a program of `torch.export`.
        out: Folder to write `network.onnx` or `network.pt2` into; by default that of the network.
        data: Data set whose test images it is checked on, as in `load_data`; by default the one it was trained on.
        skip_damaged: Number of damaged images of a folder to leave out.

    Raises:
        OptionError: An unknown format, or one whose packages are not installed.
        RunError: The folder holds no network with its description, or the file cannot be written.
        DataError: The data set cannot be read, or does not fit the network.
        ExportFailedError: The file does not compute what the network computes; it was not written.
    """
    folder, chosen = Path(folder), require_format(format)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a folder of an earlier version lacks is an error below
        network = load_network(folder)
    if network.description is None:
        raise RunError(f"{folder}: found no {NETWORK_FILE}, expected one with the mean and deviation of its images")
    split = _test_split(network, network.description, data, skip_damaged)
    images = min(len(split), MAX_IMAGES)
    index = torch.arange(images) * len(split) // images  # all, or evenly spaced
    name = data or network.description.data
    found = export_module(
        network,
        (folder if out is None else Path(out)) / f"network{chosen.suffix}",
        format_name=format,
        batches=split.batches(index.split(_BATCH)),
        data=name,
        metadata=_metadata(network.description),
    )
    return ExportReport(
        path=found.path,
        format=format,
        runtime=found.runtime,
        data=name,
        test_images=len(split),
        agreement=found.agreement,
        accuracy_told=network.description.accuracy if data is None and images == len(split) else None,
        usage=usage_lines(found.path, format, network.input),
    )


def _test_split(network: TrainedNetwork, description: NetworkDescription, data: str | None, skip_damaged: int) -> Split:
    """Return the test images of a data set, by default the one that the network was trained on."""
    name = data or description.data
    try:
        plan = plan_loading(name, network.input, skip_damaged=skip_damaged)
        loading = replace(plan.loading, streamed=True)  # of a folder, only the images that are compared are read
        dataset = load_data(name, network.input, loading)
    except DataError as error:
        if data is not None:
            raise
        raise DataError(f"{error}; the network was trained on it, name another data set with --data") from None
    dataset.require(network.architecture)
    for number, (found, known) in enumerate(zip(dataset.class_names or network.classes, network.classes, strict=True)):
        if found != known:
            raise DataError(
                f"{name}: class {number}: found '{brief(found)}', the network was trained with '{brief(known)}'"
            )
    return dataset.test


def _metadata(description: NetworkDescription) -> dict[str, str]:
    """Return what a user of the file needs to know, as texts; all but the digest are JSON."""
    preprocessing = {
        "before": "turned as EXIF says, transparent pixels white, gray levels of 16 bits divided by 257",
        "resize": description.resize,
        "interpolation": "bicubic, antialiased",
        "size": description.input.size,
        "channels": description.input.channels,
        "mean": description.mean,  # with which the file normalises the pixels, 0 to 255
        "deviation": description.deviation,
    }
    return {
        "classes": json.dumps(description.classes),
        "architecture": description.digest,
        "preprocessing": json.dumps(preprocessing),
    }
