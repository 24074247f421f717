"""The evaluator that a search calls by default: train one architecture, return its validation accuracy."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import torch

from senas.architecture import Architecture, Input
from senas.errors import RunError
from senas.nn.network import Network, build_network
from senas.parsing import digest_of, to_plain
from senas.training.checkpoint import load_checkpoint, save_checkpoint
from senas.training.data import Dataset
from senas.training.loop import Recipe, make_optimizer, pixel_statistics, top1_accuracy, train_epochs
from senas.training.sources import DataFunction, load_data, located

Report = Callable[[int, float], None]
Evaluate = Callable[[Architecture, int, Report], float]

CHECKPOINT_SECONDS = 20.0  # between checkpoints at least: short trainings are as quickly repeated


@dataclass(frozen=True, kw_only=True)
class TrainingEvaluator:
    """Trains an architecture on the training split and returns its top-1 accuracy on the validation split.

    The validation split is carved from the training set, the same for every trial; the test set is never touched.

    Attributes:
        data: a name for `load_data`, its path made absolute, or a function of your own that returns a `Dataset`.
        recipe: how to train.
        device: `cpu` or `cuda`.
    """

    data: str | DataFunction
    recipe: Recipe = field(default_factory=Recipe)
    device: str = "cpu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", located(self.data))

    def carrying_data(self, network_input: Input) -> "TrainingEvaluator":
        """The same with its data in it, for workers on machines that do not have its file."""
        if isinstance(self.data, _Carried):
            return self
        return replace(self, data=_Carried(name_of(self.data), load_data(self.data, network_input)))

    def __call__(self, arch: Architecture, seed: int, report: Report) -> float:
        """Train from scratch, or from the last checkpoint in `report.folder`, where there is such a folder.

        Args:
            arch: what to train.
            seed: of weights, order and augmentation.
            report: told (epoch, validation accuracy) after each epoch.

        Returns:
            Validation accuracy after the last epoch, in [0, 1]; the same with and without an interruption.
        """
        data = _validation_data(self.data, arch.input, self.device)
        data.require(arch)
        statistics = pixel_statistics(data.train)
        network = build_network(arch, seed=seed).to(self.device)
        optimizer = make_optimizer(network, self.recipe)
        path = self._checkpoint(arch, seed, getattr(report, "folder", None))
        epoch, accuracy = (0, 0.0) if path is None else _restored(path, network, optimizer)
        saved = time.monotonic()
        for epoch, _ in train_epochs(network, optimizer, data, self.recipe, seed=seed, start=epoch):  # noqa: B020
            accuracy = top1_accuracy(network, data.test, statistics)
            report(epoch, accuracy)
            if path is not None and time.monotonic() - saved >= CHECKPOINT_SECONDS:
                with suppress(OSError):  # a full disk costs what a checkpoint would have spared, and no more
                    save_checkpoint(path, network, optimizer, {"epoch": epoch, "accuracy": accuracy})
                saved = time.monotonic()
        return accuracy

    def _checkpoint(self, arch: Architecture, seed: int, folder: Path | None) -> Path | None:
        """A file whose name tells the whole training, so that no other one goes on from it."""
        training = {"digest": arch.digest, "seed": seed, "recipe": to_plain(self.recipe), "data": name_of(self.data)}
        return None if folder is None else folder / f"{digest_of(training)}.safetensors"


def name_of(function: object) -> str:
    """Module and name of a function or of the class of a callable, the same in every process; of a text itself."""
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, str | _Carried):
        return function if isinstance(function, str) else function.name
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{getattr(named, '__qualname__', '')}"


@dataclass(frozen=True, eq=False)
class _Carried:
    """A data function that has loaded its data already."""

    name: str
    dataset: Dataset

    def __call__(self, network_input: Input) -> Dataset:  # noqa: ARG002  # it was loaded for it
        return self.dataset


def _restored(path: Path, network: Network, optimizer: torch.optim.SGD) -> tuple[int, float]:
    """The epochs that are done and the accuracy after them, none where there is no checkpoint that can be read."""
    try:
        about = load_checkpoint(path, network, optimizer) or {}
    except RunError:  # the training is repeated, to the same result
        return 0, 0.0
    epoch, accuracy = about.get("epoch"), about.get("accuracy")
    return (epoch, accuracy) if isinstance(epoch, int) and isinstance(accuracy, float) else (0, 0.0)


@lru_cache(maxsize=2)
def _validation_data(data: str | DataFunction, network_input: Input, device: str) -> Dataset:
    """Loaded once per worker process."""
    return load_data(data, network_input).with_validation().to(device)
