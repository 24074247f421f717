"""Reader of NumPy's npz files: arrays by name, without pickles, and with limits checked before memory is allocated.

`numpy.load` trusts the sizes that a file states: a kilobyte can claim a terabyte. Here every size, of the zip
directory, of each member and of its array's header, is first checked against the others and against a limit.
"""

import io
import math
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from senas.errors import DataError
from senas.io.files import open_regular, os_reason
from senas.io.serialization import digest_of
from senas.io.text import flaw, show

Arrays = dict[str, np.ndarray]

MAX_BYTES = 2**31  # of all arrays of a file: eleven times CIFAR-100, and Python's limit for zip without extensions
_UNCHECKED_BYTES = 2**28  # arrays up to this total may have any compression ratio
_MAX_RATIO = 10  # of uncompressed to compressed size above that: images reach 2 at most, a zip bomb 1,000
_MAX_TEXT_BYTES = 2**20  # of one array of text, at four bytes per character
_MAX_READ_BYTES = 2**20  # of one read from the file
_MAX_MEMBERS = 100
_KINDS = "biufU"  # NumPy's letters for truth values, signed and unsigned whole numbers, real numbers, text
_MAX_DIMENSIONS = 8
_MEMBER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\.npy")


class _Header(NamedTuple):
    """Header of an array in the npy format."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype


class _BoundedReader(io.BufferedReader):
    """A file that rejects large reads: zipfile reads the whole directory at once, whatever size the file states."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_READ_BYTES:
            raise zipfile.BadZipFile(f"found a directory or header of {size} bytes, allowed: at most {_MAX_READ_BYTES}")
        return super().read(size)


class StoredArray:
    """An array in an open npz file, which is read when it is asked for.

    Args:
        path: Path of the file, for messages.
        archive: The open file.
        member: Entry of the array.

    Attributes:
        shape: Shape of the array.
        dtype: Type of its elements.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo):
        self._path, self._archive, self._member = path, archive, member
        self._name = member.filename.removesuffix(".npy")
        with _reading(path), archive.open(member) as stream:
            self._header = _checked_header(stream, member, self._name)
        self.shape, self.dtype = self._header.shape, self._header.dtype

    def read(self) -> np.ndarray:
        """Return the array.

        Raises:
            DataError: It is damaged.
        """
        flat = np.empty(math.prod(self.shape), self.dtype)
        with self._stream() as stream:
            _fill(flat.view(np.uint8).data, stream)
            _check_end(stream)
        if self.dtype.kind == "U":
            with _reading(self._path):
                _check_text(flat, self._name)
        return flat.reshape(self.shape, order="F" if self._header.fortran else "C")

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Yield the array a number of rows at a time, of which only one block is in memory.

        An array in Fortran's order is read as a whole.

        Raises:
            DataError: It is damaged.
        """
        if self._header.fortran:
            yield from np.array_split(self.read(), range(rows, self.shape[0], rows))
            return
        with self._stream() as stream:
            for first in range(0, self.shape[0], rows):
                block = np.empty((min(rows, self.shape[0] - first), *self.shape[1:]), self.dtype)
                _fill(block.reshape(-1).view(np.uint8).data, stream)
                yield block
            _check_end(stream)

    @contextmanager
    def _stream(self) -> Iterator[IO[bytes]]:
        """Open the array for reading, behind its header."""
        with _reading(self._path), self._archive.open(self._member) as stream:
            _read_header(stream, self._name)
            yield stream


@contextmanager
def open_arrays(path: Path, *, max_bytes: int = MAX_BYTES) -> Iterator[dict[str, StoredArray]]:
    """Open an npz file, whose arrays must be of numbers, truth values or text, and yield them by name.

    Args:
        path: Path of the file.
        max_bytes: Limit on the total size of all arrays, and of the file, in bytes.

    Raises:
        DataError: The file is missing, unreadable, too large or damaged, or contains anything else.
    """
    with ExitStack() as stack:
        with _reading(path):
            file = stack.enter_context(open_regular(path, max_bytes))
            reader = stack.enter_context(_BoundedReader(file.raw))
            archive = stack.enter_context(zipfile.ZipFile(reader))
            size = os.fstat(file.fileno()).st_size
            _check_members(archive.infolist(), min(max_bytes, max(_UNCHECKED_BYTES, _MAX_RATIO * size)))
        yield {
            member.filename.removesuffix(".npy"): StoredArray(path, archive, member) for member in archive.infolist()
        }


