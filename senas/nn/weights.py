"""Trained weights as a safetensors file, which cannot run code, beside the architecture's JSON file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from senas.architecture import Architecture
from senas.errors import RunError
from senas.io import brief, os_reason, read_bytes, replacing, show
from senas.nn.network import Network

ARCHITECTURE_FILE = "architecture.json"
WEIGHTS_FILE = "weights.safetensors"

_MIN_BYTES_PER_WEIGHT = 4
_MAX_BYTES_PER_WEIGHT = 8  # a batch norm has two statistics beside its two weights
_MAX_HEADER_BYTES = 2**24  # 1,024 cells of 100 tensors, described in 160 bytes each


def save_network(folder: Path, arch: Architecture, network: Network) -> None:
    """Write `architecture.json` and `weights.safetensors` into a folder, each of them atomically.

    Raises:
        OSError: One of them cannot be written; an earlier file of that name is unchanged.
    """
    arch.save(folder / ARCHITECTURE_FILE)
    with replacing(folder / WEIGHTS_FILE) as file:
        file.write(save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}))


Made = TypeVar("Made", bound=Network)


def read_network(folder: Path, make: Callable[[Architecture], Made]) -> Made:
    """Read a network from its folder, in evaluation mode.

    Args:
        folder: Folder with `architecture.json` and `weights.safetensors`.
        make: Function that makes the network of an architecture, which then gets the weights.

    Raises:
        RunError: The folder has no weights, or weights of another architecture.
        SenasError: The folder has no readable architecture.
    """
    arch, path = Architecture.load(folder / ARCHITECTURE_FILE), folder / WEIGHTS_FILE
    weights, _ = load_tensors(path, _MAX_BYTES_PER_WEIGHT * arch.network_size.weights)
    size = sum(tensor.nbytes for tensor in weights.values())
    min_bytes = _MIN_BYTES_PER_WEIGHT * arch.network_size.weights
    if size < min_bytes:  # checked first, so that no large network is allocated for a small file
        raise RunError(f"{path}: found {size} bytes of weights, expected at least {min_bytes} for its architecture")
    network = make(arch)
    require_same(network.state_dict(), weights, str(path))
    network.load_state_dict(weights)
    return network.eval()


def load_tensors(path: Path, max_bytes: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file by name, and its metadata.

    Args:
        path: Path of the file.
        max_bytes: Limit on the size of all tensors in bytes; the file size is checked before the file is read.

    Raises:
        RunError: The file is missing, unreadable, too large, or not a safetensors file.
    """
    try:
        content = read_bytes(path, max_bytes + _MAX_HEADER_BYTES)
        tensors = load(content)
    except OSError as error:
        raise RunError(f"{path}: {os_reason(error)}") from None
    except (SafetensorError, KeyError, ValueError) as error:  # KeyError: a data type that torch does not have
        raise RunError(f"{path}: not a safetensors file ({show(str(error))})") from None
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, header.get("__metadata__") or {}


def require_same(expected: dict[str, Tensor], found: dict[str, Tensor], where: str) -> None:
    """Raise `RunError` if tensors are missing, superfluous, or of another shape or type."""
    wanted, actual = _described(expected), _described(found)
    if wanted != actual:
        name = sorted(set(wanted.items()) ^ set(actual.items()))[0][0]
        raise RunError(f"{where}: {brief(name)}: found {actual.get(name)}, expected {wanted.get(name)}")


def _described(tensors: dict[str, Tensor]) -> dict[str, str]:
    """Return the shape of each tensor as text, and its type if it is not float32."""
    return {
        name: f"{tuple(tensor.shape)}" if tensor.dtype == torch.float32 else f"{tuple(tensor.shape)} of {tensor.dtype}"
        for name, tensor in tensors.items()
    }
