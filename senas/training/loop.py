"""The training loop: SGD with Nesterov momentum, one learning rate per step, data that lives on the device."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from senas.errors import OptionError, TrainingDivergedError
from senas.training.augmentation import augment
from senas.training.data import Dataset, Split


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: passes over the training set.
        batch: images per step.
        learning_rate: the largest of the schedule.
        momentum: of SGD, Nesterov's form.
        weight_decay: on every parameter of two dimensions or more.
        label_smoothing: Szegedy et al. 2016, section 7; the SE paper trains with 0.1.
        schedule: `one-cycle` rises over the first quarter and falls to zero, `cosine` falls from the start.
        cutout: whether augmentation cuts out.
    """

    epochs: int = 10
    batch: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    schedule: Literal["one-cycle", "cosine"] = "one-cycle"
    cutout: bool = True

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise OptionError(f"epochs and batch: found {self.epochs} and {self.batch}, allowed: at least 1")
        if self.learning_rate <= 0:
            raise OptionError(f"learning_rate: found {self.learning_rate}, allowed: more than 0")

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate when a share of the training is done, in [0, 1)."""
        rise = 0.25 if self.schedule == "one-cycle" else 0.0
        if progress < rise:
            return self.learning_rate * progress / rise
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - rise) / (1 - rise)))


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD whose weight decay spares biases and batch norms."""
    parameters = list(network.parameters())
    return torch.optim.SGD(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=True,
    )


def train_epochs(
    network: nn.Module, optimizer: torch.optim.SGD, data: Dataset, recipe: Recipe, *, seed: int, start: int = 0
) -> Iterator[tuple[int, float]]:
    """Train, pausing after every epoch; all that is random depends on (seed, epoch) alone.

    So a training that went on from the state after an epoch is the training that was never interrupted.

    Args:
        network: on the device of the data.
        optimizer: from `make_optimizer`.
        data: its training split is used.
        recipe: how to train.
        seed: of order, augmentation and what the network draws (dropout, shake-shake).
        start: epochs done already.

    Yields:
        (epoch, mean loss) after each epoch, the first epoch being 1.

    Raises:
        TrainingDivergedError: the loss of an epoch is not finite.
    """
    mean, deviation = pixel_statistics(data.train)
    device = data.train.images.device
    steps = math.ceil(len(data.train) / recipe.batch)
    for epoch in range(start, recipe.epochs):
        generator = torch.Generator(device).manual_seed(seed * 1_000_003 + epoch)
        order = torch.randperm(len(data.train), generator=generator, device=device)
        total = torch.zeros((), device=device)
        network.train()
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed * 1_000_003 + epoch)  # for what the network itself draws
            for step, index in enumerate(order.split(recipe.batch)):
                rate = recipe.learning_rate_at((epoch * steps + step) / (recipe.epochs * steps))
                for group in optimizer.param_groups:
                    group["lr"] = rate
                batch = data.train.take(index)
                images = (batch.images.float() - mean) / deviation
                images = augment(images, generator, flip=data.flip, cutout=recipe.cutout)
                loss = F.cross_entropy(network(images), batch.labels, label_smoothing=recipe.label_smoothing)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(index)
        average = float(total) / len(data.train)
        if not math.isfinite(average):
            raise TrainingDivergedError(f"the loss of epoch {epoch + 1} is {average}")
        yield epoch + 1, average


@torch.inference_mode()
def top1_accuracy(network: nn.Module, split: Split, statistics: tuple[Tensor, Tensor], batch: int = 512) -> float:
    """Share of images whose largest logit is their label, in [0, 1].

    Args:
        network: is put into evaluation mode.
        split: what to judge by.
        statistics: `pixel_statistics` of the training set.
        batch: images per forward pass.
    """
    mean, deviation = statistics
    network.eval()
    correct = 0
    for images, labels in zip(split.images.split(batch), split.labels.split(batch), strict=True):
        correct += int((network((images.float() - mean) / deviation).argmax(1) == labels).sum())
    return correct / len(split)


def pixel_statistics(split: Split) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel, each (1, C, 1, 1)."""
    counts = torch.stack([torch.bincount(c.flatten().int(), minlength=256) for c in split.images.unbind(1)])
    share = counts.double() / counts.sum(1, keepdim=True)  # (C, 256)
    values = torch.arange(256, device=split.images.device, dtype=torch.float64)
    mean = (share * values).sum(1)
    deviation = ((share * values**2).sum(1) - mean**2).clamp(min=1e-6).sqrt()
    return mean.float()[None, :, None, None], deviation.float()[None, :, None, None]
