"""Memory that this process can still use, in bytes."""

from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Return how much memory this machine has available or, if that is less, the container that this process is in.

    What files occupy in the page cache counts as available. Linux alone tells; elsewhere it is 2 GiB.
    """
    found = []
    with suppress(OSError, ValueError, IndexError):
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        found.append(1024 * int(lines["MemAvailable"].split()[0]))
    with suppress(OSError, ValueError):
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        if limit != "max":
            found.append(int(limit) - int(used["anon"]) - int(used["shmem"]))
    return max(0, min(found, default=2**31))
