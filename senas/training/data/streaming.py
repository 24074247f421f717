"""Images that are decoded from their files batch by batch, in worker processes, while the network trains."""

import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from senas.architecture import Input
from senas.errors import DamagedImageError, DataError, DecodingFailedError
from senas.io import brief
from senas.training.data.file_list import FileList, Progress
from senas.training.data.images import decode_image

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # only its free space is looked at
_SHARED_MARGIN = 4  # times what one training needs, since others run beside it
_BLOCK = 64  # images that a process decodes at a time where nothing asks for another number


class StreamedImages:
    """Images of files, of which only some batches are in memory at a time.

    Args:
        files: Image files.
        network_input: Input of the network, which the images are resized to.
    """

    def __init__(self, files: FileList, network_input: Input):
        self.files, self._input = files, network_input
        self.shape = (len(files), network_input.channels, network_input.size, network_input.size)

    def __len__(self) -> int:
        return len(self.files)

    def batches(self, places: Sequence[Tensor], *, crop_seed: int | None) -> Iterator[Tensor]:
        """Yield batches of images, (B, C, size, size) of uint8, decoded by as many processes as torch has threads.

        Args:
            places: Numbers of the files of each batch, (B,) of int64 each.
            crop_seed: Random seed of random crops, see `decode_image`; `None` takes the middle.

        Raises:
            DataError: A file that cannot be decoded.
        """
        if not places:
            return
        waiting = 2 * torch.get_num_threads() * math.prod(self.shape[1:]) * max(map(len, places))  # bytes, at most
        decoder = _Decoder(self.files, self._input, crop_seed, shared=_SHARED_MARGIN * waiting < _free_shared_memory())
        for batch in _in_processes(decoder, [each.tolist() for each in places]):
            if isinstance(batch, str):
                raise DataError(f"{batch}; --skip-damaged N leaves such images out")
            yield torch.as_tensor(batch)

    def parts(self, index: Tensor | None) -> Iterator[bytes]:
        """Yield name and size of the files at some positions, by default of all, for a digest."""
        for place in range(len(self)) if index is None else index.tolist():
            name = str(self.files[place].relative_to(self.files.folder))
            yield f"{name}\0{self.files.status(place).st_size}\0".encode(errors="surrogateescape")


class _Decoder(Dataset):
    """Decoder of one batch at a time, in a worker process.

    Args:
        files: Image files.
        network_input: Input of the network.
        crop_seed: Random seed of random crops; `None` takes the middle.
        shared: Whether batches are returned in shared memory, which is faster than a pipe; containers have little.
    """

    def __init__(self, files: FileList, network_input: Input, crop_seed: int | None, *, shared: bool):
        self._files, self._input, self._crop_seed, self._shared = files, network_input, crop_seed, shared

    def __len__(self) -> int:
        return len(self._files)

    def __getitems__(self, places: list[int]) -> Tensor | NDArray[np.uint8] | str:
        """Return the images of files, (B, C, size, size), or the message of an error, which would get a traceback."""
        pixels = np.empty((len(places), self._input.channels, self._input.size, self._input.size), np.uint8)
        try:
            for number, place in enumerate(places):
                seed = self._crop_seed
                crop = None if seed is None else np.random.default_rng((seed, place))
                pixels[number] = decode_image(self._files[place], self._input, crop=crop)
        except DataError as error:
            return str(error)
        return torch.from_numpy(pixels) if self._shared else pixels


class _Checker(Dataset):
    """Decoder that keeps nothing but what is wrong with a file, in a worker process."""

    def __init__(self, files: FileList, network_input: Input):
        self._files, self._input = files, network_input

    def __len__(self) -> int:
        return len(self._files)

    def __getitems__(self, places: list[int]) -> list[tuple[int, str]]:
        """Return the numbers of damaged files, and what is wrong with each."""
        found = []
        for place in places:
            try:
                decode_image(self._files[place], self._input)
            except DamagedImageError as error:
                found.append((place, str(error)))
        return found


def decode_all(files: FileList, network_input: Input, pixels: NDArray[np.uint8], progress: Progress) -> None:
    """Decode all files into an array, (N, C, size, size).

    Raises:
        DataError: A file that cannot be decoded.
    """
    places = torch.arange(len(files)).split(_BLOCK)
    for place, images in zip(places, StreamedImages(files, network_input).batches(places, crop_seed=None), strict=True):
        pixels[int(place[0]) : int(place[-1]) + 1] = images.numpy()
        progress(int(place[-1]) + 1, len(files))


def find_damaged(splits: Iterable[FileList], network_input: Input, most: int, progress: Progress) -> dict[str, str]:
    """Return the damaged files of a folder, as paths below it, and what is wrong with each.

    Raises:
        DataError: More than `most` of them are damaged.
    """
    files, found = FileList.join(list(splits)), {}
    blocks = [block.tolist() for block in torch.arange(len(files)).split(_BLOCK)]
    for block, damaged in zip(blocks, _in_processes(_Checker(files, network_input), blocks), strict=True):
        found |= {str(files[place].relative_to(files.folder)): message for place, message in damaged}
        if len(found) > most:
            raise DataError(f"{brief(str(files.folder))}: found more than {most} damaged images, {damaged[-1][1]}")
        progress(block[-1] + 1, len(files))
    return found


def _in_processes(decoder: Dataset, blocks: list[list[int]]) -> Iterator[Any]:
    """Yield what a decoder makes of each block of files, in order, by as many processes as torch has threads.

    Raises:
        DecodingFailedError: A process was killed, as it is if there is too little memory.
    """
    loader = DataLoader(
        decoder,
        batch_sampler=blocks,  # type: ignore[arg-type]  # any iterable of lists will do
        num_workers=min(torch.get_num_threads(), _cpus(), len(blocks) - 1),  # a single block is decoded in this process
        collate_fn=_unchanged,
    )
    with naming_lost_processes():
        yield from loader


@contextmanager
def naming_lost_processes() -> Iterator[None]:
    """Raise `DecodingFailedError` where torch raises that a decoding process was killed, which it does at any time."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        reason = str(error).splitlines()[0].rstrip(". ")
        raise DecodingFailedError(f"images: a process that decodes them ended; is memory short? ({reason})") from None


def _free_shared_memory() -> int:
    """Return how many bytes of shared memory are free, where it has a folder; torch puts tensors of workers there."""
    if not _SHARED_MEMORY.exists():
        return sys.maxsize
    status = os.statvfs(_SHARED_MEMORY)
    return status.f_bavail * status.f_frsize


def _cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _unchanged(made: Any) -> Any:
    return made
