"""Wall-clock time of a network, as whoever waits for it sees it, with what else the machine does."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from senas.latency.devices import DeviceKind, Mode, open_device

_WALL_CLOCK_SECONDS = 2.0
_MIN_PASSES = 40  # so that two lie beyond the 95th percentile
_MIN_WARM_UP_PASSES, _WARM_UP_SHARE = 3, 0.2


@dataclass(frozen=True, kw_only=True)
class WallClock:
    """Wall-clock time of one forward pass.

    Attributes:
        median_ms: Median over all passes.
        high_ms: 95th percentile over all passes.
        passes: Number of passes.
        threads: Number of CPU threads that computed.
    """

    median_ms: float
    high_ms: float
    passes: int
    threads: int


def measure_wall_clock(
    network: nn.Module, device: DeviceKind, mode: Mode, *, seconds: float = _WALL_CLOCK_SECONDS, seed: int = 0
) -> WallClock:
    """Measure the wall-clock time of a network on this machine.

    Args:
        network: Network, which is put into evaluation mode and cast to the mode's type.
        device: Kind of device.
        mode: How the network is run.
        seconds: Time limit, with the warm-up; the minimum number of passes may exceed it.
        seed: Random seed for the images.

    Raises:
        ProfileError: This machine has no such device.
    """
    backend = open_device(device, mode)
    times_ms: list[float] = []
    with backend.running():
        shape = mode.input.shape.batch(mode.batch)
        forward = backend.forward_pass(network, shape, torch.Generator().manual_seed(seed))
        start, warm = time.monotonic(), 0
        while warm < _MIN_WARM_UP_PASSES or time.monotonic() - start < _WARM_UP_SHARE * seconds:
            forward()
            warm += 1
        while len(times_ms) < _MIN_PASSES or time.monotonic() - start < seconds:
            began = time.perf_counter_ns()
            forward()
            times_ms.append((time.perf_counter_ns() - began) / 1e6)
    median, high = np.percentile(times_ms, (50, 95))
    return WallClock(median_ms=float(median), high_ms=float(high), passes=len(times_ms), threads=mode.threads)
