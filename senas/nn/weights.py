"""Trained weights as safetensors beside the architecture's JSON: nothing in them can run code."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from senas.architecture import Architecture
from senas.errors import RunError
from senas.files import os_reason, read_bytes, replacing
from senas.nn.network import Network, build_network
from senas.text import brief, show

ARCHITECTURE_FILE = "architecture.json"
WEIGHTS_FILE = "weights.safetensors"

_LEAST_PER_WEIGHT, _MOST_PER_WEIGHT = 4, 8  # bytes: a batch norm has two statistics beside its two weights
_HEADER_BYTES = 2**24  # 1,024 cells of 100 tensors, described in 160 bytes each


def save_network(folder: Path, arch: Architecture, network: Network) -> None:
    """Write `architecture.json` and `weights.safetensors` into a folder, each whole or not at all.

    Raises:
        OSError: one of them cannot be written; the file that was there before still is.
    """
    arch.save(folder / ARCHITECTURE_FILE)
    with replacing(folder / WEIGHTS_FILE) as file:
        file.write(save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}))


def load_network(folder: Path | str) -> Network:
    """Load a retrained network from its folder, in evaluation mode.

    Raises:
        RunError: no weights in the folder, or weights of another architecture.
        SenasError: no readable architecture in the folder.
    """
    folder = Path(folder)
    arch, path = Architecture.load(folder / ARCHITECTURE_FILE), folder / WEIGHTS_FILE
    weights, _ = load_tensors(path, _MOST_PER_WEIGHT * arch.demand.weights)
    held, least = sum(tensor.nbytes for tensor in weights.values()), _LEAST_PER_WEIGHT * arch.demand.weights
    if held < least:  # so that nothing is allocated for a network that is only described
        raise RunError(f"{path}: found {held} bytes of weights, expected at least {least} for its architecture")
    network = build_network(arch)
    require_same(network.state_dict(), weights, str(path))
    network.load_state_dict(weights)
    return network.eval()


def load_tensors(path: Path, most: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file by name, and the texts that it has beside them.

    Args:
        path: of the file.
        most: bytes of all tensors; a larger file is refused before it is read.

    Raises:
        RunError: the file is missing, unreadable, too large, or no safetensors file.
    """
    try:
        content = read_bytes(path, most + _HEADER_BYTES)
        tensors = load(content)
    except OSError as error:
        raise RunError(f"{path}: {os_reason(error)}") from None
    except (SafetensorError, KeyError, ValueError) as error:  # KeyError: a type that torch has none for
        raise RunError(f"{path}: not a safetensors file ({show(str(error))})") from None
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, header.get("__metadata__") or {}


def require_same(expected: dict[str, Tensor], found: dict[str, Tensor], where: str) -> None:
    """Raise `RunError` where tensors are missing, superfluous, or of another shape or type."""
    described, others = _described(expected), _described(found)
    if described != others:
        name = sorted(set(described.items()) ^ set(others.items()))[0][0]
        raise RunError(f"{where}: {brief(name)}: found {others.get(name)}, expected {described.get(name)}")


def _described(tensors: dict[str, Tensor]) -> dict[str, str]:
    """Shape and, where it is not the usual one, type of each tensor."""
    return {
        name: f"{tuple(tensor.shape)}" if tensor.dtype == torch.float32 else f"{tuple(tensor.shape)} of {tensor.dtype}"
        for name, tensor in tensors.items()
    }
