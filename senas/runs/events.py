"""Payloads of the events of a journal, and the state of a trial after each event."""

from dataclasses import dataclass, replace
from typing import Literal

from senas.architecture import Architecture
from senas.costs import Cost
from senas.errors import RunError
from senas.io import from_plain, show
from senas.runs.trial import Failure, Purpose, Reason, Trial

RunEventKind = Literal["asked", "opened", "strategy"]
TrialEventKind = Literal["started", "reported", "finished", "stopped", "retried", "failed", "interrupted", "measured"]
ENDS = ("finished", "stopped", "failed")


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Start of a session: a process begins or continues the search."""

    host: str
    process: int


@dataclass(frozen=True, kw_only=True)
class Started:
    """Start of an attempt at a trial: the first one, or a later one that continues from the last checkpoint."""

    architecture: Architecture
    seed: int
    cost: Cost
    purpose: Purpose = "search"


@dataclass(frozen=True, kw_only=True)
class Reported:
    """End of an epoch of a trial."""

    epoch: int
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """End of a trial: it finished with an accuracy, or early stopping ended it, possibly before the first report."""

    seconds: float
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Failure of an attempt: it is `retried`, or the trial has `failed` for good."""

    seconds: float
    reason: Reason
    failure: tuple[str, ...]  # lines


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """Interruption of an attempt that did not fail; the trial will run again."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """New measurement of the latency of a trial's network, with the drift of the machine since the search began."""

    latency_ms: float
    drift: float


def after_start(number: int, payload: object, where: str, before: Trial | None) -> Trial:
    """Return the trial after an attempt at it has started.

    Args:
        number: Number of the trial.
        payload: Payload of the `started` event, as plain data.
        where: Place of the event, for error messages.
        before: Trial before the event; `None` if this is its first attempt.

    Raises:
        SenasError: The event cannot be read, differs from the first start of the trial, or comes after its end.
    """
    start = from_plain(Started, payload, where)
    if before is None:
        return Trial(
            number=number, architecture=start.architecture, seed=start.seed, cost=start.cost, purpose=start.purpose
        )
    if before.status != "running" or (before.architecture, before.seed) != (start.architecture, start.seed):
        raise RunError(f"{where}: trial {number} starts again with another architecture or seed, or after its end")
    return replace(before, attempts=before.attempts + 1)


def after_event(trial: Trial, kind: str, payload: object, where: str) -> Trial:
    """Return the trial after any event other than a start.

    Args:
        trial: Trial before the event.
        kind: Kind of the event.
        payload: Payload of the event, as plain data.
        where: Place of the event, for error messages.

    Raises:
        SenasError: The event cannot be read, or is not allowed after those before it.
    """
    if (kind == "measured") != (trial.status != "running"):
        raise RunError(f"{where}: trial {trial.number} is {trial.status}, {show(kind)} cannot follow")
    match kind:
        case "reported":
            report = from_plain(Reported, payload, where)
            earlier = tuple(pair for pair in trial.epochs if pair[0] < report.epoch)  # attempts may repeat epochs
            return replace(trial, epochs=(*earlier, (report.epoch, _checked_accuracy(report.accuracy, where))))
        case "retried" | "failed":
            failed = from_plain(Failed, payload, where)
            failures = (*trial.failures, Failure(reason=failed.reason, text="\n".join(failed.failure)))
            status = "failed" if kind == "failed" else trial.status
            return replace(trial, status=status, seconds=failed.seconds, failures=failures)
        case "finished" | "stopped":
            end = from_plain(Ended, payload, where)
            if end.accuracy is not None or kind == "finished":
                _checked_accuracy(end.accuracy, where)
            return replace(trial, status=kind, accuracy=end.accuracy, seconds=end.seconds)
        case "interrupted":
            return replace(trial, seconds=from_plain(Interrupted, payload, where).seconds)
        case "measured":
            measured = from_plain(Measured, payload, where)
            return replace(trial, measured_ms=measured.latency_ms, drift=measured.drift)
        case _:
            raise RunError(f"{where}: unknown kind {show(kind)}")


def _checked_accuracy(value: float | None, where: str) -> float:
    if value is None or not 0 <= value <= 1:
        raise RunError(f"{where}: accuracy: found {value}, allowed: 0 to 1")
    return value
