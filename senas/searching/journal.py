"""The journal of a run: an append-only table of events in SQLite, from which every trial can be told."""

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from senas.architecture import Architecture
from senas.costs.budget import Cost
from senas.errors import RunError
from senas.parsing import from_plain, to_plain
from senas.searching.trial import Purpose, Trial

EventKind = Literal["started", "reported", "finished", "stopped", "failed", "measured"]
SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class _Started:
    architecture: Architecture
    seed: int
    cost: Cost
    purpose: Purpose = "search"


@dataclass(frozen=True, kw_only=True)
class _Ended:
    seconds: float
    accuracy: float | None = None
    failure: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Reported:
    epoch: int
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class _Measured:
    latency_ms: float
    drift: float


class Journal:
    """Events of a run, each committed to disk before the call returns.

    Args:
        path: of the SQLite file.
        create: make a new one.

    Raises:
        RunError: the file is missing, cannot be opened, or is of another schema.
    """

    def __init__(self, path: Path, *, create: bool = False):
        self.path = path
        self._trials: dict[int, Trial] = {}
        self._history: list[int] = []
        self._read_up_to = 0
        if path.exists() == create:
            raise RunError(f"{path}: {'is there already' if create else 'no such file'}")
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if create:
                self._database.execute(
                    "CREATE TABLE event (id INTEGER PRIMARY KEY, time REAL NOT NULL, "
                    "kind TEXT NOT NULL, trial INTEGER NOT NULL, payload TEXT NOT NULL)"
                )
                self._database.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        except sqlite3.Error as error:
            raise RunError(f"{path}: not a readable journal ({error})") from None
        if not create and version != SCHEMA_VERSION:
            raise RunError(f"{path}: schema version: found {version}, expected {SCHEMA_VERSION}")

    def started(
        self, number: int, architecture: Architecture, seed: int, cost: Cost, purpose: Purpose = "search"
    ) -> None:
        """Record that a trial starts."""
        self._append("started", number, _Started(architecture=architecture, seed=seed, cost=cost, purpose=purpose))

    def reported(self, number: int, epoch: int, accuracy: float) -> None:
        """Record an intermediate accuracy."""
        self._append("reported", number, _Reported(epoch=epoch, accuracy=accuracy))

    def finished(self, number: int, accuracy: float, seconds: float) -> None:
        """Record that a trial ended with an accuracy."""
        self._append("finished", number, _Ended(accuracy=accuracy, seconds=seconds))

    def stopped(self, number: int, accuracy: float | None, seconds: float) -> None:
        """Record that early stopping ended a trial."""
        self._append("stopped", number, _Ended(accuracy=accuracy, seconds=seconds))

    def failed(self, number: int, failure: str, seconds: float) -> None:
        """Record that a trial failed, and why."""
        self._append("failed", number, _Ended(failure=failure, seconds=seconds))

    def measured(self, number: int, latency_ms: float, drift: float) -> None:
        """Record the latency of a trial's network, measured afresh, and how the machine has drifted until then."""
        self._append("measured", number, _Measured(latency_ms=latency_ms, drift=drift))

    def trials(self) -> list[Trial]:
        """Every trial as its events tell it, in order of starting; only events since the last call are read.

        Raises:
            RunError: an event that cannot be read; the message names it.
        """
        for event, kind, number, payload in self._new_events():
            where = f"{self.path}: event {event}"
            if kind == "started":
                if number not in self._trials:
                    self._history.append(number)
                start = from_plain(_Started, payload, where)
                self._trials[number] = Trial(
                    number=number,
                    architecture=start.architecture,
                    seed=start.seed,
                    cost=start.cost,
                    purpose=start.purpose,
                )
            elif number not in self._trials:
                raise RunError(f"{where}: trial {number} has '{kind}' before 'started'")
            else:
                self._trials[number] = _told(self._trials[number], kind, payload, where)
                if kind in ("finished", "stopped", "failed"):
                    self._history.append(number)
            self._read_up_to = event
        return list(self._trials.values())

    def history(self) -> list[Trial]:
        """Trials in the order in which they first started and ended.

        A trial is there once, where it started, while it runs, and a second time, where it ended, afterwards.
        """
        trials = {trial.number: trial for trial in self.trials()}
        return [trials[number] for number in self._history]

    def close(self) -> None:
        """Close the file; the write-ahead log is merged into it."""
        self._database.close()

    def _append(self, kind: EventKind, number: int, payload: object) -> None:
        self._database.execute(
            "INSERT INTO event (time, kind, trial, payload) VALUES (?, ?, ?, ?)",
            (time.time(), kind, number, json.dumps(to_plain(payload), allow_nan=False)),
        )

    def _new_events(self) -> Iterator[tuple[int, str, int, Any]]:
        try:
            for event, kind, number, payload in self._database.execute(
                "SELECT id, kind, trial, payload FROM event WHERE id > ? ORDER BY id", (self._read_up_to,)
            ):
                yield event, kind, number, json.loads(payload)
        except (sqlite3.Error, ValueError, TypeError, RecursionError) as error:
            raise RunError(f"{self.path}: not a readable journal ({error})") from None


def _told(trial: Trial, kind: str, payload: object, where: str) -> Trial:
    """The trial after one more event."""
    match kind:
        case "reported":
            report = from_plain(_Reported, payload, where)
            return replace(trial, epochs=(*trial.epochs, (report.epoch, report.accuracy)))
        case "measured":
            found = from_plain(_Measured, payload, where)
            return replace(trial, measured_ms=found.latency_ms, drift=found.drift)
        case "finished" | "stopped" | "failed":
            end = from_plain(_Ended, payload, where)
            if (kind == "finished" and end.accuracy is None) or not 0 <= (end.accuracy or 0) <= 1:
                raise RunError(f"{where}: accuracy: found {end.accuracy}, allowed: 0 to 1")
            return replace(trial, status=kind, accuracy=end.accuracy, seconds=end.seconds, failure=end.failure)
        case _:
            raise RunError(f"{where}: unknown kind '{kind}'")
