"""Journal of a run: an append-only SQLite table of events, from which the state of the run is rebuilt."""

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

from senas.costs import Cost
from senas.errors import RunError, SearchFailedError
from senas.io import brief, from_plain, os_reason, printable_lines, show, to_plain
from senas.runs import schema
from senas.runs.config import MAX_TRIALS, RunRecord
from senas.runs.events import (
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
    after_event,
    after_start,
)
from senas.runs.trial import Failure, Trial, TrialTask

_Event = tuple[RunEventKind | TrialEventKind, int, object]  # kind, number of the trial (0: the whole run), payload


class Journal:
    """Events of a run. Each is on disk before the call that appends it returns.

    A journal that is opened to read can be read while another process appends to it; `refresh` reads the new events.

    Args:
        path: Path of the SQLite file.
        write: Whether events will be appended; if so, a file of an older schema is migrated.

    Raises:
        RunError: The file is missing, is not a journal, has a newer schema, or holds an event that cannot be read.
    """

    def __init__(self, path: Path, *, write: bool = False):
        self.path = path
        self._writer = schema.open_to_write(path) if write else None
        self._record: RunRecord | None = None
        self._trials: dict[int, Trial] = {}
        self._history: list[int] = []
        self._strategy_state: str | None = None
        self._last_event = -1
        self._earlier_seconds = 0.0  # duration of all sessions but the last
        self._session: tuple[float, float] | None = None  # times of the first and last event of the last session
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, path: Path, record: RunRecord) -> "Journal":
        """Create the journal of a new run and return it, open to write.

        If this process is killed, the file either holds its first event or does not exist.

        Raises:
            RunError: The file exists already, or cannot be created.
        """
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        try:
            schema.create(temporary)
            with closing(cls(temporary, write=True)) as journal:
                journal.asked(record)
            _rename(temporary, path)
        except FileExistsError:
            raise RunError(f"{path}: exists already") from None
        except OSError as error:
            raise RunError(f"{path}: cannot be created ({os_reason(error)})") from None
        finally:
            temporary.unlink(missing_ok=True)
        return cls(path, write=True)

    @property
    def record(self) -> RunRecord:
        """Current identity and options of the run: its latest `asked` event."""
        if self._record is None:
            raise RunError(f"{self.path}: found no 'asked' event, which holds the options of the run")
        return self._record

    @property
    def trials(self) -> Mapping[int, Trial]:
        """All trials by number, in the order in which they started."""
        return self._trials

    @property
    def strategy_state(self) -> dict[str, Any] | None:
        """State that the strategy continues from, as of its latest proposal; `None` if it keeps none."""
        if self._strategy_state is None:
            return None
        state = _parse_json(self._strategy_state, f"{self.path}: the strategy's state")
        if not isinstance(state, dict):
            raise RunError(f"{self.path}: the strategy's state: found {show(state)}, expected a table")
        return state

    def history(self) -> list[Trial]:
        """Return the trials in the order of their first starts and their ends.

        A running trial is listed once, at its start; one that has ended is listed a second time, at its end.
        """
        return [self._trials[number] for number in self._history]

    def seconds(self) -> float:
        """Return the time that the strategy has searched, in seconds.

        Each session counts from its start to the last event of one of the strategy's trials.
        """
        return self._earlier_seconds + (self._session[1] - self._session[0] if self._session else 0.0)

    def asked(self, record: RunRecord) -> None:
        """Record the options that hold from now on."""
        self._append(("asked", 0, record))

    def opened(self) -> None:
        """Record that this process begins or continues the search."""
        self._append(("opened", 0, Opened(host=socket.gethostname(), process=os.getpid())))

    def started(
        self, number: int, task: TrialTask, cost: Cost, strategy_state: Mapping[str, Any] | None = None
    ) -> None:
        """Record that an attempt at a trial starts, and the state of the strategy after it proposed the trial."""
        start = Started(architecture=task.architecture, seed=task.seed, cost=cost, purpose=task.purpose)
        state_events: list[_Event] = [] if strategy_state is None else [("strategy", number, strategy_state)]
        self._append(*state_events, ("started", number, start))

    def reported(self, number: int, epoch: int, accuracy: float) -> None:
        """Record the accuracy of a trial after an epoch."""
        self._append(("reported", number, Reported(epoch=epoch, accuracy=accuracy)))

    def finished(self, number: int, accuracy: float, seconds: float) -> None:
        """Record that a trial finished with an accuracy."""
        self._append(("finished", number, Ended(accuracy=accuracy, seconds=seconds)))

    def stopped(self, number: int, report: tuple[int, float] | None, seconds: float) -> None:
        """Record that early stopping ended a trial, together with its last report of (epoch, accuracy), if any.

        The report and the end are appended together or not at all.
        """
        events: list[_Event] = [("stopped", number, Ended(accuracy=report[1] if report else None, seconds=seconds))]
        if report is not None:
            events.insert(0, ("reported", number, Reported(epoch=report[0], accuracy=report[1])))
        self._append(*events)

    def retried(self, number: int, failure: Failure, seconds: float) -> None:
        """Record that an attempt at a trial failed and another one will follow."""
        self._append(("retried", number, _failed_event(failure, seconds)))

    def failed(self, number: int, failure: Failure, seconds: float) -> None:
        """Record that a trial failed for good."""
        self._append(("failed", number, _failed_event(failure, seconds)))

    def interrupted(self, number: int, seconds: float) -> None:
        """Record that an attempt was interrupted without having failed; the trial will run again."""
        self._append(("interrupted", number, Interrupted(seconds=seconds)))

    def measured(self, number: int, latency_ms: float, drift: float) -> None:
        """Record a new measurement of the latency of a trial's network, with the drift of the machine until then."""
        self._append(("measured", number, Measured(latency_ms=latency_ms, drift=drift)))

    def refresh(self) -> None:
        """Read the events that were appended since the last read.

        Raises:
            RunError: An event cannot be read; the message names it.
        """
        if self._writer is not None:
            self._read(self._writer)
        else:
            with closing(schema.open_to_read(self.path)) as reader:
                self._read(reader)

    def close(self) -> None:
        """Close the file; if it was open to write, its log is merged into it."""
        if self._writer is not None:
            schema.close(self._writer)

    def _read(self, database: sqlite3.Connection) -> None:
        for event, when, kind, number, payload in self._new_events(database):
            where = f"{self.path}: event {event}"
            numbered = isinstance(when, float) and isinstance(number, int) and 0 <= number <= MAX_TRIALS
            if event <= self._last_event or not numbered:
                raise RunError(f"{where}: found time {show(when)} and trial {show(number)}, expected numbers, in order")
            if kind == "strategy":
                self._strategy_state = str(payload)
            else:
                self._apply(str(kind), number, _parse_json(payload, where), when, where)
                self._extend_session(str(kind), number, when)
            self._last_event = event

    def _apply(self, kind: str, number: int, payload: object, when: float, where: str) -> None:
        if kind == "asked":
            self._record = from_plain(RunRecord, payload, where)
        elif kind == "opened":
            from_plain(Opened, payload, where)
            self._earlier_seconds, self._session = self.seconds(), (when, when)
        elif kind == "started":
            before = self._trials.get(number)
            self._trials[number] = after_start(number, payload, where, before)
            if before is None:
                self._history.append(number)
        elif number not in self._trials:
            raise RunError(f"{where}: trial {number} has {show(kind)} before 'started'")
        else:
            self._trials[number] = after_event(self._trials[number], kind, payload, where)
            if kind in ENDS:
                self._history.append(number)

    def _extend_session(self, kind: str, number: int, when: float) -> None:
        """Extend the session to an event of the strategy's trials; `measured` events come after the search."""
        trial = self._trials.get(number)
        if self._session is not None and trial is not None and trial.purpose == "search" and kind != "measured":
            self._session = self._session[0], max(self._session[1], when)

    def _append(self, *events: _Event) -> None:
        """Append all of the events or none; each is read back, as any reader would, before they are committed."""
        assert self._writer is not None, "the journal was opened to read"
        now = time.time()
        rows = [(now, kind, number, json.dumps(to_plain(payload), allow_nan=False)) for kind, number, payload in events]
        before = self._last_event, self._strategy_state
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            (last,) = self._writer.execute("SELECT coalesce(max(id), -1) FROM event").fetchone()
            if last != self._last_event:
                raise SearchFailedError(f"{self.path}: found events of another process, which is searching here too")
            self._writer.executemany("INSERT INTO event (time, kind, trial, payload) VALUES (?, ?, ?, ?)", rows)
            self._read(self._writer)
            self._writer.execute("COMMIT")
        except BaseException as error:
            self._last_event, self._strategy_state = before
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                message = f"cannot be written to ({error}); its events are kept: senas resume continues from there"
                raise SearchFailedError(f"{self.path}: {message}") from None
            raise

    def _new_events(self, database: sqlite3.Connection) -> Iterator[tuple[int, Any, Any, Any, Any]]:
        query = "SELECT id, time, kind, trial, payload FROM event WHERE id > ? ORDER BY id"
        try:
            yield from database.execute(query, (self._last_event,))
        except sqlite3.Error as error:
            raise schema.unreadable(self.path, error) from None


def _rename(source: Path, path: Path) -> None:
    """Rename a file; raise `FileExistsError` if there is a file of the new name, unlike `Path.replace`."""
    try:
        os.link(source, path)
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        path.open("xb").close()
        source.replace(path)


def _failed_event(failure: Failure, seconds: float) -> Failed:
    return Failed(reason=failure.reason, failure=printable_lines(failure.text), seconds=seconds)


def _parse_json(payload: object, where: str) -> object:
    try:
        return json.loads(payload) if isinstance(payload, str) else None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{where}: not JSON ({brief(str(error))})") from None
