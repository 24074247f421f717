"""Reader of NumPy's npz files: arrays by name, without pickles, and with limits checked before memory is allocated.

`numpy.load` trusts the sizes that a file states: a kilobyte can claim a terabyte. Here every size, of the zip
directory, of each member and of its array's header, is first checked against the others and against a limit.
"""

import io
import math
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from senas.errors import DataError
from senas.io.files import open_regular, os_reason
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


def read_arrays(path: Path, *, max_bytes: int = MAX_BYTES) -> Arrays:
    """Read the arrays of an npz file, which must be of numbers, truth values or text.

    Args:
        path: Path of the file.
        max_bytes: Limit on the total size of all arrays in bytes.

    Raises:
        DataError: The file is missing, unreadable, too large or damaged, or contains anything else.
    """
    try:
        with open_regular(path, MAX_BYTES) as file:
            return _read(file, min(max_bytes, max(_UNCHECKED_BYTES, _MAX_RATIO * os.fstat(file.fileno()).st_size)))
    except OSError as error:
        raise DataError(f"{path}: {os_reason(error)}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: not an npz file of plain arrays ({show(str(error))})") from None


def _read(file: io.BufferedReader, max_bytes: int) -> Arrays:
    with _BoundedReader(file.raw) as reader, zipfile.ZipFile(reader) as archive:
        members = archive.infolist()
        _check_members(members, max_bytes)
        arrays = {}
        for member in members:
            with archive.open(member) as stream:
                arrays[member.filename.removesuffix(".npy")] = _read_array(stream, member)
        return arrays


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


def _read_array(stream: IO[bytes], member: zipfile.ZipInfo) -> np.ndarray:
    name = member.filename.removesuffix(".npy")
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
    flat = np.empty(count, header.dtype)
    _fill(flat.view(np.uint8).data, stream)
    if kind == "U":
        _check_text(flat, name)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


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
