"""Lock of a run folder: one process searches in it, others read."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from senas.errors import RunError
from senas.io import os_reason

LOCK_FILE = "run.lock"


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Keep every other process from searching in a folder.

    The lock is released at the end of the block, or with this process, even if it is killed.

    Raises:
        RunError: Another process holds the lock, or the folder cannot be written to.
    """
    try:
        file = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise RunError(f"{folder}: cannot be searched in ({os_reason(error)})") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{folder}: another process is searching here") from None
        except OSError as error:
            raise RunError(f"{folder}: cannot be locked ({os_reason(error)}); use a file system with locks") from None
        yield
    finally:
        os.close(file)


def is_locked(folder: Path) -> bool:
    """Return whether a process is searching in a folder now."""
    try:
        file = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # the file system has no locks, so that no search can run here
        return False
    finally:
        os.close(file)
    return False
