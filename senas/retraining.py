"""Retraining: one architecture on all training data, judged once on the test set, weights kept."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from senas.architecture import Architecture
from senas.errors import RunError
from senas.files import os_reason
from senas.nn.network import Network, build_network
from senas.nn.weights import WEIGHTS_FILE, save_network
from senas.parsing import read_json, write_json
from senas.training.checkpoint import load_checkpoint, save_checkpoint
from senas.training.data import Dataset
from senas.training.loop import Recipe, make_optimizer, pixel_statistics, top1_accuracy, train_epochs

ARGUMENTS_FILE, CHECKPOINT_FILE, RESULT_FILE = "retrain.json", "checkpoint.safetensors", "result.json"


@dataclass(frozen=True, kw_only=True)
class RetrainArguments:
    """What a retraining was asked for; `retrain.json`.

    Attributes:
        digest: of the architecture.
        data: name of the data set.
        data_digest: of its images and labels.
        recipe: how to train.
        seed: of weights, order and augmentation.
    """

    digest: str
    data: str
    data_digest: str
    recipe: Recipe
    seed: int


@dataclass(frozen=True, kw_only=True)
class RetrainResult:
    """What came of a retraining; `result.json`.

    Attributes:
        test_accuracy: top-1 on the test set, in [0, 1], after the last epoch.
        loss: mean training loss of the last epoch.
        seconds: of training since the last interruption.
    """

    test_accuracy: float
    loss: float
    seconds: float


def retrain(
    arch: Architecture,
    *,
    data: Dataset,
    recipe: Recipe,
    out: Path | str,
    seed: int = 0,
    device: str = "cpu",
    on_epoch: Callable[[int, float], None] = lambda _epoch, _loss: None,
) -> RetrainResult:
    """Train an architecture on all training data and judge it once, at the end, on the test set.

    Called again on the same folder with the same arguments it goes on after the last finished epoch, to the same
    weights as without the interruption; a finished retraining returns its result at once.

    Args:
        arch: what to train.
        data: its test split is touched at the end only.
        recipe: how to train.
        out: folder for `architecture.json`, `weights.safetensors` and `result.json`.
        seed: of weights, order and augmentation.
        device: `cpu` or `cuda`.
        on_epoch: told (epoch, mean loss) after each epoch.

    Raises:
        DataError: the data does not fit the network.
        RunError: the folder holds a retraining with other arguments, or cannot be written to.
        TrainingDivergedError: the loss is no longer finite.
    """
    out = Path(out)
    data.require(arch)
    _claim(out, RetrainArguments(digest=arch.digest, data=data.name, data_digest=data.digest, recipe=recipe, seed=seed))
    if (out / RESULT_FILE).exists() and (out / WEIGHTS_FILE).exists():
        return read_json(out / RESULT_FILE, RetrainResult)
    data = data.to(device)
    network = build_network(arch, seed=seed).to(device)
    optimizer = make_optimizer(network, recipe)
    epoch, loss = _restore(out / CHECKPOINT_FILE, network, optimizer)
    start = time.monotonic()
    for epoch, loss in train_epochs(network, optimizer, data, recipe, seed=seed, start=epoch):  # noqa: B020
        save_checkpoint(out / CHECKPOINT_FILE, network, optimizer, {"epoch": epoch, "loss": loss})
        on_epoch(epoch, loss)
    result = RetrainResult(
        test_accuracy=top1_accuracy(network, data.test, pixel_statistics(data.train)),
        loss=loss,
        seconds=time.monotonic() - start,
    )
    save_network(out, arch, network)
    write_json(out / RESULT_FILE, result)
    (out / CHECKPOINT_FILE).unlink(missing_ok=True)
    return result


def _claim(out: Path, arguments: RetrainArguments) -> None:
    """Make the folder, or check that it was made for the same arguments."""
    path = out / ARGUMENTS_FILE
    if not path.exists():
        try:
            write_json(path, arguments)
        except OSError as error:
            raise RunError(f"{out}: cannot be written to ({os_reason(error)}); choose another folder") from None
        return
    found = read_json(path, RetrainArguments)
    for name, old, new in _differences(found, arguments):
        raise RunError(f"{out}: holds a retraining with {name} {old}, found {new}; choose another folder")


def _differences(found: RetrainArguments, asked: RetrainArguments) -> list[tuple[str, object, object]]:
    pairs = [(f.name, getattr(found, f.name), getattr(asked, f.name)) for f in fields(asked) if f.name != "recipe"]
    pairs += [(f.name, getattr(found.recipe, f.name), getattr(asked.recipe, f.name)) for f in fields(asked.recipe)]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _restore(path: Path, network: Network, optimizer: torch.optim.SGD) -> tuple[int, float]:
    """Load a checkpoint where there is one.

    Returns:
        The epochs that are done and the loss of the last.
    """
    about = load_checkpoint(path, network, optimizer)
    if about is None:
        return 0, float("nan")
    epoch, loss = about.get("epoch"), about.get("loss")
    if not isinstance(epoch, int) or not isinstance(loss, float):
        raise RunError(f"{path}: found epoch {epoch!r} and loss {loss!r}, expected numbers; delete it to start again")
    return epoch, loss
