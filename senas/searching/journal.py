"""The journal of a run: an append-only table of events in SQLite, from which everything about the run can be told."""

import json
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from senas.costs.budget import Cost
from senas.errors import RunError, SearchFailedError
from senas.files import os_reason
from senas.parsing import from_plain, to_plain
from senas.searching import schema
from senas.searching.events import (
    ENDS,
    Ended,
    Failed,
    Interrupted,
    Measured,
    Opened,
    Reported,
    RunEventKind,
    Started,
    TrialEventKind,
    begun,
    followed,
)
from senas.searching.record import MOST_TRIALS, RunRecord
from senas.searching.trial import Failure, Task, Trial
from senas.text import brief, printable_lines, show

_Event = tuple[RunEventKind | TrialEventKind, int, object]  # what happened, to which trial (0: the run), its payload


class Journal:
    """Events of a run. Each is on disk before the call that appends it returns.

    One that is opened to read may be read while another process appends to it; `refresh` catches up.

    Args:
        path: of the SQLite file.
        write: whether events will be appended; an older file is brought up to date then.

    Raises:
        RunError: the file is missing, is no journal, is of a newer schema, or an event cannot be read.
    """

    def __init__(self, path: Path, *, write: bool = False):
        self.path = path
        self._writer = schema.open_to_write(path) if write else None
        self._record: RunRecord | None = None
        self._trials: dict[int, Trial] = {}
        self._history: list[int] = []
        self._memory: str | None = None
        self._read_up_to = -1
        self._spent = 0.0  # seconds of all sessions but the last
        self._session: tuple[float, float] | None = None  # when the last one began, and its last event
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, path: Path, record: RunRecord) -> "Journal":
        """Make the journal of a new run, open to write.

        The file is there with its first event or not at all, whenever this process is killed.

        Raises:
            RunError: there is one already, or it cannot be made.
        """
        unborn = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        try:
            schema.create(unborn)
            with closing(cls(unborn, write=True)) as journal:
                journal.asked(record)
            _moved(unborn, path)
        except FileExistsError:
            raise RunError(f"{path}: is there already") from None
        except OSError as error:
            raise RunError(f"{path}: cannot be made ({os_reason(error)})") from None
        finally:
            unborn.unlink(missing_ok=True)
        return cls(path, write=True)

    @property
    def record(self) -> RunRecord:
        """What was asked for, as it stands."""
        if self._record is None:
            raise RunError(f"{self.path}: found no event that says what was asked for")
        return self._record

    @property
    def trials(self) -> Mapping[int, Trial]:
        """Every trial by its number, in order of starting."""
        return self._trials

    @property
    def memory(self) -> dict[str, Any] | None:
        """What the strategy needs to go on, as it stood after its latest proposal; `None` where it keeps nothing."""
        if self._memory is None:
            return None
        found = _plain(self._memory, f"{self.path}: the strategy's memory")
        if not isinstance(found, dict):
            raise RunError(f"{self.path}: the strategy's memory: found {show(found)}, expected a table")
        return found

    def history(self) -> list[Trial]:
        """Trials in the order in which they first started and ended.

        A trial is there once, where it started, while it runs, and a second time, where it ended, afterwards.
        """
        return [self._trials[number] for number in self._history]

    def seconds(self) -> float:
        """How long the strategy has searched: of each session, from its beginning to the last event of such a trial."""
        return self._spent + (self._session[1] - self._session[0] if self._session else 0.0)

    def asked(self, record: RunRecord) -> None:
        """Something else is asked for from now on."""
        self._append(("asked", 0, record))

    def opened(self) -> None:
        """This process begins to search, or goes on."""
        self._append(("opened", 0, Opened(host=socket.gethostname(), process=os.getpid())))

    def started(self, number: int, task: Task, cost: Cost, memory: Mapping[str, Any] | None = None) -> None:
        """A trial starts, and with it what the strategy remembers after having proposed it."""
        start = Started(architecture=task.architecture, seed=task.seed, cost=cost, purpose=task.purpose)
        remembered: list[_Event] = [] if memory is None else [("strategy", number, memory)]
        self._append(*remembered, ("started", number, start))

    def reported(self, number: int, epoch: int, accuracy: float) -> None:
        """A trial has come to the end of an epoch."""
        self._append(("reported", number, Reported(epoch=epoch, accuracy=accuracy)))

    def finished(self, number: int, accuracy: float, seconds: float) -> None:
        """A trial ended with an accuracy."""
        self._append(("finished", number, Ended(accuracy=accuracy, seconds=seconds)))

    def stopped(self, number: int, report: tuple[int, float] | None, seconds: float) -> None:
        """Early stopping ended a trial after a last report of (epoch, accuracy), if any: both or neither are kept."""
        events: list[_Event] = [("stopped", number, Ended(accuracy=report[1] if report else None, seconds=seconds))]
        if report is not None:
            events.insert(0, ("reported", number, Reported(epoch=report[0], accuracy=report[1])))
        self._append(*events)

    def retried(self, number: int, failure: Failure, seconds: float) -> None:
        """An attempt at a trial failed, and another one is to come."""
        self._append(("retried", number, _failed(failure, seconds)))

    def failed(self, number: int, failure: Failure, seconds: float) -> None:
        """A trial failed for good."""
        self._append(("failed", number, _failed(failure, seconds)))

    def interrupted(self, number: int, seconds: float) -> None:
        """An attempt at a trial was ended for no fault of its own, and the trial is to run again."""
        self._append(("interrupted", number, Interrupted(seconds=seconds)))

    def measured(self, number: int, latency_ms: float, drift: float) -> None:
        """The latency of a trial's network was measured afresh, with what the machine has drifted until then."""
        self._append(("measured", number, Measured(latency_ms=latency_ms, drift=drift)))

    def refresh(self) -> None:
        """Take in the events since the last time.

        Raises:
            RunError: one that cannot be read; the message names it.
        """
        if self._writer is not None:
            self._read(self._writer)
        else:
            with closing(schema.open_to_read(self.path)) as reader:
                self._read(reader)

    def close(self) -> None:
        """Close the file; where it was open to write, its log is merged into it."""
        if self._writer is not None:
            schema.close(self._writer)

    def _read(self, database: sqlite3.Connection) -> None:
        for event, when, kind, number, payload in self._events_of(database):
            where = f"{self.path}: event {event}"
            numbered = isinstance(when, float) and isinstance(number, int) and 0 <= number <= MOST_TRIALS
            if event <= self._read_up_to or not numbered:
                raise RunError(f"{where}: found time {show(when)} and trial {show(number)}, expected numbers, in order")
            if kind == "strategy":
                self._memory = str(payload)
            else:
                self._take(str(kind), number, _plain(payload, where), when, where)
                self._clock(str(kind), number, when)
            self._read_up_to = event

    def _take(self, kind: str, number: int, payload: object, when: float, where: str) -> None:
        if kind == "asked":
            self._record = from_plain(RunRecord, payload, where)
        elif kind == "opened":
            from_plain(Opened, payload, where)
            self._spent, self._session = self.seconds(), (when, when)
        elif kind == "started":
            before = self._trials.get(number)
            self._trials[number] = begun(number, payload, where, before)
            if before is None:
                self._history.append(number)
        elif number not in self._trials:
            raise RunError(f"{where}: trial {number} has {show(kind)} before 'started'")
        else:
            self._trials[number] = followed(self._trials[number], kind, payload, where)
            if kind in ENDS:
                self._history.append(number)

    def _clock(self, kind: str, number: int, when: float) -> None:
        """A session lasts as long as there are events of the strategy's trials; `measured` comes after all of them."""
        trial = self._trials.get(number)
        if self._session is not None and trial is not None and trial.purpose == "search" and kind != "measured":
            self._session = self._session[0], max(self._session[1], when)

    def _append(self, *events: _Event) -> None:
        """Append events, all of them or none, and take them in as any reader would before they are there for good."""
        assert self._writer is not None, "opened to read"
        now = time.time()
        rows = [(now, kind, number, json.dumps(to_plain(what), allow_nan=False)) for kind, number, what in events]
        before = self._read_up_to, self._memory
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            (last,) = self._writer.execute("SELECT coalesce(max(id), -1) FROM event").fetchone()
            if last != self._read_up_to:
                raise SearchFailedError(
                    f"{self.path}: found events of another process, which is searching here as well"
                )
            self._writer.executemany("INSERT INTO event (time, kind, trial, payload) VALUES (?, ?, ?, ?)", rows)
            self._read(self._writer)
            self._writer.execute("COMMIT")
        except BaseException as error:
            self._read_up_to, self._memory = before
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                said = f"cannot be written to ({error}); what is in it is kept: senas resume goes on from there"
                raise SearchFailedError(f"{self.path}: {said}") from None
            raise

    def _events_of(self, database: sqlite3.Connection) -> Iterator[tuple[int, Any, Any, Any, Any]]:
        query = "SELECT id, time, kind, trial, payload FROM event WHERE id > ? ORDER BY id"
        try:
            yield from database.execute(query, (self._read_up_to,))
        except sqlite3.Error as error:
            raise schema.unreadable(self.path, error) from None


def _moved(unborn: Path, path: Path) -> None:
    """Give a file its name; unlike a plain move, this never takes the place of another file."""
    try:
        os.link(unborn, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        path.open("xb").close()
        unborn.replace(path)


def _failed(failure: Failure, seconds: float) -> Failed:
    return Failed(reason=failure.reason, failure=printable_lines(failure.text), seconds=seconds)


def _plain(payload: object, where: str) -> object:
    try:
        return json.loads(payload) if isinstance(payload, str) else None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{where}: not JSON ({brief(str(error))})") from None
