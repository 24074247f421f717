"""Default evaluator of a search: trains one architecture and returns its validation accuracy."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from senas.architecture import Architecture, Input
from senas.errors import RunError
from senas.io import digest_of, name_of, to_plain
from senas.training.checkpoint import load_checkpoint, save_checkpoint
from senas.training.data import DataFunction, Dataset, Loading, load_data, located, plan_loading
from senas.training.loop import (
    TrainingPosition,
    end_of_training,
    make_network,
    make_optimizer,
    top1_accuracy,
    train_epochs,
)
from senas.training.recipe import Recipe

Report = Callable[[int, float], None]
Evaluate = Callable[[Architecture, int, Report], float]

CHECKPOINT_SECONDS = 20.0  # minimal time between checkpoints; shorter trainings can as well be repeated


@dataclass(frozen=True, kw_only=True)
class TrainingEvaluator:
    """Evaluator that trains an architecture and returns its top-1 accuracy on a validation split.

    The validation split is taken from the training set and is the same for every trial; the test set is never used.

    Attributes:
        data: Name for `load_data`, with its path made absolute, or a function of your own that returns a `Dataset`.
        recipe: Training recipe.
        device: Device to train on, `cpu` or `cuda`.
        loading: How the data is loaded; `senas.search` decides what it leaves open, for all workers.
    """

    data: str | DataFunction
    recipe: Recipe = field(default_factory=Recipe)
    device: str = "cpu"
    loading: Loading = field(default_factory=Loading)

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", located(self.data))

    def with_decided_loading(self, network_input: Input) -> "TrainingEvaluator":
        """Return the same evaluator with its way of loading decided and the digest of its data as it is now.

        So no two workers choose differently, and a resumption finds that its data has changed.
        """
        plan = plan_loading(self.data, network_input, streamed=self.loading.streamed or None, skip=self.loading.skip)
        streamed = plan.loading.streamed if self.loading.streamed is None else self.loading.streamed
        return replace(self, loading=replace(plan.loading, streamed=streamed))

    def with_loaded_data(self, network_input: Input) -> "TrainingEvaluator":
        """Return the same evaluator with its data in memory, for workers on machines that do not have the file."""
        if isinstance(self.data, _LoadedData):
            return self
        return replace(self, data=_LoadedData(name_of(self.data), load_data(self.data, network_input, self.loading)))

    def __call__(self, arch: Architecture, seed: int, report: Report) -> float:
        """Train from scratch, or from the last checkpoint in `report.folder` if there is one.

        Args:
            arch: Architecture to train.
            seed: Random seed for weights, order and augmentation.
            report: Function that is called with (epoch, validation accuracy) after each epoch.

        Returns:
            Validation accuracy after the last epoch, in [0, 1]; the same with and without an interruption.
        """
        data = _validation_data(self.data, arch.input, self.loading, self.device)
        data.require(arch)
        network = make_network(arch, self.recipe, seed=seed, device=self.device)
        optimizer = make_optimizer(network, self.recipe)
        path = self._checkpoint(arch, seed, getattr(report, "folder", None))
        position, accuracy = TrainingPosition(), 0.0
        if path is not None:
            with suppress(RunError):  # a damaged checkpoint: the training is repeated, to the same result
                position, accuracy = load_checkpoint(
                    path, network, optimizer, "accuracy", end=end_of_training(data, self.recipe)
                ) or (position, accuracy)
        saved = time.monotonic()

        def save(now: TrainingPosition) -> None:
            nonlocal saved
            if path is not None and time.monotonic() - saved >= CHECKPOINT_SECONDS:
                with suppress(OSError):  # on a full disk the training continues without a checkpoint
                    save_checkpoint(path, network, optimizer, now, {"accuracy": accuracy})
                saved = time.monotonic()

        for epoch, _ in train_epochs(network, optimizer, data, self.recipe, seed=seed, start=position, on_step=save):
            accuracy = top1_accuracy(network, data.test, data.statistics, precision=self.recipe.precision)
            report(epoch, accuracy)
            save(TrainingPosition(epoch=epoch))
        return accuracy

    def _checkpoint(self, arch: Architecture, seed: int, folder: Path | None) -> Path | None:
        """Return the checkpoint file, named by a digest of the training so that no other training continues it."""
        training = {"digest": arch.digest, "seed": seed, "recipe": to_plain(self.recipe), "data": name_of(self.data)}
        if self.loading.streamed or self.loading.skip:  # left out otherwise, as in version 0.1
            training["loading"] = to_plain(self.loading)
        return None if folder is None else folder / f"{digest_of(training)}.safetensors"


@dataclass(frozen=True, eq=False)
class _LoadedData:
    """Data function that returns data loaded before."""

    source_name: str
    dataset: Dataset

    def __call__(self, network_input: Input) -> Dataset:  # noqa: ARG002  # the data was loaded for this input
        return self.dataset


@lru_cache(maxsize=2)
def _validation_data(data: str | DataFunction, network_input: Input, loading: Loading, device: str) -> Dataset:
    """Return data with a validation split on a device, loaded once per worker process."""
    return load_data(data, network_input, loading).with_validation().to(device)
