"""Memory of a worker between trials."""

import platform
import resource
from pathlib import Path

import pytest

from senas.execution.worker import release_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is another one")
def test_a_worker_gives_back_the_memory_that_a_trial_no_longer_needs():
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    blocks = [bytes(20_000) for _ in range(10_000)]
    kept = blocks[::100]  # so that the allocator cannot do it by itself
    del blocks
    held = resident()
    release_memory()
    assert resident() < held - 100 * 2**20 and len(kept) == 100
