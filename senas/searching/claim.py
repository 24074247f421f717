"""The claim of a run folder: only one process searches in it, whoever else reads."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from senas.errors import RunError
from senas.files import os_reason

LOCK_FILE = "run.lock"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep every other process from searching in a folder. The claim ends with this process, however that ends.

    Raises:
        RunError: another process does, or the folder cannot be written to.
    """
    try:
        file = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise RunError(f"{folder}: cannot be searched in ({os_reason(error)})") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(f"{folder}: another process is searching here") from None
        yield
    finally:
        os.close(file)


def is_claimed(folder: Path) -> bool:
    """Whether a process is searching in a folder now."""
    try:
        file = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False
