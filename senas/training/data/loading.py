"""How a data set is loaded: into memory that the workers of a machine share, or read from its files meanwhile."""

from dataclasses import dataclass
from pathlib import Path

from senas.architecture import Input
from senas.errors import DataError
from senas.io import archive_digest, available_memory, brief, flaw
from senas.training.data.file_list import FileList, Progress
from senas.training.data.folders import list_image_folder
from senas.training.data.mapped import free_bytes

NPZ_SOURCE, FOLDER_SOURCE = "npz", "imagefolder"
MEMORY_SHARE = 0.5  # of the memory that is available, up to which images are decoded into it


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How a data set is loaded.

    Attributes:
        streamed: Whether the images of a folder are read from their files while networks train; by default, if they
            take more than `MEMORY_SHARE` of the memory that is available. They are then cropped at random as they are
            read, at any scale, and not shifted by some pixels.
        skip: Damaged files of a folder that are left out, as paths below it.
        content: Digest of the names and sizes of a folder's files, or of the checksums in a NumPy file, by which a run
            that is resumed finds that its data has changed; empty if it is not known.
    """

    streamed: bool | None = None
    skip: tuple[str, ...] = ()
    content: str = ""

    @property
    def is_decided(self) -> bool:
        """Whether nothing is left open, as in a plan for files; finding that out again would list them again."""
        return self.streamed is not None and bool(self.content)


@dataclass(frozen=True, kw_only=True)
class LoadingPlan:
    """What loading a data set will do.

    Attributes:
        loading: How it is loaded, with nothing left open.
        lines: What is to be said of it beforehand, one line each.
    """

    loading: Loading
    lines: tuple[str, ...]


def plan_loading(
    data: object,
    network_input: Input,
    *,
    streamed: bool | None = None,
    skip_damaged: int = 0,
    skip: tuple[str, ...] = (),
    progress: Progress = lambda _done, _total: None,
) -> LoadingPlan:
    """Decide how a data set is loaded; nothing but an image folder leaves a choice.

    Args:
        data: Data set as for `load_data`.
        network_input: Input of the network.
        streamed: Whether to stream the images, see `Loading`.
        skip_damaged: Number of damaged images to tolerate. All images are decoded now to find them, unless it is 0.
        skip: Damaged files that are known already, as paths below the folder.
        progress: Function that is called with (images decoded, images in all) meanwhile.

    Raises:
        DataError: An unusable folder, more damaged images than are tolerated, or options that the data does not take.
    """
    source, _, argument = data.partition(":") if isinstance(data, str) else ("", "", "")
    if source != FOLDER_SOURCE or not argument:
        if streamed or skip_damaged:
            asked = "to be streamed" if streamed else f"{skip_damaged} damaged images to skip"
            raise DataError(f"data set {data}: found {asked}, allowed for imagefolder:DIR alone")
        content = archive_digest(Path(argument)) if source == NPZ_SOURCE and argument else ""
        return LoadingPlan(loading=Loading(streamed=False, content=content), lines=())
    path = Path(argument)
    folder = list_image_folder(path).without(skip)
    lines = [f"skipped, as before: {brief(name)}" for name in skip]
    if skip_damaged:
        from senas.training.data.streaming import find_damaged  # here, since it imports torch

        damaged = find_damaged(folder.splits.values(), network_input, skip_damaged, progress)
        for problem in filter(None, map(flaw, damaged)):
            raise DataError(f"{brief(argument)}: name of a damaged image: found {problem}; rename or remove it")
        skip = (*skip, *damaged)
        folder = folder.without(skip)
        lines += [f"skipped: {message}" for message in damaged.values()]
    count = sum(map(len, folder.splits.values()))
    image_bytes = network_input.channels * network_input.size**2
    needed, limit = count * image_bytes, min(int(MEMORY_SHARE * available_memory()), free_bytes())
    chosen = needed > limit if streamed is None else streamed
    side = f"{network_input.channels} x {network_input.size} x {network_input.size}"
    arithmetic = f"{count} images x {side} bytes = {show_bytes(needed)}"
    room = f"{MEMORY_SHARE:.0%} of the available memory, or the free space for temporary files, is {show_bytes(limit)}"
    what = "read from their files while networks train" if chosen else "decoded once into memory that workers share"
    why = room if streamed is None else "as asked for"
    lines.append(f"{FOLDER_SOURCE}:{brief(argument)}: {arithmetic}, {what} ({why})")
    content = FileList.join(list(folder.splits.values())).digest(times=False)
    return LoadingPlan(loading=Loading(streamed=chosen, skip=skip, content=content), lines=tuple(lines))


def show_bytes(count: int) -> str:
    """Return a number of bytes in decimal units, such as `3.0 GB`."""
    value, unit = float(count), "bytes"
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
