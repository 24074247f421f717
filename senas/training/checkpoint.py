"""Training state after an epoch: written whole or not at all, and restored to the same training."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from senas.errors import RunError
from senas.files import replacing
from senas.nn.weights import load_tensors, require_same
from senas.parsing import load_json


def save_checkpoint(path: Path, network: nn.Module, optimizer: torch.optim.SGD, about: Mapping[str, object]) -> None:
    """Write weights, batch statistics and momenta.

    Args:
        path: of the file.
        network: after at least one step.
        optimizer: of its parameters.
        about: what else there is to keep, as plain data.
    """
    tensors = {f"network.{name}": tensor.contiguous() for name, tensor in network.state_dict().items()}
    tensors |= {f"momentum.{name}": tensor for name, tensor in _momenta(network, optimizer).items()}
    content = save(tensors, metadata={name: json.dumps(value) for name, value in about.items()})
    with replacing(path) as file:
        file.write(content)


def load_checkpoint(path: Path, network: nn.Module, optimizer: torch.optim.SGD) -> dict[str, object] | None:
    """Bring a network and its optimizer back to where a checkpoint was written.

    Returns:
        What else was kept; `None` where there is no checkpoint.

    Raises:
        RunError: it is none of this network; neither network nor optimizer has changed then.
    """
    if not path.exists():
        return None
    state, parameters = network.state_dict(), dict(network.named_parameters())
    expected = {f"network.{name}": tensor for name, tensor in state.items()}
    expected |= {f"momentum.{name}": tensor for name, tensor in parameters.items()}
    try:
        tensors, texts = load_tensors(path, sum(tensor.nbytes for tensor in expected.values()))
        require_same(expected, tensors, str(path))
        about = {name: load_json(text) for name, text in texts.items()}
    except (RunError, ValueError, RecursionError) as error:
        said = str(error).removeprefix(f"{path}: ")
        raise RunError(f"{path}: not a checkpoint of this network ({said}); delete it to start again") from None
    network.load_state_dict({name: tensors[f"network.{name}"] for name in state})
    for name, parameter in parameters.items():
        optimizer.state[parameter]["momentum_buffer"] = tensors[f"momentum.{name}"].to(parameter.device)
    return about


def _momenta(network: nn.Module, optimizer: torch.optim.SGD) -> dict[str, Tensor]:
    return {name: optimizer.state[parameter]["momentum_buffer"] for name, parameter in network.named_parameters()}
