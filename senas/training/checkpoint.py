"""Training state after an epoch: written whole or not at all, and restored to the same training."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from senas.errors import RunError
from senas.files import replacing


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
        RunError: it is none of this network.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dictionary
        momenta = {name: tensors[f"momentum.{name}"] for name, _ in network.named_parameters()}
        for name, parameter in network.named_parameters():
            if momenta[name].shape != parameter.shape:
                raise ValueError(f"momentum of {name}: found {tuple(momenta[name].shape)}")
        network.load_state_dict({name[8:]: t for name, t in tensors.items() if name.startswith("network.")})
        for name, parameter in network.named_parameters():
            optimizer.state[parameter]["momentum_buffer"] = momenta[name].to(parameter.device)
    except (SafetensorError, OSError, RuntimeError, KeyError, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{path}: not a checkpoint of this network ({reason}); delete it to start again") from None
    return about


def _momenta(network: nn.Module, optimizer: torch.optim.SGD) -> dict[str, Tensor]:
    return {name: optimizer.state[parameter]["momentum_buffer"] for name, parameter in network.named_parameters()}
