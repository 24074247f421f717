"""SQLite file of a journal: creation, opening to write or to read, migration, and rejection of other files."""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from senas.errors import RunError
from senas.io import brief, os_reason, printable_lines, read_plain, require_regular

VERSION = 2
RUN_FILE = "run.json"

_TABLE = (
    "CREATE TABLE event (id INTEGER PRIMARY KEY, time REAL NOT NULL, "
    "kind TEXT NOT NULL, trial INTEGER NOT NULL, payload TEXT NOT NULL)"
)
_MAX_PAYLOAD_BYTES = 2**26
_MAX_JOURNAL_BYTES = 2**36


def create(path: Path) -> None:
    """Create a new file without events.

    Raises:
        RunError: The file cannot be created.
    """
    try:
        with closing(_connect(path, "rwc")) as database:
            database.execute(_TABLE)
            database.execute(f"PRAGMA user_version={VERSION}")
    except sqlite3.Error as error:
        raise RunError(f"{path}: cannot be created ({error})") from None


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open a file to append to it; a file of an older schema is migrated in place.

    Raises:
        RunError: The file is missing, cannot be opened, is not a journal, or has a newer schema.
    """
    with _close_on_error(path, _connect(path, "rw")) as database:
        _check(database, path)
        _migrate(database, path)
        database.execute("PRAGMA journal_mode=WAL")  # so that others can read meanwhile
        database.execute("PRAGMA synchronous=FULL")  # so that every commit is on disk when it returns
    return database


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a file to read without writing anything; it may belong to another user or to a running search.

    Raises:
        RunError: The file is missing, cannot be opened, is not a journal, or has a newer schema.
    """
    with _close_on_error(path, _connect_to_read(path)) as database:
        _check(database, path)
    if _version(database) == VERSION:
        return database
    with closing(database), _memory_copy(path, database) as newer:
        _migrate(newer, path)
    return newer


def close(database: sqlite3.Connection) -> None:
    """Close a file that was opened to write and merge its log into it, so that one file is enough for a copy."""
    with suppress(sqlite3.Error):  # another process is reading, so the log stays
        database.execute("PRAGMA journal_mode=DELETE")
    database.close()


def unreadable(path: Path, error: sqlite3.Error) -> RunError:
    """Return the error for a file that SQLite cannot read."""
    return RunError(f"{path}: not a readable journal ({brief(str(error))})")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    if mode != "rwc":
        try:
            require_regular(path, _MAX_JOURNAL_BYTES)
        except OSError as error:
            raise RunError(f"{path}: {os_reason(error)}") from None
    database = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, isolation_level=None)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_PAYLOAD_BYTES)
    database.execute("PRAGMA trusted_schema=OFF")
    return database


@contextmanager
def _close_on_error(path: Path, database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Close a database if an error occurs; an error of SQLite is raised as a `RunError`."""
    try:
        yield database
    except BaseException as error:
        database.close()
        if isinstance(error, sqlite3.Error):
            raise unreadable(path, error) from None
        raise


@contextmanager
def _memory_copy(path: Path, database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Yield a copy of a database in memory, which is closed if an error occurs."""
    with _close_on_error(path, sqlite3.connect(":memory:", isolation_level=None)) as copy:
        database.backup(copy)
        yield copy


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Return a connection that reads without having to write any file."""
    database = _connect(path, "ro")
    try:
        _version(database)
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            return database  # the next query raises the same error, which the caller reports
        database.close()  # the search was killed, and SQLite cannot create the files that it needs to read the log
        return _connect_to_copy(path)
    return database


def _connect_to_copy(path: Path) -> sqlite3.Connection:
    """Return a connection to a copy of a journal and its log, in memory."""
    with tempfile.TemporaryDirectory(prefix="senas-journal-") as folder:
        for name in (path.name, f"{path.name}-wal"):
            if path.with_name(name).is_file():
                shutil.copyfile(path.with_name(name), Path(folder) / name)
        with closing(_connect(Path(folder) / path.name, "rw")) as copy, _memory_copy(path, copy) as found:
            return found


def _check(database: sqlite3.Connection, path: Path) -> None:
    """Raise `RunError` unless the table of events is all there is, since views and triggers can run any SQL."""
    found = database.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    version = _version(database)
    if found != [("table", "event", _TABLE)]:
        raise RunError(f"{path}: not a journal, found {len(found)} objects in it, expected only the table of events")
    if not 1 <= version <= VERSION:
        raise RunError(f"{path}: schema version: found {version}, allowed: 1 to {VERSION}")


def _version(database: sqlite3.Connection) -> int:
    return database.execute("PRAGMA user_version").fetchone()[0]


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    """Migrate a journal to the current schema version by version, each step in one transaction."""
    for version in range(_version(database), VERSION):
        database.execute("BEGIN IMMEDIATE")
        try:
            _MIGRATIONS[version](database, path)
            database.execute(f"PRAGMA user_version={version + 1}")
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")


def _migrate_from_1(database: sqlite3.Connection, path: Path) -> None:
    """Migrate from version 1, which had the options in `run.json` alone and failures without a reason."""
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
            raise RunError(f"{path}: event {event}: not the end of a trial in schema version 1") from None
        database.execute("UPDATE event SET payload = ? WHERE id = ?", (json.dumps(new), event))


_MIGRATIONS: dict[int, Callable[[sqlite3.Connection, Path], None]] = {1: _migrate_from_1}  # by version before the step
