"""Arrays by name in NumPy's npz files, read without pickles and within bounds that hold before anything is allocated.

`numpy.load` would believe what a file says of itself: a kilobyte can claim a terabyte. Here every claim, of the zip
directory, of each member and of its array's header, is held against the others and against a bound first.
"""

import math
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from senas.errors import DataError
from senas.files import open_regular, os_reason
from senas.text import flaw, show

Arrays = dict[str, np.ndarray]

MAX_BYTES = 2**31  # of all arrays of a file: four times CIFAR-100 twice over, and what a zip without extensions holds
_FREE_BYTES = 2**28  # up to here a file may be packed as tightly as it likes
_MAX_RATIO = 10  # of unpacked to packed beyond that: images come to 2 at most, a bomb to 1,000
_MAX_TEXT_BYTES = 2**20  # of one array of text; four bytes a character
_MAX_DIRECTORY_BYTES = 2**14  # of a zip file: 100 arrays
_KINDS = "biufU"  # truth values, whole numbers, real numbers, text
_MAX_DIMENSIONS = 8
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\.npy")
_END_BYTES, _LOCATOR_BYTES = 22, 20  # of a zip file: the record at its end, and one before it where it is extended


class _Header(NamedTuple):
    """What an array says of itself."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype


def read_arrays(path: Path, *, most: int = MAX_BYTES) -> Arrays:
    """The arrays of an npz file, every one of numbers, truth values or text.

    Args:
        path: of the file.
        most: bytes of all arrays together.

    Raises:
        DataError: the file is missing, unreadable, too large, damaged, or holds something else.
    """
    try:
        with open_regular(path, MAX_BYTES) as file:
            return _read(file, min(most, max(_FREE_BYTES, _MAX_RATIO * os.fstat(file.fileno()).st_size)))
    except OSError as error:
        raise DataError(f"{path}: {os_reason(error)}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: not an npz file of plain arrays ({show(str(error))})") from None


def _read(file: BinaryIO, most: int) -> Arrays:
    _check_directory(file)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _check_members(members, most)
        arrays = {}
        for member in members:
            with archive.open(member) as stream:
                arrays[member.filename.removesuffix(".npy")] = _array(stream, member)
        return arrays


def _check_directory(file: BinaryIO) -> None:
    """Hold the size of the directory at the end to a bound, since zipfile reads all of it at once."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_BYTES - _LOCATOR_BYTES))
    tail = file.read()
    end, before = tail[-_END_BYTES:], tail[:-_END_BYTES]
    if end[:4] != b"PK\5\6" or end[-2:] != b"\0\0" or before.startswith(b"PK\6\7"):
        raise zipfile.BadZipFile("it does not end as a plain zip file")
    directory = int.from_bytes(end[12:16], "little")
    if directory > _MAX_DIRECTORY_BYTES:
        raise DataError(f"directory: found {directory} bytes, allowed: at most {_MAX_DIRECTORY_BYTES}")
    file.seek(0)


def _check_members(members: list[zipfile.ZipInfo], most: int) -> None:
    names = [member.filename for member in members]
    for member, name in zip(members, names, strict=True):
        if not _MEMBER.fullmatch(name) or names.count(name) > 1:
            raise DataError(f"members: found {show(name)}, expected distinct names of letters, digits and _, and .npy")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
            raise DataError(f"{name}: found it encrypted or packed in another way, expected it stored or deflated")
    total = sum(member.file_size for member in members)
    if total > most:
        raise DataError(f"arrays: found {total} bytes, allowed for a file of this size: at most {most}")


def _array(stream: IO[bytes], member: zipfile.ZipInfo) -> np.ndarray:
    name = member.filename.removesuffix(".npy")
    header = _header(stream, name)
    kind, itemsize = header.dtype.kind, header.dtype.itemsize
    if kind not in _KINDS or not itemsize or (kind != "U" and itemsize > 8):
        raise ValueError(f"{name}: found {header.dtype}, allowed: numbers, text")
    count, here = math.prod(header.shape), member.file_size - stream.tell()
    if len(header.shape) > _MAX_DIMENSIONS or min(header.shape, default=0) < 0 or count * itemsize != here:
        found = f"{show(header.shape)} of {show(str(header.dtype))} in {here} bytes"
        raise DataError(f"{name}: found {found}, expected a shape that fills them")
    if kind == "U" and here > _MAX_TEXT_BYTES:
        raise DataError(f"{name}: found {here} bytes of text, allowed: at most {_MAX_TEXT_BYTES}")
    flat = np.empty(count, header.dtype)
    _fill(flat.view(np.uint8).data, stream)
    if kind == "U":
        _check_text(flat, name)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def _header(stream: IO[bytes], name: str) -> _Header:
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise DataError(f"{name}: found version {version} of the npy format, allowed: 1.0, 2.0")
    try:
        shape, fortran, dtype = read(stream)
    except Exception as error:  # Python's parser reads the header, and has errors and warnings of every kind for it
        raise ValueError(f"{name}: {error}") from None
    return _Header(tuple(map(int, shape)), fortran, dtype)  # a truth value passes for a number there


def _fill(room: memoryview, stream: IO[bytes]) -> None:
    while room:
        block = stream.read(min(len(room), 2**20))
        if not block:
            raise EOFError("it ends too early")
        room[: len(block)] = block
        room = room[len(block) :]
    stream.read(1)  # past the end, where zipfile compares the checksum


def _check_text(flat: np.ndarray, name: str) -> None:
    """Hold characters to Unicode and texts to what may be shown; NumPy takes any number for a character."""
    codes = flat.view(np.dtype(np.uint32).newbyteorder(flat.dtype.byteorder))
    if codes.max(initial=0) > 0x10FFFF:
        raise DataError(f"{name}: found {codes.max()} where a character belongs")
    for text in flat.tolist():
        found = flaw(text)
        if found is not None:
            raise DataError(f"{name}: found {found}")
