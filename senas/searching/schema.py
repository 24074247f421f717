"""The SQLite file of a journal: made, opened to write or only to read, brought up to date, refused if foreign."""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from senas.errors import RunError
from senas.files import os_reason, require_regular
from senas.parsing import read_plain
from senas.text import brief, printable_lines

VERSION = 2
RUN_FILE = "run.json"

_TABLE = (
    "CREATE TABLE event (id INTEGER PRIMARY KEY, time REAL NOT NULL, "
    "kind TEXT NOT NULL, trial INTEGER NOT NULL, payload TEXT NOT NULL)"
)
_LONGEST = 2**26  # bytes of one payload
_LARGEST = 2**36  # bytes of a journal


def create(path: Path) -> None:
    """Make a new file without events.

    Raises:
        RunError: it cannot be made.
    """
    try:
        with closing(_connected(path, "rwc")) as database:
            database.execute(_TABLE)
            database.execute(f"PRAGMA user_version={VERSION}")
    except sqlite3.Error as error:
        raise RunError(f"{path}: cannot be made ({error})") from None


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open a file to append to it; an older one is brought up to date for good.

    Raises:
        RunError: it is missing, cannot be opened, is no journal, or is of a newer schema.
    """
    with _closed_unless_returned(path, _connected(path, "rw")) as database:
        _check(database, path)
        _migrate(database, path)
        database.execute("PRAGMA journal_mode=WAL")  # others can read meanwhile
        database.execute("PRAGMA synchronous=FULL")  # every commit is on disk when it returns
    return database


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a file that may belong to somebody else, or to a search that is going on; nothing is written.

    Raises:
        RunError: it is missing, cannot be opened, is no journal, or is of a newer schema.
    """
    with _closed_unless_returned(path, _readable(path)) as database:
        _check(database, path)
    if _version(database) == VERSION:
        return database
    with closing(database), _in_memory(path, database) as newer:
        _migrate(newer, path)
    return newer


def close(database: sqlite3.Connection) -> None:
    """Close a file that was opened to write, merging its log, so that the one file is all there is to copy."""
    with suppress(sqlite3.Error):  # somebody is reading: it stays as it is
        database.execute("PRAGMA journal_mode=DELETE")
    database.close()


def unreadable(path: Path, error: sqlite3.Error) -> RunError:
    """What is said of a file that SQLite cannot read."""
    return RunError(f"{path}: not a readable journal ({brief(str(error))})")


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    if mode != "rwc":
        try:
            require_regular(path, _LARGEST)
        except OSError as error:
            raise RunError(f"{path}: {os_reason(error)}") from None
    database = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, isolation_level=None)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    database.execute("PRAGMA trusted_schema=OFF")
    return database


@contextmanager
def _closed_unless_returned(path: Path, database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Closes a database with which something is wrong, and says so in our words."""
    try:
        yield database
    except BaseException as error:
        database.close()
        if isinstance(error, sqlite3.Error):
            raise unreadable(path, error) from None
        raise


@contextmanager
def _in_memory(path: Path, database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A copy of a database that nobody else sees, closed if something is wrong."""
    with _closed_unless_returned(path, sqlite3.connect(":memory:", isolation_level=None)) as copy:
        database.backup(copy)
        yield copy


def _readable(path: Path) -> sqlite3.Connection:
    """A connection that reads, and need not write anything to do so."""
    database = _connected(path, "ro")
    try:
        _version(database)
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            return database  # whatever it is, whoever looks will hear of it
        database.close()  # a search was killed, and SQLite may not make the files here to read its log
        return _copied(path)
    return database


def _copied(path: Path) -> sqlite3.Connection:
    """The same journal from a copy that only this connection sees."""
    with tempfile.TemporaryDirectory(prefix="senas-journal-") as folder:
        for name in (path.name, f"{path.name}-wal"):
            if path.with_name(name).is_file():
                shutil.copyfile(path.with_name(name), Path(folder) / name)
        with closing(_connected(Path(folder) / path.name, "rw")) as copy, _in_memory(path, copy) as found:
            return found


def _check(database: sqlite3.Connection, path: Path) -> None:
    """Refuse what holds anything but the table of events: views and triggers could do anything."""
    found = database.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    version = _version(database)
    if found != [("table", "event", _TABLE)]:
        raise RunError(f"{path}: not a journal, found {len(found)} objects in it, expected the table of events alone")
    if not 1 <= version <= VERSION:
        raise RunError(f"{path}: schema version: found {version}, allowed: 1 to {VERSION}")


def _version(database: sqlite3.Connection) -> int:
    return database.execute("PRAGMA user_version").fetchone()[0]


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    """Bring a journal up to date, step by step, each whole or not at all."""
    for version in range(_version(database), VERSION):
        database.execute("BEGIN IMMEDIATE")
        try:
            _STEPS[version](database, path)
            database.execute(f"PRAGMA user_version={version + 1}")
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")


def _from_1(database: sqlite3.Connection, path: Path) -> None:
    """What was asked for stood in `run.json` alone, and a failure had no reason."""
    asked = json.dumps(read_plain(path.with_name(RUN_FILE)))
    database.execute("INSERT INTO event SELECT 0, coalesce(min(time), 0), 'asked', 0, ? FROM event", (asked,))
    ends = "SELECT id, kind, payload FROM event WHERE kind IN ('finished', 'stopped', 'failed')"
    for event, kind, payload in database.execute(ends).fetchall():
        try:
            old = json.loads(payload)
            new = {"seconds": old["seconds"]}
            if kind == "failed":
                text = str(old["failure"])
                reason = "exception" if text.startswith("Traceback") else "lost"
                new |= {"reason": reason, "failure": printable_lines(text)}
            else:
                new["accuracy"] = old["accuracy"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise RunError(f"{path}: event {event}: found no end of a trial of schema version 1") from None
        database.execute("UPDATE event SET payload = ? WHERE id = ?", (json.dumps(new), event))


_STEPS: dict[int, Callable[[sqlite3.Connection, Path], None]] = {1: _from_1}  # from that version to the next
