"""Training recipe: the settings that a network is trained with."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from senas.errors import OptionError, one_of

Schedule = Literal["one-cycle", "cosine"]
Precision = Literal["fp32", "tf32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a training.

    Attributes:
        epochs: Number of passes over the training set.
        batch: Number of images per step.
        learning_rate: Largest learning rate of the schedule.
        momentum: Momentum of SGD, in Nesterov's form.
        weight_decay: Weight decay of every parameter with two or more dimensions.
        label_smoothing: Label smoothing (Szegedy et al. 2016, section 7); the SE paper trains with 0.1.
        schedule: Learning rate schedule: `one-cycle` rises over the first quarter and falls to zero, `cosine` falls
            from the start.
        augmentation: Whether training images are cropped or shifted at random, and mirrored if they keep their label.
        cutout: Whether augmentation includes cutout.
        precision: Number format of convolutions and linear layers: `fp32`; `tf32`, fp32 whose products CUDA may round
            to TF32; `bf16` where torch's automatic mixed precision uses it.
        channels_last: Whether images and weights are kept with their channels last, not first.
        compile: Whether the network is compiled by torch.compile.
    """

    epochs: int = 10
    batch: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    schedule: Schedule = "one-cycle"
    augmentation: bool = True
    cutout: bool = True
    precision: Precision = "fp32"
    channels_last: bool = True
    compile: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise OptionError(f"epochs and batch: found {self.epochs} and {self.batch}, allowed: at least 1")
        if self.schedule not in get_args(Schedule):
            raise OptionError(f"schedule: {one_of(self.schedule, get_args(Schedule))}")
        if self.precision not in get_args(Precision):
            raise OptionError(f"precision: {one_of(self.precision, get_args(Precision))}")
        for name, allowed, valid in (
            ("learning_rate", "more than 0", 0 < self.learning_rate < math.inf),
            ("momentum", "more than 0 and less than 1 (Nesterov momentum)", 0 < self.momentum < 1),
            ("weight_decay", "at least 0", 0 <= self.weight_decay < math.inf),
            ("label_smoothing", "at least 0, less than 1", 0 <= self.label_smoothing < 1),
        ):
            if not valid:
                raise OptionError(f"{name}: found {getattr(self, name)}, allowed: {allowed}")

    def learning_rate_at(self, progress: float) -> float:
        """Return the learning rate at a share of the training done, in [0, 1)."""
        rise = 0.25 if self.schedule == "one-cycle" else 0.0
        if progress < rise:
            return self.learning_rate * progress / rise
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - rise) / (1 - rise)))
