"""Checkpoints of the training state after an epoch, written atomically; a restored training gives the same result."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from senas.errors import RunError
from senas.io import load_json, replacing, show
from senas.nn import load_tensors, require_same


def save_checkpoint(path: Path, network: nn.Module, optimizer: torch.optim.SGD, metadata: Mapping[str, object]) -> None:
    """Write weights, batch statistics and momenta.

    Args:
        path: Path of the file.
        network: Network after at least one step.
        optimizer: Optimizer of its parameters.
        metadata: Further values to keep, as plain data.
    """
    tensors = {f"network.{name}": tensor.contiguous() for name, tensor in network.state_dict().items()}
    tensors |= {f"momentum.{name}": tensor.contiguous() for name, tensor in _momenta(network, optimizer).items()}
    content = save(tensors, metadata={name: json.dumps(value) for name, value in metadata.items()})
    with replacing(path) as file:
        file.write(content)


def load_checkpoint(path: Path, network: nn.Module, optimizer: torch.optim.SGD, value: str) -> tuple[int, float] | None:
    """Restore a network and its optimizer from a checkpoint.

    Args:
        path: Path of the file.
        network: Network to restore.
        optimizer: Optimizer of its parameters.
        value: Name of the number that the metadata holds beside `epoch`, such as `loss`.

    Returns:
        The number of epochs done and the value after them; `None` if there is no checkpoint.

    Raises:
        RunError: Not a checkpoint of this network; neither network nor optimizer has been changed.
    """
    if not path.exists():
        return None
    state, parameters = network.state_dict(), dict(network.named_parameters())
    expected = {f"network.{name}": tensor for name, tensor in state.items()}
    expected |= {f"momentum.{name}": tensor for name, tensor in parameters.items()}
    try:
        tensors, texts = load_tensors(path, sum(tensor.nbytes for tensor in expected.values()))
        require_same(expected, tensors, str(path))
        metadata = {name: load_json(text) for name, text in texts.items()}
        epoch, found = metadata.get("epoch"), metadata.get(value)
        if not isinstance(epoch, int) or not isinstance(found, float):
            raise RunError(f"found epoch {show(epoch)} and {value} {show(found)}, expected numbers")
    except (RunError, ValueError, RecursionError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise RunError(f"{path}: not a checkpoint of this network ({reason}); delete it to start again") from None
    network.load_state_dict({name: tensors[f"network.{name}"] for name in state})
    for name, parameter in parameters.items():
        momentum = torch.empty_like(parameter, requires_grad=False)  # with the parameter's device and memory format
        optimizer.state[parameter]["momentum_buffer"] = momentum.copy_(tensors[f"momentum.{name}"])
    return epoch, found


def _momenta(network: nn.Module, optimizer: torch.optim.SGD) -> dict[str, Tensor]:
    """Return the momentum of every parameter, by name."""
    return {name: optimizer.state[parameter]["momentum_buffer"] for name, parameter in network.named_parameters()}
