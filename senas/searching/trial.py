"""One trial: one architecture, evaluated once with one seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from senas.architecture import Architecture
from senas.costs.budget import Cost

Status = Literal["running", "finished", "stopped", "failed"]
Purpose = Literal["search", "baseline", "replicate"]
Reason = Literal["exception", "diverged", "invalid", "memory", "lost", "time"]
RETRIED: tuple[Reason, ...] = ("exception", "memory", "lost")
"""Failures that may not come again; a loss that diverged or a result that is no accuracy does, with the same seed."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt at a trial gave no accuracy.

    Attributes:
        reason: an `exception` of the evaluation; a loss that `diverged`; an `invalid` result, which is no accuracy; out
            of `memory`; a worker or node that was `lost`; the `time` limit of a trial.
        text: what there is to read of it, a traceback where there is one.
    """

    reason: Reason
    text: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """A trial that is to come.

    Attributes:
        purpose: who asks for it.
        architecture: what is trained.
        seed: of its training.
    """

    purpose: Purpose
    architecture: Architecture
    seed: int


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What the journal knows of a trial.

    Attributes:
        number: from 1, in the order of starting.
        architecture: what is trained.
        seed: of its training.
        cost: known before the training.
        purpose: who asked for it: the strategy, the baseline that it is held against, or the replicates, which train an
            architecture once more.
        status: `stopped` is early stopping's doing; such an accuracy is of an unfinished training.
        accuracy: top-1 in [0, 1], of the last report where the trial was stopped, `None` while running or failed.
        epochs: accuracy after each reported epoch, as (epoch, accuracy).
        seconds: of the last attempt, from start to end.
        attempts: how many times it was started.
        failures: of its attempts, in order; where it `failed`, the last one decided.
        measured_ms: the latency of the network measured afresh after the search.
        drift: how many times as long it was to be expected to take then as at the start of the search, going by the
            profile's anchor networks.
        trainings: how many the accuracy is the mean of, more than 1 only in what `averaged` returns.
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
        """The digest of the architecture."""
        return self.architecture.digest

    @property
    def failure(self) -> str | None:
        """Why it failed, a traceback where there is one; `None` where it has not."""
        return self.failures[-1].text if self.status == "failed" and self.failures else None


def averaged(trials: Sequence[Trial]) -> list[Trial]:
    """The finished architectures, each as its first finished trial with the mean accuracy of its distinct trainings."""
    accuracies: dict[str, dict[int, float]] = {}  # of each digest, by seed: the same seed is the same training
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
    """The seed of an architecture's training: the same whenever and in whatever order it is trained.

    Args:
        search_seed: of the search.
        digest: of the architecture.
        replicate: 0 for its first training, then 1, 2, ...
    """
    text = f"{search_seed}:{digest}:{replicate}" if replicate else f"{search_seed}:{digest}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
