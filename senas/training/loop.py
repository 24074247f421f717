"""Training loop: SGD with Nesterov momentum, one learning rate per step, augmentation on the device.

The host only launches work: it waits for the device once an epoch, for the loss.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from senas.architecture import Architecture
from senas.errors import TrainingDivergedError
from senas.nn import Network, build_network, compiled, tf32_products
from senas.training.data import Dataset, Split, augment, naming_lost_processes
from senas.training.recipe import Precision, Recipe


def make_network(arch: Architecture, recipe: Recipe, *, seed: int, device: str) -> Network:
    """Return the untrained network of an architecture, on a device and in the memory format of a recipe."""
    network = build_network(arch, seed=seed).to(device)
    return network.to(memory_format=memory_format_of(recipe))  # type: ignore[call-overload]


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """Return SGD with weight decay on all parameters except biases and batch norms.

    On CUDA its step is one kernel for all parameters, which is several times faster and rounds a little differently.
    """
    parameters = list(network.parameters())
    return torch.optim.SGD(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=True,
        fused=parameters[0].is_cuda,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingPosition:
    """How far a training has come.

    Attributes:
        epoch: Number of finished epochs.
        step: Number of finished steps of the next epoch.
        steps: Number of steps of an epoch.
        loss_sum: Sum of the losses of the images of those steps; a tensor on the device, which need not have run yet.
    """

    epoch: int = 0
    step: int = 0
    steps: int = 0
    loss_sum: "Tensor | float" = 0.0


def train_epochs(
    network: nn.Module,
    optimizer: torch.optim.SGD,
    data: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    start: TrainingPosition = TrainingPosition(),  # immutable
    on_step: Callable[[TrainingPosition], None] = lambda _: None,
) -> Iterator[tuple[int, float]]:
    """Train and yield after every epoch.

    All random numbers of a step depend on (seed, epoch, step) alone. A training that is continued from the state after
    a step therefore gives the same result as one without an interruption; on CUDA, whose backward passes add in any
    order, up to rounding.

    Args:
        network: Network on the device of the data.
        optimizer: Optimizer from `make_optimizer`.
        data: Data set; its training split is used.
        recipe: Training recipe.
        seed: Random seed for order, augmentation and the network's own random numbers (dropout, shake-shake).
        start: How far the training has come already.
        on_step: Function that is called after every step, in the number format of the training.

    Yields:
        (epoch, mean loss) after each epoch; the first epoch is 1.

    Raises:
        TrainingDivergedError: The loss of an epoch is not finite.
        DataError: An image file that has been damaged or removed meanwhile.
    """
    mean, deviation = data.statistics
    train, device = data.train, data.train.device
    memory_format = memory_format_of(recipe)
    forward = compiled(network) if recipe.compile else network
    generator = torch.Generator(device)
    for epoch in range(start.epoch, recipe.epochs):
        generator.manual_seed(_step_seed(seed, epoch, 0))
        batches = _batches(torch.randperm(len(train), generator=generator, device=device), recipe.batch)
        done, loss_sum = (start.step, start.loss_sum) if epoch == start.epoch else (0, 0.0)
        total = torch.as_tensor(loss_sum, dtype=torch.float32, device=device).clone()
        crop_seed = _step_seed(seed, epoch, 0) if recipe.augmentation else None
        network.train()
        with (
            torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
            computing_in(recipe.precision, device),
            naming_lost_processes(),
        ):
            for step, (images, labels) in enumerate(train.batches(batches[done:], crop_seed=crop_seed), start=done):
                step_seed = _step_seed(seed, epoch, step + 1)
                generator.manual_seed(step_seed)
                torch.manual_seed(step_seed)  # for the network's own random numbers
                rate = recipe.learning_rate_at((epoch * len(batches) + step) / (recipe.epochs * len(batches)))
                for group in optimizer.param_groups:
                    group["lr"] = rate
                images = (images.float() - mean) / deviation
                if recipe.augmentation:
                    images = augment(images, generator, shift=train.shift, flip=data.flip, cutout=recipe.cutout)
                logits = forward(images.contiguous(memory_format=memory_format))
                loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(labels)
                on_step(TrainingPosition(epoch=epoch, step=step + 1, steps=len(batches), loss_sum=total))
        average = float(total) / len(train)
        if not math.isfinite(average):
            raise TrainingDivergedError(f"the loss of epoch {epoch + 1} is {average}")
        yield epoch + 1, average


def end_of_training(data: Dataset, recipe: Recipe) -> TrainingPosition:
    """Return the number of epochs of a training, and of steps of an epoch."""
    return TrainingPosition(epoch=recipe.epochs, steps=len(_batches(torch.arange(len(data.train)), recipe.batch)))


def _step_seed(seed: int, epoch: int, step: int) -> int:
    """Return the random seed of a step, from 1, of an epoch; step 0 is its order."""
    return ((seed * 1_000_003 + epoch) * 1_000_003 + step) % 2**63


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """Split an order, (N,), into batches; a last one of a single image, which has no variance, joins the one before."""
    batches = list(order.split(size))
    if size > 1 and len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


@contextmanager
def computing_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Compute in a precision of `Recipe` on a device; torch's settings are restored at the end."""
    with (
        tf32_products(precision == "tf32"),
        # its cache would hold the weights of the first step until the block ends
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False),
    ):
        yield


@torch.inference_mode()
def top1_accuracy(
    network: nn.Module,
    split: Split,
    statistics: tuple[Tensor, Tensor],
    *,
    precision: Precision = "fp32",
    batch: int = 512,
) -> float:
    """Return the share of images whose largest logit is their label, in [0, 1].

    Args:
        network: Network, which is put into evaluation mode.
        split: Images and labels to evaluate on.
        statistics: Mean and standard deviation of the training set, `Dataset.statistics`.
        precision: Precision of `Recipe` to compute in.
        batch: Number of images per forward pass.
    """
    mean, deviation = statistics
    device = split.device
    network.eval()
    correct = torch.zeros((), dtype=torch.int64, device=device)
    with computing_in(precision, device), naming_lost_processes():
        for images, labels in split.batches(torch.arange(len(split), device=device).split(batch)):
            correct += (network((images.float() - mean) / deviation).argmax(1) == labels).sum()
    return int(correct) / len(split)


def memory_format_of(recipe: Recipe) -> torch.memory_format:
    """Return the memory format of images and weights in a training."""
    return torch.channels_last if recipe.channels_last else torch.contiguous_format
