"""Measuring on this CPU.

The clock is the CPU time of the one thread that computes, which does not tick while another process has the core. A
sample during which the thread was preempted is dropped all the same, because its caches are cold afterwards.
"""

import os
import resource
import time
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from senas.latency.bench import Conditions, TakeSample, ready_images, ready_module
from senas.latency.identity import Device, Mode, this_device
from senas.latency.measurement import Sample

_COMPILED_AT_ONCE = 100_000


class CpuBench:
    """This CPU, one thread pinned to one core.

    Args:
        mode: `eager` or `compiled`.
    """

    clock = "thread CPU time"

    def __init__(self, mode: Mode):
        self.device: Device = this_device("cpu")
        self.mode = mode

    @contextmanager
    def running(self) -> Iterator[None]:
        """Compute on the calling thread alone, so that its clock sees all the work, and keep it on one core."""
        threads = torch.get_num_threads()
        with ExitStack() as stack:
            stack.callback(torch.set_num_threads, threads)
            torch.set_num_threads(1)
            if hasattr(os, "sched_setaffinity"):
                stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
                os.sched_setaffinity(0, {_quietest_core(os.sched_getaffinity(0))})
            if self.mode.execution == "compiled":
                stack.enter_context(_compiling_much())
            stack.enter_context(torch.inference_mode())
            yield

    def prepare(self, module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> TakeSample:
        """Each sample is one call whose caches the call before it has warmed."""
        images = ready_images(shape, self.mode, generator)
        run: Callable[[Tensor], Tensor] = ready_module(module, self.mode)
        if self.mode.execution == "compiled":
            run = _compiled(run)
            run(images)

        def sample() -> Sample | None:
            run(images)
            preemptions = _preemptions()
            start = time.thread_time_ns()
            run(images)
            elapsed = time.thread_time_ns() - start
            return Sample(elapsed / 1e6) if _preemptions() == preemptions else None

        return sample

    def conditions(self) -> Conditions | None:
        """A CPU is not asked."""
        return None


def _compiled(module: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The module compiled under a code object of its own.

    torch.compile keeps what it compiled with the code object and looks through all of it at every call: modules that
    share the code of `nn.Sequential` would slow each other down.
    """

    def forward(images: Tensor) -> Tensor:
        return module(images)

    own = types.FunctionType(forward.__code__.replace(), globals(), "forward", None, forward.__closure__)
    return torch.compile(own, fullgraph=True, dynamic=False)


@contextmanager
def _compiling_much() -> Iterator[None]:
    """Let torch.compile compile as many modules as there are, where it would give up after a few."""
    import torch._dynamo.config as dynamo

    with dynamo.patch(recompile_limit=_COMPILED_AT_ONCE, accumulated_recompile_limit=_COMPILED_AT_ONCE):
        yield


def _preemptions() -> int:
    """Involuntary context switches of this thread so far; constant where the platform does not count them."""
    thread = getattr(resource, "RUSAGE_THREAD", None)
    return 0 if thread is None else resource.getrusage(thread).ru_nivcsw


def _quietest_core(allowed: set[int]) -> int:
    """The core of those allowed that has been idle for longest in a tenth of a second; the last one where all have."""

    def idle() -> dict[int, int]:
        lines = Path("/proc/stat").read_text(encoding="utf-8").splitlines()
        cores = (line.split() for line in lines if line.startswith("cpu") and line[3].isdigit())
        return {int(name[3:]): int(times[3]) for name, *times in cores}

    try:
        before = idle()
        time.sleep(0.1)
        after = idle()
        return max(allowed, key=lambda core: (after[core] - before[core], core))
    except (OSError, KeyError, ValueError):
        return max(allowed)