def archive_digest(path: Path) -> str:
    """Return a digest of the names, sizes and checksums that an npz file states of its arrays, 16 hexadecimal digits.

    It tells files apart without reading them, but not a file that was made to deceive.

    Raises:
        DataError: The file is missing, unreadable or no npz file.
    """
    with (
        _reading(path),
        open_regular(path, sys.maxsize) as file,
        _BoundedReader(file.raw) as reader,
        zipfile.ZipFile(reader) as archive,
    ):
        return digest_of([[member.filename, member.file_size, member.CRC] for member in archive.infolist()])


def read_arrays(path: Path, *, max_bytes: int = MAX_BYTES) -> Arrays:
    """Read the arrays of an npz file, see `open_arrays`."""
    with open_arrays(path, max_bytes=max_bytes) as arrays:
        return {name: array.read() for name, array in arrays.items()}


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever is wrong with a file into a `DataError` that names it."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: {os_reason(error)}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: not an npz file of plain arrays ({show(str(error))})") from None


def _check_members(members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    if len(members) > _MAX_MEMBERS:
        raise DataError(f"members: found {len(members)}, allowed: at most {_MAX_MEMBERS}")
    names = [member.filename for member in members]
    for member, name in zip(members, names, strict=True):
        if not _MEMBER_NAME.fullmatch(name) or names.count(name) > 1:
            expected = "distinct names of letters, digits and _ that end in .npy"
            raise DataError(f"members: found {show(name)}, expected {expected}")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
            raise DataError(f"{name}: found encryption or another compression method, allowed: stored, deflated")
    total = sum(member.file_size for member in members)
    if total > max_bytes:
        raise DataError(f"arrays: found {total} bytes, allowed for a file of this size: at most {max_bytes}")


def _checked_header(stream: IO[bytes], member: zipfile.ZipInfo, name: str) -> _Header:
    """Read the header of an array, and check it against the size of its member."""
    header = _read_header(stream, name)
    kind, itemsize = header.dtype.kind, header.dtype.itemsize
    if kind not in _KINDS or not itemsize or (kind != "U" and itemsize > 8):
        raise ValueError(f"{name}: found {header.dtype}, allowed: numbers, text")
    count, available = math.prod(header.shape), member.file_size - stream.tell()
    if len(header.shape) > _MAX_DIMENSIONS or min(header.shape, default=0) < 0 or count * itemsize != available:
        found = f"{show(header.shape)} of {show(str(header.dtype))} in {available} bytes"
        raise DataError(f"{name}: found {found}, expected a shape that fills them")
    if kind == "U" and available > _MAX_TEXT_BYTES:
        raise DataError(f"{name}: found {available} bytes of text, allowed: at most {_MAX_TEXT_BYTES}")
    return header


def _read_header(stream: IO[bytes], name: str) -> _Header:
    version = npy.read_magic(stream)
    read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read_header is None:
        raise DataError(f"{name}: found version {version} of the npy format, allowed: 1.0, 2.0")
    try:
        shape, fortran, dtype = read_header(stream)
    except Exception as error:  # NumPy parses the header as Python, with errors and warnings of many kinds
        raise ValueError(f"{name}: {error}") from None
    return _Header(tuple(map(int, shape)), fortran, dtype)  # NumPy accepts truth values in a shape


def _fill(buffer: memoryview, stream: IO[bytes]) -> None:
    while buffer:
        block = stream.read(min(len(buffer), _MAX_READ_BYTES))
        if not block:
            raise EOFError("it ends too early")
        buffer[: len(block)] = block
        buffer = buffer[len(block) :]


def _check_end(stream: IO[bytes]) -> None:
    stream.read(1)  # reads past the end, which makes zipfile compare the checksum


def _check_text(flat: np.ndarray, name: str) -> None:
    """Check that characters are Unicode and texts may be shown; NumPy accepts any number as a character."""
    codes = flat.view(np.dtype(np.uint32).newbyteorder(flat.dtype.byteorder))
    if codes.max(initial=0) > 0x10FFFF:
        raise DataError(f"{name}: found character code {codes.max()}, allowed: at most {0x10FFFF}")
    for text in flat.tolist():
        problem = flaw(text)
        if problem is not None:
            raise DataError(f"{name}: found {problem}")
