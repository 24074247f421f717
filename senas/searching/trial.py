"""One trial: one architecture, evaluated once with one seed."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from senas.architecture import Architecture
from senas.costs.budget import Cost

Status = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What the journal knows of a trial.

    Attributes:
        number: from 1, in the order of starting.
        architecture: what is trained.
        seed: of its training.
        cost: known before the training.
        status: `stopped` is early stopping's doing; such an accuracy is of an unfinished training.
        accuracy: top-1 in [0, 1], of the last report where the trial was stopped, `None` while running or failed.
        epochs: accuracy after each reported epoch, as (epoch, accuracy).
        seconds: from start to end.
        failure: why it failed, a traceback where there is one.
        measured_ms: the latency of the network measured afresh after the search.
        drift: how many times as long it was to be expected to take then as at the start of the search, going by the
            profile's anchor networks.
    """

    number: int
    architecture: Architecture
    seed: int
    cost: Cost
    status: Status = "running"
    accuracy: float | None = None
    epochs: tuple[tuple[int, float], ...] = ()
    seconds: float | None = None
    failure: str | None = None
    measured_ms: float | None = None
    drift: float | None = None

    @property
    def digest(self) -> str:
        """The digest of the architecture."""
        return self.architecture.digest


def trial_seed(search_seed: int, digest: str) -> int:
    """The seed of an architecture's training: the same whenever and in whatever order it is trained."""
    return int.from_bytes(hashlib.sha256(f"{search_seed}:{digest}".encode()).digest()[:4])
