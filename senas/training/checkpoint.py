"""Checkpoints of the training state after a step, written atomically; a restored training gives the same result."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

import torch
from safetensors.torch import save
from torch import Tensor, nn

from senas.errors import RunError
from senas.io import load_json, replacing, show
from senas.nn import load_tensors, require_same
from senas.training.loop import TrainingPosition


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.SGD,
    position: TrainingPosition,
    values: Mapping[str, float],
) -> None:
    """Write weights, batch statistics and momenta.

    Args:
        path: Path of the file.
        network: Network after at least one step.
        optimizer: Optimizer of its parameters.
        position: How far the training has come.
        values: Further numbers to keep, by name.
    """
    metadata = {"epoch": position.epoch, "step": position.step, "loss_sum": float(position.loss_sum), **values}
    tensors = {f"network.{name}": tensor.contiguous() for name, tensor in network.state_dict().items()}
    tensors |= {f"momentum.{name}": tensor.contiguous() for name, tensor in _momenta(network, optimizer).items()}
    content = save(tensors, metadata={name: json.dumps(value) for name, value in metadata.items()})
    with replacing(path) as file:
        file.write(content)


def load_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.SGD, value: str, *, end: TrainingPosition
) -> tuple[TrainingPosition, float] | None:
    """Restore a network and its optimizer from a checkpoint.

    Args:
        path: Path of the file.
        network: Network to restore.
        optimizer: Optimizer of its parameters.
        value: Name of a number that was kept, such as `loss`.
        end: Number of epochs of the training, and of steps of an epoch, which no checkpoint exceeds.

    Returns:
        How far the training had come, and the number; `None` if there is no checkpoint.

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
        step, loss_sum = metadata.get("step", 0), metadata.get("loss_sum", 0.0)  # version 0.1 kept whole epochs
        if (
            not (_is_whole(epoch, end.epoch) and _is_whole(step, end.steps))
            or not (isinstance(found, float) and isinstance(loss_sum, float))
            or not math.isfinite(loss_sum)
        ):
            shown = f"epoch {show(epoch)}, step {show(step)}, loss_sum {show(loss_sum)} and {value} {show(found)}"
            raise RunError(f"found {shown}, expected numbers, up to epoch {end.epoch} and step {end.steps}")
    except (RunError, ValueError, RecursionError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise RunError(f"{path}: not a checkpoint of this network ({reason}); delete it to start again") from None
    network.load_state_dict({name: tensors[f"network.{name}"] for name in state})
    for name, parameter in parameters.items():
        momentum = torch.empty_like(parameter, requires_grad=False)  # with the parameter's device and memory format
        optimizer.state[parameter]["momentum_buffer"] = momentum.copy_(tensors[f"momentum.{name}"])
    return TrainingPosition(epoch=epoch, step=step, loss_sum=loss_sum), found


def _is_whole(value: object, most: int) -> TypeGuard[int]:
    """Return whether a value is a whole number from 0 to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _momenta(network: nn.Module, optimizer: torch.optim.SGD) -> dict[str, Tensor]:
    """Return the momentum of every parameter, by name."""
    return {name: optimizer.state[parameter]["momentum_buffer"] for name, parameter in network.named_parameters()}
