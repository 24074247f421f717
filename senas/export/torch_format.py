"""Format `torch`: a program of `torch.export`, which `torch.export.load` reads without the code of the module."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram


def free_batch_program(module: nn.Module, images: Tensor) -> ExportedProgram:
    """Return the program of a module in evaluation mode, whose batch size is free.

    It tells neither the paths of the source code here nor any image.

    Args:
        module: Module of one input.
        images: Images that the module takes, (B, C, H, W), of which only shape and type are used.
    """
    example = images.new_zeros(2, *images.shape[1:])  # torch would take a batch size of 1 as fixed
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, on its own code
        program = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


class TorchProgram:
    """Program of `torch.export`.

    Args:
        module: Module in evaluation mode.
        images: Images that it takes.
    """

    def __init__(self, module: nn.Module, images: Tensor):
        self._program = free_batch_program(module, images)

    def write(self, file: BinaryIO, metadata: Mapping[str, str]) -> None:
        """Write the program and its metadata, each entry as an extra file of the archive."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, on its own code
            content = io.BytesIO()  # torch aborts the process if it cannot write
            torch.export.save(self._program, content, extra_files=dict(metadata))
        file.write(content.getbuffer())


class TorchFile:
    """File of `torch.export`.

    Args:
        path: Path of the file.
        keys: Names of its metadata.
    """

    def __init__(self, path: Path, keys: tuple[str, ...] = ()):
        self.runtime, self.metadata = f"torch {torch.__version__}", dict.fromkeys(keys, "")
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, on its own code
            program = torch.export.load(file, extra_files=self.metadata)
        self._module = program.module()

    def __call__(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, C, H, W) to logits (B, classes)."""
        with torch.no_grad():
            return self._module(images)
