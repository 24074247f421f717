"""Measuring on an NVIDIA GPU, with CUDA events.

`graph` replays a CUDA graph, which is how a small network has to be run to be bound by the device and not by the host
that launches it: device time alone. `eager` launches kernel by kernel and takes the time from the first launch to the
end of the last kernel, and apart from it how long the host took to launch them.
"""

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from senas.errors import ProfileError
from senas.latency.bench import Conditions, TakeSample, ready_images, ready_module
from senas.latency.identity import Mode, this_device
from senas.latency.measurement import Sample
from senas.latency.nvml import Reading, open_gpu

_SAMPLE_MS = 0.5  # a sample lasts at least as long, so that what a replay costs by itself is shared out
_MAX_PASSES = 64  # forward passes in one graph
_MEMORY_SHARE = 0.002  # of the memory free at the start, for all copies of one module
_CACHES = 2  # weights further apart than so many caches are out of the cache for certain
_WARM_UP_PASSES = 3


class CudaBench:
    """The current CUDA device.

    Weights and images rotate among copies: alone, a part would find its weights in the cache that a whole network has
    filled with others in the meantime.

    Args:
        mode: `graph` or `eager`.
        reuse_bytes: weights between two uses of one weight; 0 for whole networks, which bring their own distance.
    """

    clock = "CUDA events"

    def __init__(self, mode: Mode, *, reuse_bytes: int = 0):
        device = this_device("cuda")
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        cache_bytes = int(getattr(properties, "L2_cache_size", 0)) or reuse_bytes
        free_bytes, _ = torch.cuda.mem_get_info()
        self.mode = mode
        self._reuse_bytes = min(reuse_bytes, _CACHES * cache_bytes)
        self._copy_bytes = int(_MEMORY_SHARE * free_bytes)
        self._gpu = open_gpu(str(getattr(properties, "uuid", "")))
        self._readings: list[Reading] = []
        self._pool: Any = torch.cuda.graph_pool_handle()
        self.device = device if self._gpu is None else replace(device, driver=self._gpu.driver)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Round products to TF32 where the mode says so, and nowhere else."""
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        with ExitStack() as stack:
            for library in (matmul, cudnn):
                stack.callback(setattr, library, "allow_tf32", library.allow_tf32)
                setattr(library, "allow_tf32", self.mode.dtype == "tf32")  # noqa: B010  # not a declared attribute
            stack.enter_context(torch.inference_mode())
            yield
            torch.cuda.synchronize()

    def prepare(self, module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> TakeSample:
        """A sample is the mean over forward passes that follow each other without a pause, or one eager pass.

        Raises:
            ProfileError: the module does not fit into the memory of the device.
        """
        try:
            module = ready_module(module, self.mode, "cuda")
            images = ready_images(shape, self.mode, generator, "cuda")
            weight_bytes = sum(weight.numel() * weight.element_size() for weight in module.parameters())
            image_bytes = images.numel() * images.element_size()
            passes: list[Callable[[], Tensor]] = []
            for number in range(copies(weight_bytes, image_bytes, self._reuse_bytes, self._copy_bytes)):
                run = copy.deepcopy(module) if number else module
                data = ready_images(shape, self.mode, generator, "cuda") if number else images
                passes.append(lambda run=run, data=data: run(data))
            sample = _eager(passes) if self.mode.execution == "eager" else _replayed(passes, self._pool)
        except torch.OutOfMemoryError:
            total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
            raise ProfileError(
                f"batch: found {self.mode.batch}, which does not fit into the {total / 2**30:.0f} GiB of "
                f"{self.device.name} with everything else that is measured; allowed: a smaller one"
            ) from None
        return lambda: self._unless_throttled(sample)

    def conditions(self) -> Conditions | None:
        """What was read during the samples; `None` where NVML is not there."""
        if not self._readings:
            return None

        def span(name: str) -> tuple[float, float] | None:
            values = [value for reading in self._readings if (value := getattr(reading, name)) is not None]
            return (min(values), max(values)) if values else None

        flags = [reading.throttled for reading in self._readings if reading.throttled is not None]
        return Conditions(
            sm_clock_mhz=span("sm_clock_mhz"),
            power_w=span("power_w"),
            temperature_c=span("temperature_c"),
            readings=len(self._readings),
            throttled=sum(flags) if flags else None,
        )

    def _unless_throttled(self, sample: Callable[[Callable[[], None]], Sample]) -> Sample | None:
        """A sample, the GPU asked for its state while it works."""
        gpu, readings = self._gpu, self._readings
        if gpu is None:
            return sample(lambda: None)
        taken = sample(lambda: readings.append(gpu.read()))
        return None if readings[-1].throttled else taken


def copies(weight_bytes: int, image_bytes: int, reuse_bytes: int, memory_bytes: int) -> int:
    """How many copies of a part rotate.

    So many that the bytes between two uses of one weight are those of a whole network, as far as memory allows.

    Args:
        weight_bytes: of the part.
        image_bytes: that flow into it.
        reuse_bytes: between two uses of a weight in a whole network, 0 for no rotation.
        memory_bytes: for all copies.
    """
    size = max(1, weight_bytes + image_bytes)
    return max(1, min(math.ceil(reuse_bytes / size), memory_bytes // size, _MAX_PASSES))


def _replayed(passes: list[Callable[[], Tensor]], pool: Any) -> Callable[[Callable[[], None]], Sample]:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # lets libraries allocate and choose before anything is recorded
        for forward in passes * _WARM_UP_PASSES:
            forward()
        start.record()
        for forward in passes:
            forward()
        end.record()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    turns = math.ceil(_SAMPLE_MS / max(start.elapsed_time(end), 1e-3))  # of the rotation; launches make it look longer
    rotation = passes * max(1, min(turns, _MAX_PASSES // len(passes)))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        for forward in rotation:
            forward()

    def replay(times: int, meanwhile: Callable[[], None] = lambda: None) -> float:
        """Milliseconds of one pass; the replay before the first event keeps the GPU busy while the host catches up."""
        graph.replay()
        start.record()
        for _ in range(times):
            graph.replay()
        end.record()
        meanwhile()
        end.synchronize()
        return start.elapsed_time(end) / (times * len(rotation))

    replay(1)
    times = max(1, math.ceil(_SAMPLE_MS / max(replay(1) * len(rotation), 1e-3)))
    return lambda meanwhile: Sample(replay(times, meanwhile))


def _eager(passes: list[Callable[[], Tensor]]) -> Callable[[Callable[[], None]], Sample]:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    turns = itertools.cycle(passes)

    def sample(meanwhile: Callable[[], None]) -> Sample:
        forward = next(turns)
        torch.cuda.synchronize()
        start.record()
        began = time.perf_counter_ns()
        forward()
        host_ms = (time.perf_counter_ns() - began) / 1e6
        end.record()
        meanwhile()
        end.synchronize()
        return Sample(start.elapsed_time(end), host_ms)

    for _ in range(_WARM_UP_PASSES * len(passes)):
        sample(lambda: None)
    return sample
