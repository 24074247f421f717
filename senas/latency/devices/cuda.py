"""Device backend of NVIDIA GPUs, timed with CUDA events.

`graph` replays a CUDA graph and measures device time alone. Small networks need it: launched kernel by kernel, they
are limited by the host, not by the device. Its SE blocks are fused (`senas.nn.fused`), which saves device time but no
launches of the host. `eager` launches kernel by kernel and measures the time from the first
launch to the end of the last kernel, and separately how long the host took to launch them.
"""

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from senas.errors import ProfileError
from senas.latency.devices.base import RunPass, TakeSample, ready_images, ready_module
from senas.latency.devices.environment import Mode, this_device
from senas.latency.devices.nvml import Reading, open_gpu
from senas.latency.devices.readings import DeviceConditions, TimingSample
from senas.nn import fuse_squeeze_excite, has_triton, tf32_products

_SAMPLE_MS = 0.5  # minimum length of a sample, so that the fixed cost of a replay is spread over many passes
_MAX_PASSES = 64  # forward passes in one graph
_MEMORY_SHARE = 0.002  # share of the memory free at the start that all copies of one module may take
_EVICTING_CACHES = 2  # a weight is certainly evicted once this many cache sizes of other data were used
_WARM_UP_PASSES = 3


class CudaBackend:
    """The current CUDA device.

    Each part rotates among copies of its weights and images. A part that runs alone would otherwise find its weights
    in the cache, while in a whole network other weights have replaced them in the meantime.

    Args:
        mode: How modules run; its execution is `graph` or `eager`.
        reuse_bytes: Bytes of weights that are used between two uses of one weight; 0 for whole networks, which need no
            rotation.
    """

    clock = "CUDA events"

    def __init__(self, mode: Mode, *, reuse_bytes: int = 0):
        device = this_device("cuda")
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        cache_bytes = int(getattr(properties, "L2_cache_size", 0)) or reuse_bytes
        free_bytes, _ = torch.cuda.mem_get_info()
        self.mode = mode
        self._reuse_bytes = min(reuse_bytes, _EVICTING_CACHES * cache_bytes)
        self._copy_bytes = int(_MEMORY_SHARE * free_bytes)
        self._gpu = open_gpu(str(getattr(properties, "uuid", "")))
        self._readings: list[Reading] = []
        self._pool: Any = torch.cuda.graph_pool_handle()
        self.device = device if self._gpu is None else replace(device, driver=self._gpu.driver)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Set TF32 as the mode requires and enter inference mode; restore both at the end."""
        with tf32_products(self.mode.dtype == "tf32"), torch.inference_mode():
            yield
            torch.cuda.synchronize()

    def prepare(self, module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> TakeSample:
        """Prepare a module; a sample is the mean over back-to-back forward passes of a graph, or one eager pass.

        Raises:
            ProfileError: The module does not fit into the memory of the device.
        """
        try:
            if self.mode.execution == "graph" and has_triton():
                module = fuse_squeeze_excite(module)
            module = ready_module(module, self.mode, "cuda")
            images = ready_images(shape, self.mode, generator, "cuda")
            weight_bytes = sum(weight.numel() * weight.element_size() for weight in module.parameters())
            image_bytes = images.numel() * images.element_size()
            passes: list[Callable[[], Tensor]] = []
            for number in range(copies(weight_bytes, image_bytes, self._reuse_bytes, self._copy_bytes)):
                network = _copied(module) if number else module
                data = ready_images(shape, self.mode, generator, "cuda") if number else images
                passes.append(lambda network=network, data=data: network(data))
            sample = _eager_sampler(passes) if self.mode.execution == "eager" else _graph_sampler(passes, self._pool)
        except torch.OutOfMemoryError:
            total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
            raise ProfileError(
                f"batch: found {self.mode.batch}, too large for the {total / 2**30:.0f} GiB of {self.device.name} "
                "together with everything else that is measured, allowed: a smaller one"
            ) from None
        return lambda: self._sample_unless_throttled(sample)

    def forward_pass(self, module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> RunPass:
        """Return a function that launches one forward pass, or replays its graph, and waits for its end."""
        graphed = self.mode.execution == "graph"
        if graphed and has_triton():
            module = fuse_squeeze_excite(module)
        forward = partial(ready_module(module, self.mode, "cuda"), ready_images(shape, self.mode, generator, "cuda"))
        launch = _captured(forward, self._pool) if graphed else forward

        def run() -> None:
            launch()
            torch.cuda.synchronize()

        return run

    def conditions(self) -> DeviceConditions | None:
        """Return the readings of the samples so far, summarized; `None` if NVML is missing."""
        if not self._readings:
            return None

        def span(name: str) -> tuple[float, float] | None:
            values = [value for reading in self._readings if (value := getattr(reading, name)) is not None]
            return (min(values), max(values)) if values else None

        flags = [reading.throttled for reading in self._readings if reading.throttled is not None]
        return DeviceConditions(
            sm_clock_mhz=span("sm_clock_mhz"),
            power_w=span("power_w"),
            temperature_c=span("temperature_c"),
            readings=len(self._readings),
            throttled=sum(flags) if flags else None,
        )

    def _sample_unless_throttled(self, sample: Callable[[Callable[[], None]], TimingSample]) -> TimingSample | None:
        """Take a sample and read the state of the GPU while it works; `None` if the GPU was throttled."""
        gpu, readings = self._gpu, self._readings
        if gpu is None:
            return sample(lambda: None)
        timed = sample(lambda: readings.append(gpu.read()))
        return None if readings[-1].throttled else timed


def _captured(forward: Callable[[], object], pool: Any) -> Callable[[], None]:
    """Return a function that replays a CUDA graph of one forward pass, captured after some on a side stream."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UP_PASSES):
            forward()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        forward()
    return graph.replay


