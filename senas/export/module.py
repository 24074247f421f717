"""Export of one module: convert, write, run the file, compare, and only then give the file its name."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import torch
from torch import nn

from senas.errors import ExportFailedError, RunError
from senas.export.agreement import Agreement, Batches, compare, require_batch_sizes
from senas.export.formats import LoadedFile, Program, require_format
from senas.export.refusals import refused_as
from senas.io import os_reason, replacing
from senas.version import __version__


@dataclass(frozen=True, kw_only=True)
class ExportedModule:
    """File that was exported, and what it was checked with.

    Attributes:
        path: Path of the file.
        runtime: Name and version of the runtime that it was run in.
        agreement: Comparison with the module in PyTorch.
    """

    path: Path
    runtime: str
    agreement: Agreement


def export_module(
    module: nn.Module, path: Path, *, format_name: str, batches: Batches, data: str, metadata: Mapping[str, str]
) -> ExportedModule:
    """Export a module to a file that agrees with it, or to none.

    The file's input is `images`, uint8 (B, C, H, W) with a free batch size, and its output `logits`, (B, classes). It
    is written under a temporary name, run in its runtime on batches of 1, 3 and 32 images and then on all images, and
    compared with the module; an earlier file of that name is replaced only once the new one agrees. The versions of
    senas and torch and the result of the comparison, under the key `checked`, are added to the metadata.

    Args:
        module: Module in evaluation mode, on the CPU, that maps uint8 images to logits.
        path: File to write.
        format_name: Name of one of `FORMATS`.
        batches: Images and labels to compare on, at least one.
        data: Name of these images, for the metadata.
        metadata: Texts to keep in the file by their names, such as `classes`.

    Raises:
        OptionError: An unknown format, or one whose packages are not installed.
        ExportFailedError: The module cannot be converted, or the file does not agree with it.
        RunError: The file cannot be written.
    """
    chosen = require_format(format_name)
    assert not module.training
    batches = iter(batches)
    first = next(batches)
    kept = {**metadata, "senas": __version__, "torch": torch.__version__}
    try:
        with replacing(path) as file, torch.inference_mode(False), torch.no_grad():
            with refused_as("network: cannot be converted"):
                program = chosen.convert(module, first[0])
                _rewrite(file, program, kept)
            with refused_as("file: the runtime does not load it"):
                loaded = chosen.load(Path(file.name), tuple(kept))
            require_batch_sizes(module, loaded, first[0])
            agreement = compare(module, loaded, chain([first], batches))
            agreement.require(f"{agreement.images} images")
            kept["checked"] = _checked(agreement, loaded.runtime, data)
            _rewrite(file, program, kept)  # once more, with what it was checked with
            _require_metadata(chosen.load(Path(file.name), tuple(kept)), kept)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({os_reason(error)}); choose another folder") from None
    return ExportedModule(path=path, runtime=loaded.runtime, agreement=agreement)


def _rewrite(file: BinaryIO, program: Program, metadata: Mapping[str, str]) -> None:
    file.seek(0)
    file.truncate()
    program.write(file, metadata)
    file.flush()


def _checked(agreement: Agreement, runtime: str, data: str) -> str:
    """Return what a file was checked with, as JSON."""
    found = {name: value for name, value in asdict(agreement).items() if name != "widest_relative_gap"}
    return json.dumps({"data": data, "runtime": runtime, **found})


def _require_metadata(file: LoadedFile, metadata: Mapping[str, str]) -> None:
    wrong = [key for key, text in metadata.items() if file.metadata[key] != text]
    if wrong:
        raise ExportFailedError(f"metadata {wrong[0]}: found another text than was written; the file was not written")
