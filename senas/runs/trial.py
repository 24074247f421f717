"""Trials: one architecture evaluated once with one seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from senas.architecture import Architecture
from senas.costs import Cost

Status = Literal["running", "finished", "stopped", "failed"]
Purpose = Literal["search", "baseline", "replicate"]
Reason = Literal["exception", "diverged", "invalid", "memory", "lost", "time"]
RETRIED: tuple[Reason, ...] = ("exception", "memory", "lost")
"""Reasons of failures that another attempt may avoid; with the same seed, `diverged` and `invalid` would recur."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Failure of an attempt at a trial, which gave no accuracy.

    Attributes:
        reason: Category of the failure. `exception`: the evaluation raised one. `diverged`: the loss is not finite.
            `invalid`: the result is not an accuracy. `memory`: memory ran out. `lost`: the worker or its node was
            lost. `time`: the attempt exceeded the time limit of a trial.
        text: Description of the failure, a traceback if there is one.
    """

    reason: Reason
    text: str


@dataclass(frozen=True, kw_only=True)
class TrialTask:
    """Trial that has yet to start.

    Attributes:
        purpose: Purpose of the trial, see `Trial`.
        architecture: Architecture to train.
        seed: Random seed of the training.
    """

    purpose: Purpose
    architecture: Architecture
    seed: int


@dataclass(frozen=True, kw_only=True)
class Trial:
    """State of a trial, as the journal records it.

    Attributes:
        number: Number of the trial, from 1 in the order of starting.
        architecture: Architecture that is trained.
        seed: Random seed of the training.
        cost: Cost of the architecture, known before the training.
        purpose: Purpose of the trial: `search`, proposed by the strategy; `baseline`, trained for comparison with the
            search; `replicate`, another training of an architecture.
        status: Status of the trial; early stopping has ended a `stopped` one, whose training is unfinished.
        accuracy: Top-1 accuracy in [0, 1], from the last report if the trial was stopped; `None` if it is running or
            failed.
        epochs: Accuracy after each reported epoch, as (epoch, accuracy).
        seconds: Duration of the last attempt, from start to end.
        attempts: Number of attempts that were started.
        failures: Failures of the attempts, in order; the last one is final if the trial `failed`.
        measured_ms: Latency of the network, measured again after the search.
        drift: Expected ratio of the latency at that measurement to the latency at the start of the search, from the
            profile's anchor networks.
        trainings: Number of trainings averaged in the accuracy; above 1 only in the result of `averaged`.
    """

    number: int
    architecture: Architecture
    seed: int
    cost: Cost
    purpose: Purpose = "search"
    status: Status = "running"
    accuracy: float | None = None
    epochs: tuple[tuple[int, float], ...] = ()
    seconds: float | None = None
    attempts: int = 1
    failures: tuple[Failure, ...] = ()
    measured_ms: float | None = None
    drift: float | None = None
    trainings: int = 1

    @property
    def digest(self) -> str:
        """Digest of the architecture."""
        return self.architecture.digest

    @property
    def failure(self) -> str | None:
        """Description of the final failure, a traceback if there is one; `None` if the trial did not fail."""
        return self.failures[-1].text if self.status == "failed" and self.failures else None


def averaged(trials: Sequence[Trial]) -> list[Trial]:
    """Return the finished architectures, each as its first finished trial with the mean accuracy of its trainings."""
    accuracies: dict[str, dict[int, float]] = {}  # by digest, then by seed: the same seed is the same training
    first: dict[str, Trial] = {}
    for trial in trials:
        if trial.status == "finished" and trial.accuracy is not None:
            accuracies.setdefault(trial.digest, {})[trial.seed] = trial.accuracy
            first.setdefault(trial.digest, trial)
    return [
        replace(trial, accuracy=fmean(accuracies[digest].values()), trainings=len(accuracies[digest]))
        for digest, trial in first.items()
    ]


def trial_seed(search_seed: int, digest: str, replicate: int = 0) -> int:
    """Return the seed of an architecture's training, which does not depend on the order of the trials.

    Args:
        search_seed: Random seed of the search.
        digest: Digest of the architecture.
        replicate: Number of the training: 0 for the first one, then 1, 2, ...
    """
    text = f"{search_seed}:{digest}:{replicate}" if replicate else f"{search_seed}:{digest}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
