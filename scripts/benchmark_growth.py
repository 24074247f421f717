"""Whether a long search slows down or grows: time per trial and the driver's resident memory over many trivial trials.

    python scripts/benchmark_growth.py --trials 5000 --strategy pareto-evolution

Exits with 1 where the last tenth of the trials took more than 1.5 times as long as the first tenth, or where the memory
grew by more than 100 MiB over the last four fifths.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import senas
from senas.searching.loop import SearchProgress
from senas.strategies.table import STRATEGIES, check_strategy

_SLOWER, _LARGER_MIB = 1.5, 100.0


def trivial(arch: senas.Architecture, seed: int, report: object) -> float:  # noqa: ARG001
    """An accuracy made of the seed alone."""
    return seed % 1000 / 1000


def resident_mib() -> float:
    """Of this process, which drives the search."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Watch:
    """Notes when each trial ended, and the memory then."""

    def __init__(self, trials: int):
        self._step = max(1, trials // 10)
        self._began: float | None = None
        self.ends: list[tuple[float, float]] = []

    def __call__(self, progress: SearchProgress) -> None:
        """Called after every start and end of a trial."""
        if self._began is None and progress.running:
            self._began = time.perf_counter()
        if progress.ended <= len(self.ends):
            return
        self.ends.append((time.perf_counter(), resident_mib()))
        if len(self.ends) % self._step == 0:
            print(f"{self.show(len(self.ends) - self._step)}", flush=True)

    def show(self, first: int) -> str:
        """A tenth of the trials in a line."""
        return (
            f"trials {first + 1:5d} to {first + self._step:5d}: {self.milliseconds(first):6.1f} ms each, "
            f"{self.ends[first + self._step - 1][1]:7.1f} MiB"
        )

    def milliseconds(self, first: int) -> float:
        """Per trial, of a tenth of them; workers start in the first one and again every thousand trials."""
        assert self._began is not None
        begin = self.ends[first - 1][0] if first else self._began
        return 1e3 * (self.ends[first + self._step - 1][0] - begin) / self._step


def main() -> None:
    """Search, then compare the beginning with the end."""
    parser = argparse.ArgumentParser(description="Whether a long search slows down or grows.")
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--strategy", default="pareto-evolution", help="one of " + ", ".join(STRATEGIES))
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--space", default="se-resnet-cifar")
    arguments = parser.parse_args()
    if arguments.trials < 100 or arguments.concurrency < 1:
        parser.error(f"--trials and --concurrency: found {arguments.trials} and {arguments.concurrency}, "
                     "allowed: at least 100 and 1")  # fmt: skip
    check_strategy(arguments.strategy)
    watch = Watch(arguments.trials)
    with tempfile.TemporaryDirectory() as folder:
        senas.search(
            senas.load_space(arguments.space),
            evaluate=trivial,
            out=Path(folder) / "run",
            strategy=arguments.strategy,
            trials=arguments.trials,
            concurrency=arguments.concurrency,
            on_progress=watch,
        )
        journal = (Path(folder) / "run" / "journal.sqlite").stat().st_size / 2**20
    tenth = arguments.trials // 10
    slower = watch.milliseconds(arguments.trials - tenth) / watch.milliseconds(0)
    larger = watch.ends[-1][1] - watch.ends[len(watch.ends) // 5][1]
    print(f"the last tenth takes {slower:.2f} times as long as the first (allowed: {_SLOWER})")
    print(f"memory grew by {larger:.1f} MiB over the last four fifths (allowed: {_LARGER_MIB:g}); ", end="")
    print(f"the journal has {journal:.1f} MiB")
    if slower > _SLOWER or larger > _LARGER_MIB:
        sys.exit(1)


if __name__ == "__main__":
    main()