def _copied(module: nn.Module) -> nn.Module:
    """Return a copy with weights that are no inference tensors, which CUDA's layers refuse."""
    with torch.inference_mode(False):
        return copy.deepcopy(module)


def copies(weight_bytes: int, image_bytes: int, reuse_bytes: int, memory_bytes: int) -> int:
    """Return the number of copies of a part to rotate among.

    With this number, as many bytes are used between two uses of one weight as in a whole network, as far as memory
    allows.

    Args:
        weight_bytes: Size of the part's weights.
        image_bytes: Size of the part's input.
        reuse_bytes: Bytes between two uses of a weight in a whole network; 0 for no rotation.
        memory_bytes: Memory available for all copies.
    """
    size = max(1, weight_bytes + image_bytes)
    return max(1, min(math.ceil(reuse_bytes / size), memory_bytes // size, _MAX_PASSES))


def _graph_sampler(passes: list[Callable[[], Tensor]], pool: Any) -> Callable[[Callable[[], None]], TimingSample]:
    """Return a function that times replays of a CUDA graph of the passes and calls its argument while they run."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # lets libraries allocate memory and choose kernels before the graph is captured
        for forward in passes * _WARM_UP_PASSES:
            forward()
        start.record()
        for forward in passes:
            forward()
        end.record()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    # rotations to fill a sample; rather too few, since the elapsed time includes the launches
    turns = math.ceil(_SAMPLE_MS / max(start.elapsed_time(end), 1e-3))
    rotation = passes * max(1, min(turns, _MAX_PASSES // len(passes)))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        for forward in rotation:
            forward()

    def replay(times: int, meanwhile: Callable[[], None] = lambda: None) -> float:
        """Return the milliseconds of one pass; an untimed replay first keeps the GPU busy while the host enqueues."""
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
    return lambda meanwhile: TimingSample(replay(times, meanwhile))


def _eager_sampler(passes: list[Callable[[], Tensor]]) -> Callable[[Callable[[], None]], TimingSample]:
    """Return a function that times one eager pass, each time the next one, and calls its argument while it runs."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    turns = itertools.cycle(passes)

    def sample(meanwhile: Callable[[], None]) -> TimingSample:
        forward = next(turns)
        torch.cuda.synchronize()
        start.record()
        began = time.perf_counter_ns()
        forward()
        host_ms = (time.perf_counter_ns() - began) / 1e6
        end.record()
        meanwhile()
        end.synchronize()
        return TimingSample(start.elapsed_time(end), host_ms)

    for _ in range(_WARM_UP_PASSES * len(passes)):
        sample(lambda: None)
    return sample
