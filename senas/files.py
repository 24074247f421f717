"""Files of strangers, read within bounds, and files of our own, written whole or not at all."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path, most: int) -> BinaryIO:
    """Open a regular file to read it; a named pipe would keep us waiting, a device would never end.

    Args:
        path: of the file.
        most: bytes; what is larger is refused before it is read.

    Raises:
        OSError: the file is missing, unreadable, larger, or something else than a regular file.
    """
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115  # Path.open takes no opener
    try:
        _check_regular(path, os.fstat(file.fileno()), most)
    except OSError:
        file.close()
        raise
    return file


def require_regular(path: Path, most: int) -> None:
    """Raise what `open_regular` would, without opening: closing a file drops the locks that SQLite holds on it."""
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    _check_regular(path, found, most)


def _check_regular(path: Path, found: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "found a pipe or a device, expected a regular file", str(path))
    if found.st_size > most:
        raise _too_large(path, found.st_size, most)


def _open_at_once(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK)  # without it the opening of a pipe waits for who writes to it


def read_bytes(path: Path, most: int) -> bytes:
    """What a regular file holds.

    Raises:
        OSError: as for `open_regular`.
    """
    with open_regular(path, most) as file:
        content = file.read(most + 1)  # one more: a file can grow, and those in /proc do not tell their size
    if len(content) > most:
        raise _too_large(path, len(content), most)
    return content


def _too_large(path: Path, found: int, most: int) -> OSError:
    return OSError(errno.EFBIG, f"found {found} bytes or more, allowed: at most {most}", str(path))


def os_reason(error: OSError) -> str:
    """The reason of an operating system's error without its number and path, such as `no such file or directory`."""
    return (error.strerror or str(error)).lower()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` once it is written and on the disk.

    Readers see the old file or the new one, never half of either; after an error the old one is still there. The
    temporary file is made anew under a name that nobody can foresee, so a link put in its way leads nowhere.

    Args:
        path: what to replace; its folder is made where it is missing.

    Raises:
        OSError: it cannot be written, a full disk included; its `filename` is `path`.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
        error.filename = str(path)  # what the user asked for, not the temporary name
        raise


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Write a text file, whole or not at all, see `replacing`."""
    with replacing(path) as file:
        file.write(text.encode())
