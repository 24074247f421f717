"""Measuring the latency of torch modules on this CPU.

Everything is measured together: shuffled, interleaved rounds, so that a machine that grows slower or faster in between
shifts all of it alike. The clock is the CPU time of the one thread that computes, which does not tick while another
process has the core; samples during which the thread was preempted are dropped all the same, because its caches are
cold afterwards.
"""

import platform
import resource
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from senas.errors import ProfileError

Key = TypeVar("Key", bound=Hashable)
_WARM_UP_ROUNDS = 3
_MIN_ROUNDS = 12
_MIN_SAMPLES = 4
_PATIENCE_SECONDS = 60.0  # beyond the time given, for samples that were not preempted


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """The latency of one module.

    Attributes:
        estimate_ms: mean of the lower half of the samples, what predictions are made of.
        median_ms: of all samples.
        spread_ms: half the interquartile range.
        count: samples kept.
    """

    estimate_ms: float
    median_ms: float
    spread_ms: float
    count: int

    @classmethod
    def of(cls, samples_ms: list[float]) -> "Measurement":
        """Summarise at least one sample."""
        ordered = np.sort(np.asarray(samples_ms))
        low, median, high = np.percentile(ordered, (25, 50, 75))
        return cls(
            estimate_ms=float(ordered[: (len(ordered) + 1) // 2].mean()),
            median_ms=float(median),
            spread_ms=float(high - low) / 2,
            count=len(ordered),
        )


def measure(
    modules: Mapping[Key, tuple[nn.Module, tuple[int, ...]]],
    *,
    seconds: float,
    seed: int,
    progress: Callable[[float], None] = lambda _: None,
) -> dict[Key, Measurement]:
    """Measure modules in evaluation mode, in eager execution on one thread.

    Args:
        modules: each with the shape of its input, batch included; inputs are drawn from a normal distribution.
        seconds: how long to go on; at least a dozen rounds are made however long they take.
        seed: of the inputs and of the order within each round.
        progress: told the share done, in [0, 1], after each round.

    Raises:
        ProfileError: the machine is too busy for enough samples without preemption.
    """
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    inputs = {key: torch.randn(shape, generator=generator) for key, (_, shape) in modules.items()}
    samples: dict[Key, list[float]] = {key: [] for key in modules}
    keys = list(modules)
    with _one_thread(), torch.inference_mode():
        for key in keys * _WARM_UP_ROUNDS:
            modules[key][0].eval()(inputs[key])
        start, rounds = time.monotonic(), 0
        while (
            rounds < _MIN_ROUNDS or time.monotonic() - start < seconds or min(map(len, samples.values())) < _MIN_SAMPLES
        ):
            if rounds >= _MIN_ROUNDS and time.monotonic() - start > seconds + _PATIENCE_SECONDS:
                worst = min(samples, key=lambda key: len(samples[key]))
                raise ProfileError(
                    f"measuring {worst}: found {len(samples[worst])} samples in {rounds} rounds during which this "
                    f"process kept its core, expected at least {_MIN_SAMPLES}; the machine is too busy"
                )
            for index in rng.permutation(len(keys)):
                key = keys[index]
                sample = _sample_ms(modules[key][0], inputs[key])
                if sample is not None:
                    samples[key].append(sample)
            rounds += 1
            progress(min(1.0, max(time.monotonic() - start, 1e-9) / max(seconds, 1e-9), rounds / _MIN_ROUNDS))
    return {key: Measurement.of(values) for key, values in samples.items()}


def cpu_name() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _sample_ms(module: nn.Module, data: Tensor) -> float | None:
    """CPU time of one call whose caches the call before it has warmed; `None` where the thread was preempted."""
    module(data)
    preemptions = _preemptions()
    start = time.thread_time_ns()
    module(data)
    elapsed = time.thread_time_ns() - start
    return elapsed / 1e6 if _preemptions() == preemptions else None


def _preemptions() -> int:
    """Involuntary context switches of this thread so far; constant where the platform does not count them."""
    thread = getattr(resource, "RUSAGE_THREAD", None)
    return 0 if thread is None else resource.getrusage(thread).ru_nivcsw


@contextmanager
def _one_thread():
    """Compute on the calling thread alone, so that its clock sees all the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
