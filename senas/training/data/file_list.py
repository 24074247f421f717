"""A list of paths that takes a few bytes a file, so that worker processes can each have one of a million."""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from senas.errors import DataError
from senas.io import brief, os_reason

Progress = Callable[[int, int], None]  # of (files done, files in all)


class FileList(Sequence[Path]):
    """Paths in one folder, kept as the bytes of their names behind one another.

    Args:
        folder: Folder that all files lie in.
        names: Path of each file below it.

    Attributes:
        folder: Folder that all files lie in.
    """

    def __init__(self, folder: Path, names: Iterable[str | bytes]):
        encoded = [os.fsencode(name) for name in names]
        self.folder = folder
        self._bytes = np.frombuffer(b"".join(encoded), np.uint8)
        self._ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)

    @classmethod
    def join(cls, lists: "Sequence[FileList]") -> "FileList":
        """Return the files of several lists of one folder, in order."""
        joined = cls(lists[0].folder, ())
        joined._bytes = np.concatenate([each._bytes for each in lists])
        starts = np.cumsum([0, *(len(each._bytes) for each in lists[:-1])])
        joined._ends = np.concatenate([start + each._ends for start, each in zip(starts, lists, strict=True)])
        return joined

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> "FileList": ...
    def __getitem__(self, index: int | slice) -> "Path | FileList":
        if isinstance(index, slice):
            return FileList(self.folder, [self._name(number) for number in range(len(self))[index]])
        return self.folder / os.fsdecode(self._name(range(len(self))[index]))

    def names(self) -> list[str]:
        """Return the path of each file below the folder."""
        return [os.fsdecode(self._name(number)) for number in range(len(self))]

    def digest(self, *, times: bool) -> str:
        """Return a digest of the files' names and sizes, and of the times of their last change, 16 hexadecimal digits.

        Raises:
            DataError: A file that has been removed meanwhile.
        """
        digest = hashlib.sha256(self._bytes.data)
        for number in range(len(self)):
            status = self.status(number)
            digest.update(f"{status.st_size} {status.st_mtime_ns if times else ''}\n".encode())
        return digest.hexdigest()[:16]

    def status(self, number: int) -> os.stat_result:
        """Return the status of a file; raise a `DataError` if it has been removed meanwhile."""
        path = self[number]
        try:
            return path.stat()
        except OSError as error:
            raise DataError(f"{brief(str(path))}: {os_reason(error)}") from None

    def select(self, chosen: NDArray[np.bool_]) -> "FileList":
        """Return the files of a mask, (N,)."""
        return FileList(self.folder, [self._name(number) for number in np.flatnonzero(chosen).tolist()])

    def _name(self, number: int) -> bytes:
        start = self._ends[number - 1] if number else 0
        return self._bytes[start : self._ends[number]].tobytes()
