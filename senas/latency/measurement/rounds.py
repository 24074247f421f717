"""Measurement protocol, the same on every device: shuffled, interleaved rounds over all modules.

All modules are measured together, so that they are affected alike if the machine becomes slower or faster meanwhile.
"""

import time
from collections.abc import Callable, Mapping
from typing import NoReturn

import numpy as np
import torch
from torch import nn

from senas.errors import ProfileError
from senas.latency.devices import DeviceBackend, TimingSample
from senas.latency.measurement.samples import Measurement, interval

Modules = Mapping[str, tuple[nn.Module, tuple[int, ...]]]

_WARM_TOLERANCE = 0.02  # warm-up ends with a round at most this share slower than the fastest before it
_MIN_WARM_UP_ROUNDS, _MAX_WARM_UP_ROUNDS = 2, 30
_MIN_SAMPLES = 4
_PATIENCE_SECONDS = 60.0  # extra time beyond the limit to get enough undisturbed samples


class Rounds:
    """Modules that are measured together, with their samples.

    Args:
        backend: Device backend that runs them; it must be running.
        modules: Modules by name, each with the shape of its input, batch included.
        seed: Random seed for the images and the order within each round.
        progress: Function that is told the share of the modules prepared, in (0, 1].

    Attributes:
        samples: Samples of each module so far, by name.
        rounds: Number of rounds so far.
        dropped: Number of samples that were dropped because something disturbed them.
        sample_seconds: Time that a sample of each module took in the fastest warm-up round, by name.
    """

    def __init__(
        self, backend: DeviceBackend, modules: Modules, *, seed: int, progress: Callable[[float], None] = lambda _: None
    ):
        self._rng = np.random.default_rng(seed)
        generator = torch.Generator().manual_seed(seed)
        self._take_sample = {}
        for number, (name, (module, shape)) in enumerate(modules.items(), start=1):
            self._take_sample[name] = backend.prepare(module, shape, generator)
            progress(number / len(modules))
        self._names = list(modules)
        self._warm = False
        self.samples: dict[str, list[TimingSample]] = {name: [] for name in modules}
        self.rounds = 0
        self.dropped = 0
        self.sample_seconds: dict[str, float] = {}

    def measure(
        self,
        *,
        seconds: float,
        target: float,
        rounds: int,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Add rounds until every estimate is precise enough or the time is up.

        Args:
            seconds: Time limit; the minimum number of rounds may exceed it.
            target: Width of the 95 % interval, as a share of the estimate, at which an estimate is precise enough.
            rounds: Minimum number of rounds to add.
            progress: Function that is told the share of the time limit used, in [0, 1].

        Raises:
            ProfileError: Too few samples were undisturbed.
        """
        self.warm_up()
        start, min_rounds, next_check = time.monotonic(), self.rounds + rounds, self.rounds + rounds
        while True:
            elapsed = time.monotonic() - start
            progress(min(1.0, elapsed / max(seconds, 1e-9)))
            if self.rounds >= min_rounds and elapsed >= seconds and self._fewest_samples() >= _MIN_SAMPLES:
                return
            if elapsed > seconds + _PATIENCE_SECONDS and self.rounds >= min_rounds:
                self._raise_too_few_samples()
            if self.rounds >= next_check and self._fewest_samples() >= _MIN_SAMPLES:
                if self.widest_interval() <= target:
                    return
                next_check = self.rounds + max(4, self.rounds // 4)
            self._round()

    def widest_interval(self) -> float:
        """Return the width of the widest 95 % interval of all estimates, as a share of its estimate."""
        return max(interval(np.sort([sample.ms for sample in samples])) for samples in self.samples.values())

    def results(self) -> dict[str, Measurement]:
        """Return the measurements so far, by name."""
        return {name: Measurement.from_samples(samples) for name, samples in self.samples.items()}

    def warm_up(self) -> None:
        """Run discarded warm-up rounds.

        The first call continues until a round is at most 2 % slower than the fastest before it; later calls run one.
        """
        at_least, at_most = (1, 1) if self._warm else (_MIN_WARM_UP_ROUNDS, _MAX_WARM_UP_ROUNDS)
        fastest = float("inf")
        for number in range(1, at_most + 1):
            taken = {name: _timed(take_sample) for name, take_sample in self._take_sample.items()}
            seconds = sum(taken.values())
            steady = seconds <= (1 + _WARM_TOLERANCE) * fastest
            if seconds < fastest:
                fastest, self.sample_seconds = seconds, taken
            if number >= at_least and steady:
                break
        self._warm = True

    def _round(self) -> None:
        """Take one sample of each module, in random order."""
        for index in self._rng.permutation(len(self._names)):
            name = self._names[index]
            sample = self._take_sample[name]()
            if sample is None:
                self.dropped += 1
            else:
                self.samples[name].append(sample)
        self.rounds += 1

    def _fewest_samples(self) -> int:
        """Return the number of samples of the module that has fewest."""
        return min(map(len, self.samples.values()))

    def _raise_too_few_samples(self) -> NoReturn:
        worst = min(self.samples, key=lambda name: len(self.samples[name]))
        raise ProfileError(
            f"measuring {worst}: found {len(self.samples[worst])} undisturbed samples in {self.rounds} rounds, "
            f"expected at least {_MIN_SAMPLES}; the machine is too busy or throttled"
        )


def _timed(take_sample: Callable[[], object]) -> float:
    """Return the seconds that a sample takes, with all that is not timed in it."""
    start = time.monotonic()
    take_sample()
    return time.monotonic() - start
