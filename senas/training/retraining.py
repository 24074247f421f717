"""Retraining of one architecture on all training data, with one test at the end and the weights saved."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from senas.architecture import Architecture
from senas.errors import RunError
from senas.io import os_reason, read_json, write_json
from senas.nn import WEIGHTS_FILE, save_network
from senas.training.checkpoint import load_checkpoint, save_checkpoint
from senas.training.data import Dataset
from senas.training.loop import (
    TrainingPosition,
    end_of_training,
    make_network,
    make_optimizer,
    top1_accuracy,
    train_epochs,
)
from senas.training.recipe import Recipe
from senas.training.trained import NETWORK_FILE, NetworkDescription, name_classes
from senas.version import __version__

ARGUMENTS_FILE, CHECKPOINT_FILE, RESULT_FILE = "retrain.json", "checkpoint.safetensors", "result.json"
CHECKPOINT_SECONDS = 60.0  # between two checkpoints within an epoch
_SPEED_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class RetrainArguments:
    """Arguments of a retraining, kept in `retrain.json`.

    Attributes:
        digest: Digest of the architecture.
        data: Name of the data set.
        streamed: Whether its images are read from their files meanwhile.
        data_digest: Digest of its images and labels.
        recipe: Training recipe.
        seed: Random seed for weights, order and augmentation.
    """

    digest: str
    data: str
    streamed: bool = False
    data_digest: str
    recipe: Recipe
    seed: int


@dataclass(frozen=True, kw_only=True)
class RetrainResult:
    """Result of a retraining, kept in `result.json`.

    Attributes:
        test_accuracy: Top-1 accuracy on the test set after the last epoch, in [0, 1].
        loss: Mean training loss of the last epoch.
        seconds: Training time since the last interruption.
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
    on_step: Callable[[TrainingPosition, float], None] = lambda _position, _images_per_second: None,
) -> RetrainResult:
    """Train an architecture on all training data and test it once, at the end, on the test set.

    A second call with the same folder and arguments continues after the last checkpoint, which is written after every
    epoch and every minute, and gives the same weights as without the interruption. If the retraining has finished, it
    returns the result at once.

    Args:
        arch: Architecture to train.
        data: Data set. A validation set of its own is trained on, too; the test set is used only at the end.
        recipe: Training recipe.
        out: Folder for `architecture.json`, `weights.safetensors`, `network.json` and `result.json`.
        seed: Random seed for weights, order and augmentation.
        device: Device to train on, `cpu` or `cuda`.
        on_epoch: Function that is called with (epoch, mean loss) after each epoch.
        on_step: Function that is called with (position, images trained on per second) after each step.

    Raises:
        DataError: The data does not fit the network.
        RunError: The folder holds a retraining with other arguments, or cannot be written to.
        TrainingDivergedError: The loss is no longer finite.
    """
    out = Path(out)
    data.require(arch)
    arguments = RetrainArguments(
        digest=arch.digest,
        data=data.name,
        data_digest=data.digest,
        recipe=recipe,
        seed=seed,
        streamed=data.train.streamed,
    )
    _reserve(out, arguments)
    finished = (out / RESULT_FILE).exists() and (out / WEIGHTS_FILE).exists()
    if finished and (out / NETWORK_FILE).exists():
        return read_json(out / RESULT_FILE, RetrainResult)
    data = data.with_all_for_training().to(device)
    if finished:  # by a version that wrote no description
        result = read_json(out / RESULT_FILE, RetrainResult)
        write_json(out / NETWORK_FILE, _description(arch, data, arguments, result))
        return result
    network = make_network(arch, recipe, seed=seed, device=device)
    optimizer = make_optimizer(network, recipe)
    path = out / CHECKPOINT_FILE
    position, loss = load_checkpoint(path, network, optimizer, "loss", end=end_of_training(data, recipe)) or (
        TrainingPosition(),
        0.0,
    )
    start = saved = time.monotonic()
    speed = _Speed()

    def after_step(now: TrainingPosition) -> None:
        nonlocal saved
        on_step(now, speed.after(recipe.batch))
        if now.step < now.steps and time.monotonic() - saved >= CHECKPOINT_SECONDS:
            save_checkpoint(path, network, optimizer, now, {"loss": loss})
            saved = time.monotonic()

    for epoch, loss in train_epochs(network, optimizer, data, recipe, seed=seed, start=position, on_step=after_step):
        save_checkpoint(path, network, optimizer, TrainingPosition(epoch=epoch), {"loss": loss})
        saved = time.monotonic()
        on_epoch(epoch, loss)
    accuracy = top1_accuracy(network, data.test, data.statistics, precision=recipe.precision)
    result = RetrainResult(test_accuracy=accuracy, loss=loss, seconds=time.monotonic() - start)
    save_network(out, arch, network)
    write_json(out / NETWORK_FILE, _description(arch, data, arguments, result))
    write_json(out / RESULT_FILE, result)
    path.unlink(missing_ok=True)
    return result


class _Speed:
    """Images per second of the last seconds."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()  # (time, images until then)
        self._images = 0

    def after(self, images: int) -> float:
        """Return the speed after some more images; 0 at first."""
        now = time.monotonic()
        self._images += images
        self._marks.append((now, self._images))
        while len(self._marks) > 2 and now - self._marks[1][0] > _SPEED_SECONDS:
            self._marks.popleft()
        before, done = self._marks[0]
        return (self._images - done) / (now - before) if now > before else 0.0


def _description(
    arch: Architecture, data: Dataset, arguments: RetrainArguments, result: RetrainResult
) -> NetworkDescription:
    """Return what is known of a retrained network."""
    mean, deviation = (tuple(values.flatten().tolist()) for values in data.statistics)
    return NetworkDescription(
        digest=arch.digest,
        input=arch.input,
        mean=mean,
        deviation=deviation,
        classes=name_classes(data.class_names, arch.head.classes),
        accuracy=result.test_accuracy,
        data=arguments.data,
        data_digest=arguments.data_digest,
        recipe=arguments.recipe,
        senas=__version__,
    )


def _reserve(out: Path, arguments: RetrainArguments) -> None:
    """Write the arguments into a new folder, or raise `RunError` if the folder has others or cannot be written to."""
    path = out / ARGUMENTS_FILE
    if not path.exists():
        try:
            write_json(path, arguments)
        except OSError as error:
            raise RunError(f"{out}: cannot be written to ({os_reason(error)}); choose another folder") from None
        return
    found = read_json(path, RetrainArguments)
    differences = _differences(found, arguments)
    if differences:
        name, old, new = differences[0]
        raise RunError(f"{out}: holds a retraining with {name} {old}, found {new}; choose another folder")


def _differences(found: RetrainArguments, asked: RetrainArguments) -> list[tuple[str, object, object]]:
    """Return name, found value and requested value of every argument and recipe setting that differs."""
    pairs = [(f.name, getattr(found, f.name), getattr(asked, f.name)) for f in fields(asked) if f.name != "recipe"]
    pairs += [(f.name, getattr(found.recipe, f.name), getattr(asked.recipe, f.name)) for f in fields(asked.recipe)]
    return [pair for pair in pairs if pair[1] != pair[2]]
