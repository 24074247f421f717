"""The evaluator that a search calls by default: train one architecture, return its validation accuracy."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from senas.architecture import Architecture, Input
from senas.nn.network import build_network
from senas.training.data import Dataset
from senas.training.loop import Recipe, make_optimizer, pixel_statistics, top1_accuracy, train_epochs
from senas.training.sources import DataFunction, load_data, located

Report = Callable[[int, float], None]
Evaluate = Callable[[Architecture, int, Report], float]


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

    def __call__(self, arch: Architecture, seed: int, report: Report) -> float:
        """Train from scratch.

        Args:
            arch: what to train.
            seed: of weights, order and augmentation.
            report: told (epoch, validation accuracy) after each epoch.

        Returns:
            Validation accuracy after the last epoch, in [0, 1].
        """
        data = _validation_data(self.data, arch.input, self.device)
        data.require(arch)
        statistics = pixel_statistics(data.train)
        network = build_network(arch, seed=seed).to(self.device)
        optimizer = make_optimizer(network, self.recipe)
        accuracy = 0.0
        for epoch, _ in train_epochs(network, optimizer, data, self.recipe, seed=seed):
            accuracy = top1_accuracy(network, data.test, statistics)
            report(epoch, accuracy)
        return accuracy


@lru_cache(maxsize=2)
def _validation_data(data: str | DataFunction, network_input: Input, device: str) -> Dataset:
    """Loaded once per worker process."""
    return load_data(data, network_input).with_validation().to(device)
