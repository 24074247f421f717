"""Pixels in a file of the temporary folder, which all processes of a user map: a machine has them in memory once."""

import errno
import fcntl
import mmap
import os
import stat
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from senas.errors import DataError
from senas.io import digest_of, os_reason
from senas.version import __version__

_SUFFIX = ".pixels"
_FREE_SHARE = 0.02  # of the file system's free space that is left free


def map_pixels(
    identity: object, shape: tuple[int, ...], fill: Callable[[NDArray[np.uint8]], None]
) -> NDArray[np.uint8]:
    """Return an array of a shape that all processes asking for the same one share.

    The first process fills it, while the others wait. The file is removed when the last process no longer uses it; one
    that killed processes have left behind, at the next call.

    Args:
        identity: Plain data that decides what the pixels are.
        shape: Shape of the array.
        fill: Function that writes all pixels into a new array.

    Raises:
        DataError: The temporary folder has too little space or cannot be used.
    """
    count = int(np.prod(shape))
    folder = _own_folder()
    path = folder / f"{digest_of([identity, list(shape), __version__, _boot()])}{_SUFFIX}"
    try:
        _remove_unused(folder, path)
        file = _open_filled(path, count, lambda flat: fill(flat.reshape(shape)))
    except OSError as error:
        raise DataError(f"{folder}: cannot hold {count} bytes of pixels ({os_reason(error)}); set TMPDIR") from None
    mapped = mmap.mmap(file, count, prot=mmap.PROT_READ | mmap.PROT_WRITE, flags=mmap.MAP_PRIVATE)
    weakref.finalize(mapped, _release, file, path)  # also at the end of this process
    return np.frombuffer(mapped, np.uint8).reshape(shape)


def _boot() -> str:
    """Return what tells one start of this machine from the next: a power cut may leave a file without its content."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text()
    return ""


def free_bytes() -> int:
    """Return how many bytes of pixels the temporary folder can hold."""
    status = os.statvfs(tempfile.gettempdir())
    return int(status.f_bavail * status.f_frsize * (1 - _FREE_SHARE))


def _own_folder() -> Path:
    """Return a folder in the temporary folder that no other user can write to."""
    folder = Path(tempfile.gettempdir()) / f"senas-{os.getuid()}"
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({os_reason(error)}); set TMPDIR") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise DataError(f"{folder}: found a folder that others can write to, expected your own; remove it")
    return folder


def _open_filled(path: Path, count: int, fill: Callable[[NDArray[np.uint8]], None]) -> int:
    """Return the descriptor of a complete file, with a shared lock on it; fill it first if it is new.

    A complete file has one byte more than its pixels.
    """
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_SH)
            if os.fstat(file).st_size != count + 1:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file).st_size != count + 1 and _is_at(file, path):
                    _fill(file, path, count, fill)
                fcntl.flock(file, fcntl.LOCK_SH)
            if os.fstat(file).st_size == count + 1:
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # it was removed before this process had the lock


def _fill(file: int, path: Path, count: int, fill: Callable[[NDArray[np.uint8]], None]) -> None:
    """Fill a file that this process has locked; remove it if that fails."""
    try:
        os.ftruncate(file, 0)
        if count > free_bytes():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if hasattr(os, "posix_fallocate"):  # a write into a mapped file on a full disk would kill the process
            os.posix_fallocate(file, 0, count)
        os.ftruncate(file, count)
        fill(np.frombuffer(mmap.mmap(file, count), np.uint8))
        os.ftruncate(file, count + 1)
    except BaseException:
        path.unlink()
        raise


def _is_at(file: int, path: Path) -> bool:
    """Return whether a path still leads to an open file."""
    try:
        found = path.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (os.fstat(file).st_dev, os.fstat(file).st_ino)


def _remove_unused(folder: Path, wanted: Path) -> None:
    """Remove the files that no process uses, except one."""
    for path in folder.glob(f"*{_SUFFIX}"):
        if path != wanted:
            with suppress(OSError), _opened(path) as file:
                _remove_if_unused(file, path)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield file
    finally:
        os.close(file)


def _release(file: int, path: Path) -> None:
    """Close a file, and remove it if no other process uses it."""
    with suppress(OSError):
        _remove_if_unused(file, path)
    os.close(file)


def _remove_if_unused(file: int, path: Path) -> None:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises if another process holds a lock
    if _is_at(file, path):
        path.unlink()
