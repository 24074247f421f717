"""Trained weights as safetensors beside the architecture's JSON: nothing in them can run code."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from senas.architecture import Architecture
from senas.errors import RunError
from senas.nn.network import Network, build_network
from senas.parsing import os_reason

ARCHITECTURE_FILE = "architecture.json"
WEIGHTS_FILE = "weights.safetensors"


def save_network(folder: Path, arch: Architecture, network: Network) -> None:
    """Write `architecture.json` and `weights.safetensors` into a folder, each whole or not at all."""
    arch.save(folder / ARCHITECTURE_FILE)
    temporary = folder / f".{WEIGHTS_FILE}.tmp"
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, temporary)
    temporary.replace(folder / WEIGHTS_FILE)


def load_network(folder: Path | str) -> Network:
    """Load a retrained network from its folder, in evaluation mode.

    Raises:
        RunError: no weights in the folder, or weights of another architecture.
        SenasError: no readable architecture in the folder.
    """
    folder = Path(folder)
    network = build_network(Architecture.load(folder / ARCHITECTURE_FILE))
    path = folder / WEIGHTS_FILE
    try:
        weights = load_file(path)
    except OSError as error:
        raise RunError(f"{path}: {os_reason(error)}") from None
    except SafetensorError as error:
        raise RunError(f"{path}: not a safetensors file ({error})") from None
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if expected != found:
        name = sorted(set(expected.items()) ^ set(found.items()))[0][0]
        raise RunError(f"{path}: {name}: found {found.get(name)}, expected {expected.get(name)}")
    network.load_state_dict(weights)
    return network.eval()
