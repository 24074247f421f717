"""The events of a journal: what each of them says, and what a trial is after one more of them."""

from dataclasses import dataclass, replace
from typing import Literal

from senas.architecture import Architecture
from senas.costs.budget import Cost
from senas.errors import RunError
from senas.parsing import from_plain
from senas.searching.trial import Failure, Purpose, Reason, Trial
from senas.text import show

RunEventKind = Literal["asked", "opened", "strategy"]
TrialEventKind = Literal["started", "reported", "finished", "stopped", "retried", "failed", "interrupted", "measured"]
ENDS = ("finished", "stopped", "failed")


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A process begins to search, or goes on."""

    host: str
    process: int


@dataclass(frozen=True, kw_only=True)
class Started:
    """A trial starts: as proposed the first time, then again, from its last checkpoint, after whatever stopped it."""

    architecture: Architecture
    seed: int
    cost: Cost
    purpose: Purpose = "search"


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A trial has come to the end of an epoch."""

    epoch: int
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A trial ended with an accuracy, or early stopping ended it, maybe before there was one."""

    seconds: float
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Failed:
    """An attempt failed: it is `retried`, or the trial has `failed` for good."""

    seconds: float
    reason: Reason
    failure: tuple[str, ...]  # lines


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """An attempt was ended for no fault of its own; the trial is to run again."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The latency of a trial's network, measured afresh, and how the machine has drifted until then."""

    latency_ms: float
    drift: float


def begun(number: int, payload: object, where: str, before: Trial | None) -> Trial:
    """The trial after an attempt has started.

    Raises:
        RunError: it is another trial than before.
    """
    start = from_plain(Started, payload, where)
    if before is None:
        return Trial(
            number=number, architecture=start.architecture, seed=start.seed, cost=start.cost, purpose=start.purpose
        )
    if before.status != "running" or (before.architecture, before.seed) != (start.architecture, start.seed):
        raise RunError(f"{where}: trial {number} starts again as another one, or after its end")
    return replace(before, attempts=before.attempts + 1)


def followed(trial: Trial, kind: str, payload: object, where: str) -> Trial:
    """The trial after any other event of it.

    Raises:
        SenasError: the event cannot be read, or cannot follow those before it.
    """
    if (kind == "measured") != (trial.status != "running"):
        raise RunError(f"{where}: trial {trial.number} is {trial.status}, {show(kind)} cannot follow")
    match kind:
        case "reported":
            report = from_plain(Reported, payload, where)
            earlier = tuple(pair for pair in trial.epochs if pair[0] < report.epoch)  # an attempt may repeat some
            return replace(trial, epochs=(*earlier, (report.epoch, _accuracy(report.accuracy, where))))
        case "retried" | "failed":
            failed = from_plain(Failed, payload, where)
            failures = (*trial.failures, Failure(reason=failed.reason, text="\n".join(failed.failure)))
            status = "failed" if kind == "failed" else trial.status
            return replace(trial, status=status, seconds=failed.seconds, failures=failures)
        case "finished" | "stopped":
            end = from_plain(Ended, payload, where)
            if end.accuracy is not None or kind == "finished":
                _accuracy(end.accuracy, where)
            return replace(trial, status=kind, accuracy=end.accuracy, seconds=end.seconds)
        case "interrupted":
            return replace(trial, seconds=from_plain(Interrupted, payload, where).seconds)
        case "measured":
            found = from_plain(Measured, payload, where)
            return replace(trial, measured_ms=found.latency_ms, drift=found.drift)
        case _:
            raise RunError(f"{where}: unknown kind {show(kind)}")


def _accuracy(value: float | None, where: str) -> float:
    if value is None or not 0 <= value <= 1:
        raise RunError(f"{where}: accuracy: found {value}, allowed: 0 to 1")
    return value
