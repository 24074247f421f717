"""Device backend of the CPU.

The clock is the CPU time of the one computing thread, which does not advance while another process has the core. A
sample during which the thread was preempted is dropped nevertheless, because the caches are cold afterwards.
"""

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from senas.latency.devices.base import RunPass, TakeSample, ready_images, ready_module
from senas.latency.devices.environment import Device, Mode, this_device
from senas.latency.devices.readings import DeviceConditions, TimingSample
from senas.nn import compiled, unlimited_compilation

_IDLE_SECONDS = 0.1  # time over which the load of each core is observed


class CpuBackend:
    """The CPU of this machine, with one thread pinned to one core.

    Args:
        mode: How modules run; its execution is `eager` or `compiled`.
    """

    clock = "thread CPU time"

    def __init__(self, mode: Mode):
        self.device: Device = this_device("cpu")
        self.mode = mode

    @contextmanager
    def running(self) -> Iterator[None]:
        """Compute on the calling thread alone, so that its clock covers all the work, and pin it to one core."""
        threads = torch.get_num_threads()
        with ExitStack() as stack:
            stack.callback(torch.set_num_threads, threads)
            torch.set_num_threads(1)
            if hasattr(os, "sched_setaffinity"):
                stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
                os.sched_setaffinity(0, {_quietest_core(os.sched_getaffinity(0))})
            if self.mode.execution == "compiled":
                stack.enter_context(unlimited_compilation())
            stack.enter_context(torch.inference_mode())
            yield

    def prepare(self, module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> TakeSample:
        """Prepare a module; each sample is one call, made right after an untimed call that warms the caches."""
        run = self.forward_pass(module, shape, generator)

        def sample() -> TimingSample | None:
            run()
            preemptions_before = _preemption_count()
            start = time.thread_time_ns()
            run()
            elapsed = time.thread_time_ns() - start
            return TimingSample(elapsed / 1e6) if _preemption_count() == preemptions_before else None

        return sample

    def forward_pass(self, module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> RunPass:
        """Return a function that runs one forward pass."""
        images = ready_images(shape, self.mode, generator)
        run: Callable[[Tensor], Tensor] = ready_module(module, self.mode)
        if self.mode.execution == "compiled":
            run = compiled(run)
            run(images)

        return partial(run, images)

    def conditions(self) -> DeviceConditions | None:
        """Return `None`: the state of a CPU is not read."""
        return None


def _preemption_count() -> int:
    """Return the involuntary context switches of this thread so far; constant if the platform does not count them."""
    thread = getattr(resource, "RUSAGE_THREAD", None)
    return 0 if thread is None else resource.getrusage(thread).ru_nivcsw


def _quietest_core(allowed: set[int]) -> int:
    """Return the allowed core that is idle longest in a tenth of a second.

    On a tie, or if the platform does not report it, return the core with the highest number.
    """

    def idle_ticks() -> dict[int, int]:
        lines = Path("/proc/stat").read_text(encoding="utf-8").splitlines()
        cores = (line.split() for line in lines if line.startswith("cpu") and line[3].isdigit())
        return {int(name[3:]): int(times[3]) for name, *times in cores}

    try:
        before = idle_ticks()
        time.sleep(_IDLE_SECONDS)
        after = idle_ticks()
        return max(allowed, key=lambda core: (after[core] - before[core], core))
    except (OSError, KeyError, ValueError):
        return max(allowed)
