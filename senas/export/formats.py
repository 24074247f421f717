"""Formats of exported files: what each is made with, and how it is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from senas.errors import OptionError, one_of
from senas.export.onnx_format import OnnxFile, OnnxProgram
from senas.export.torch_format import TorchFile, TorchProgram

if TYPE_CHECKING:
    from torch import Tensor, nn


class Program(Protocol):
    """Module in the form that is written to a file."""

    def write(self, file: BinaryIO, metadata: Mapping[str, str]) -> None:
        """Write it with metadata, whose keys are names and whose values are texts, often JSON."""


class LoadedFile(Protocol):
    """Exported file, loaded into its runtime."""

    @property
    def runtime(self) -> str:
        """Name and version of the runtime."""
        ...

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata in the file."""
        ...

    def __call__(self, images: "Tensor") -> "Tensor":
        """Map uint8 images (B, C, H, W) to logits (B, classes)."""
        ...


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """Format of exported files.

    Attributes:
        suffix: Suffix of the file.
        packages: Packages it needs beside torch.
        convert: Function that returns the program of a module in evaluation mode, given images that it takes.
        load: Function of a path and the keys of its metadata that loads the file into its runtime.
    """

    suffix: str
    packages: tuple[str, ...]
    convert: "Callable[[nn.Module, Tensor], Program]"
    load: Callable[[Path, tuple[str, ...]], LoadedFile]


FORMATS = {
    "onnx": ExportFormat(
        suffix=".onnx", packages=("onnx", "onnxscript", "onnxruntime"), convert=OnnxProgram, load=OnnxFile
    ),
    "torch": ExportFormat(suffix=".pt2", packages=(), convert=TorchProgram, load=TorchFile),
}


def require_format(name: str) -> ExportFormat:
    """Return a format by its name.

    Raises:
        OptionError: An unknown name, or a format whose packages are not installed.
    """
    if name not in FORMATS:
        raise OptionError(f"format: {one_of(name, FORMATS)}")
    packages = FORMATS[name].packages
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise OptionError(
            f"format {name}: found no package {', '.join(missing)}, needed for it: pip install {' '.join(packages)}"
        )
    return FORMATS[name]
