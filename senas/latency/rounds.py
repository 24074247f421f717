"""The protocol of measuring, the same on every device: shuffled, interleaved rounds.

Everything is measured together, so that a machine that grows slower or faster in between shifts all of it alike.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from senas.errors import ProfileError
from senas.latency.bench import Bench
from senas.latency.measurement import Measurement, Sample, interval

Modules = Mapping[str, tuple[nn.Module, tuple[int, ...]]]

_STEADY = 0.02  # a warm-up round this close to the fastest so far is as warm as it gets
_WARM_UP_ROUNDS = 2, 30  # at least, at most
_MIN_SAMPLES = 4
_PATIENCE_SECONDS = 60.0  # beyond the time given, for samples that nothing disturbed


class Rounds:
    """Modules under measurement.

    Args:
        bench: where they run; must be running.
        modules: by name, each with the shape of its input, batch included.
        seed: of the images and of the order within each round.
        progress: told the share of the modules that are ready, in (0, 1].
    """

    def __init__(
        self, bench: Bench, modules: Modules, *, seed: int, progress: Callable[[float], None] = lambda _: None
    ):
        self._rng = np.random.default_rng(seed)
        generator = torch.Generator().manual_seed(seed)
        self._takers = {}
        for number, (name, (module, shape)) in enumerate(modules.items(), start=1):
            self._takers[name] = bench.prepare(module, shape, generator)
            progress(number / len(modules))
        self._names = list(modules)
        self._warm = False
        self.samples: dict[str, list[Sample]] = {name: [] for name in modules}
        self.rounds = 0
        self.dropped = 0

    def go_on(
        self,
        *,
        seconds: float,
        target: float,
        rounds: int,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Measure on, until every estimate is sure enough or the time is up.

        Args:
            seconds: the limit, which the least number of rounds may exceed.
            target: width of the 95 % interval of each estimate, as a share of it, that is sure enough.
            rounds: the least number to add.
            progress: told the share of the limit that is used up, in [0, 1].

        Raises:
            ProfileError: too few samples remained undisturbed.
        """
        self._warm_up()
        start, goal, check = time.monotonic(), self.rounds + rounds, self.rounds + rounds
        while True:
            used = time.monotonic() - start
            progress(min(1.0, used / max(seconds, 1e-9)))
            if self.rounds >= goal and used >= seconds and self._least() >= _MIN_SAMPLES:
                return
            if used > seconds + _PATIENCE_SECONDS and self.rounds >= goal:
                self._give_up()
            if self.rounds >= check and self._least() >= _MIN_SAMPLES:
                if self.widest() <= target:
                    return
                check = self.rounds + max(4, self.rounds // 4)
            self._round()

    def widest(self) -> float:
        """The widest 95 % interval of all estimates, as a share of its estimate."""
        return max(interval(np.sort([sample.ms for sample in samples])) for samples in self.samples.values())

    def results(self) -> dict[str, Measurement]:
        """What has been measured so far."""
        return {name: Measurement.of(samples) for name, samples in self.samples.items()}

    def _warm_up(self) -> None:
        """Rounds that count for nothing: at first until one is no slower than those before it, later a single one."""
        least, most = (1, 1) if self._warm else _WARM_UP_ROUNDS
        fastest = float("inf")
        for number in range(1, most + 1):
            start = time.monotonic()
            for take in self._takers.values():
                take()
            taken = time.monotonic() - start
            if number >= least and taken <= (1 + _STEADY) * fastest:
                break
            fastest = min(fastest, taken)
        self._warm = True

    def _round(self) -> None:
        for index in self._rng.permutation(len(self._names)):
            name = self._names[index]
            sample = self._takers[name]()
            if sample is None:
                self.dropped += 1
            else:
                self.samples[name].append(sample)
        self.rounds += 1

    def _least(self) -> int:
        return min(map(len, self.samples.values()))

    def _give_up(self) -> None:
        worst = min(self.samples, key=lambda name: len(self.samples[name]))
        raise ProfileError(
            f"measuring {worst}: found {len(self.samples[worst])} samples in {self.rounds} rounds that nothing "
            f"disturbed, expected at least {_MIN_SAMPLES}; the machine is too busy or throttled"
        )
