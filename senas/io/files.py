"""Bounded reads of untrusted files; atomic writes."""

import errno
import glob
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

_LEFTOVER_SECONDS = 3_600


def open_regular(path: Path, max_bytes: int) -> BufferedReader:
    """Open a regular file for reading; a named pipe could block forever, and a device may have no end.

    Args:
        path: Path of the file.
        max_bytes: Limit on the file size in bytes, checked before the file is read.

    Raises:
        OSError: The file is missing, unreadable, too large, or not a regular file.
    """
    file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115  # Path.open takes no opener
    try:
        _check_regular(path, os.fstat(file.fileno()), max_bytes)
    except OSError:
        file.close()
        raise
    return file


def require_regular(path: Path, max_bytes: int) -> None:
    """Raise the error that `open_regular` would, without opening: closing a file drops the locks of SQLite on it."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    _check_regular(path, status, max_bytes)


def _check_regular(path: Path, status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "found a pipe or a device, expected a regular file", str(path))
    if status.st_size > max_bytes:
        raise _too_large(path, status.st_size, max_bytes)


def _open_without_waiting(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK)  # without O_NONBLOCK, opening a pipe waits for a writer


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a regular file.

    Args:
        path: Path of the file.
        max_bytes: Limit on the file size in bytes, checked before the file is read.

    Raises:
        OSError: As for `open_regular`.
    """
    with open_regular(path, max_bytes) as file:
        content = file.read(max_bytes + 1)  # one more, since a file can grow and files in /proc report size 0
    if len(content) > max_bytes:
        raise _too_large(path, len(content), max_bytes)
    return content


def _too_large(path: Path, found: int, max_bytes: int) -> OSError:
    return OSError(errno.EFBIG, f"found {found} bytes or more, allowed: at most {max_bytes}", str(path))


def os_reason(error: OSError) -> str:
    """Return the reason of an `OSError` without its number and path, such as `no such file or directory`."""
    return (error.strerror or str(error)).lower()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces `path` once it is completely written and on disk.

    Readers see the old file or the new one, never part of one; after an error the old file is unchanged. The temporary
    file is created under a random name, so nobody can place a link at that name beforehand.

    Args:
        path: File to replace; its folder is created if it is missing.

    Raises:
        OSError: The file cannot be written, for example because the disk is full; its `filename` is `path`.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        file = temporary.open("xb")
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        error.filename = str(path)  # the file that was requested, not the temporary one
        raise


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files that killed processes left behind an hour ago or earlier."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
                leftover.unlink()


def _sync_folder(folder: Path) -> None:
    """Flush the directory entries of a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Write a text file atomically, see `replacing`."""
    with replacing(path) as file:
        file.write(text.encode())
