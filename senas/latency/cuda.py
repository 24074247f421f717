"""Measuring on an NVIDIA GPU, with CUDA events.

`graph` replays a CUDA graph, which is how a small network has to be run to be bound by the device and not by the host
that launches it; `eager` launches kernel by kernel and tells the time of the host apart.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from senas.latency.bench import Conditions, TakeSample, ready_images, ready_module
from senas.latency.identity import Mode, this_device
from senas.latency.measurement import Sample
from senas.latency.nvml import Gpu, open_gpu

_FORWARD_PASSES = 8  # in one graph at least, so that what a replay costs by itself is shared out
_MAX_COPIES = 64
_MEMORY_SHARE = 0.002  # of the free memory, for the copies of one module
_SAMPLE_MS = 0.5  # one sample replays the graph for as long at least
_WARM_UP_PASSES = 3
_RECOVERY_SECONDS = 0.2


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
        self.mode = mode
        self._index = torch.cuda.current_device()
        properties = torch.cuda.get_device_properties(self._index)
        cache_bytes = int(getattr(properties, "L2_cache_size", 0))
        self._reuse_bytes = min(reuse_bytes, 2 * cache_bytes) if cache_bytes else reuse_bytes
        self._gpu: Gpu | None = open_gpu(str(getattr(properties, "uuid", "")))
        self._pool = torch.cuda.graph_pool_handle()
        self.device = device if self._gpu is None else replace(device, driver=self._gpu.driver)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Round products to TF32 where the mode says so, and nowhere else."""
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        with ExitStack() as stack:
            stack.callback(setattr, matmul, "allow_tf32", matmul.allow_tf32)
            stack.callback(setattr, cudnn, "allow_tf32", cudnn.allow_tf32)
            for library in (matmul, cudnn):
                setattr(library, "allow_tf32", self.mode.dtype == "tf32")  # noqa: B010  # not a declared attribute
            stack.enter_context(torch.inference_mode())
            yield
            torch.cuda.synchronize()

    def prepare(self, module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> TakeSample:
        """A sample is the mean over forward passes that follow each other without a pause, or one eager pass."""
        module = ready_module(module, self.mode, "cuda")
        modules = [module, *(copy.deepcopy(module) for _ in range(self._copies(module) - 1))]
        images = [ready_images(shape, self.mode, generator, "cuda") for _ in modules]
        passes: list[Callable[[], Tensor]] = [
            lambda run=run, data=data: run(data) for run, data in zip(modules, images, strict=True)
        ]
        return _eager(passes) if self.mode.execution == "eager" else _replayed(passes, self._pool)

    def undisturbed(self) -> bool:
        """Whether the GPU ran at its full clock; where it did not, it is given a moment to recover."""
        if self._gpu is None or not self._gpu.read().throttled:
            return True
        time.sleep(_RECOVERY_SECONDS)
        return False

    def conditions(self) -> Conditions | None:
        """What was read after each round; `None` where NVML is not there."""
        if self._gpu is None or not self._gpu.readings:
            return None
        readings = self._gpu.readings

        def span(values: list[float]) -> tuple[float, float]:
            return min(values), max(values)

        return Conditions(
            sm_clock_mhz=span([reading.sm_clock_mhz for reading in readings]),
            power_w=span([reading.power_w for reading in readings]),
            temperature_c=span([reading.temperature_c for reading in readings]),
            throttled=(sum(reading.throttled for reading in readings), len(readings)),
        )

    def _copies(self, module: nn.Module) -> int:
        """So many that the weights between two uses of one weight are those of a whole network, if memory allows."""
        size = sum(weight.numel() * weight.element_size() for weight in module.parameters())
        free, _ = torch.cuda.mem_get_info(self._index)
        room = max(1, int(free * _MEMORY_SHARE / max(size, 1)))
        return min(max(1, math.ceil(self._reuse_bytes / max(size, 1))), room, _MAX_COPIES)


def _replayed(passes: list[Callable[[], Tensor]], pool: Any) -> TakeSample:
    rotation = passes * math.ceil(_FORWARD_PASSES / len(passes))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # lets libraries allocate and choose before anything is recorded
        for _ in range(_WARM_UP_PASSES):
            for forward in passes:
                forward()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        for forward in rotation:
            forward()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def replay(times: int) -> float:
        """Milliseconds of one pass; the replay before the first event keeps the GPU busy while the host catches up."""
        graph.replay()
        start.record()
        for _ in range(times):
            graph.replay()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / (times * len(rotation))

    replay(1)
    times = max(1, math.ceil(_SAMPLE_MS / max(replay(1) * len(rotation), 1e-6)))
    return lambda: Sample(replay(times))


def _eager(passes: list[Callable[[], Tensor]]) -> TakeSample:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    turn = 0

    def sample() -> Sample:
        nonlocal turn
        turn = (turn + 1) % len(passes)
        torch.cuda.synchronize()
        start.record()
        began = time.perf_counter_ns()
        passes[turn]()
        host_ms = (time.perf_counter_ns() - began) / 1e6
        end.record()
        end.synchronize()
        return Sample(start.elapsed_time(end), host_ms)

    for _ in range(_WARM_UP_PASSES * len(passes)):
        sample()
    return sample
