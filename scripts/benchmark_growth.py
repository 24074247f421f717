"""Growth of a long search: time per trial and resident memory of the driver over many trivial trials.

    python scripts/benchmark_growth.py --trials 5000 --strategy pareto-evolution

Exits with 1 if the last tenth of the trials took more than 1.5 times as long as the first tenth, or if the memory grew
by more than 100 MiB over the last four fifths.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import senas
from senas.execution import SearchProgress
from senas.strategies import STRATEGIES, check_strategy

_MAX_SLOWDOWN, _MAX_GROWTH_MIB = 1.5, 100.0


def trivial(arch: senas.Architecture, seed: int, report: object) -> float:  # noqa: ARG001
    """Return an accuracy that depends on the seed alone."""
    return seed % 1000 / 1000


def resident_mib() -> float:
    """Return the resident memory of this process, which drives the search."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class GrowthRecorder:
    """Progress callback that records the time and the memory at the end of each trial.

    Args:
        trials: Number of trials of the search.

    Attributes:
        ends: Time in seconds and memory in MiB at the end of each trial.
    """

    def __init__(self, trials: int):
        self._tenth = max(1, trials // 10)
        self._start: float | None = None
        self.ends: list[tuple[float, float]] = []

    def __call__(self, progress: SearchProgress) -> None:
        """Record the end of a trial; called after every start and end of one."""
        if self._start is None and progress.running:
            self._start = time.perf_counter()
        if progress.ended <= len(self.ends):
            return
        self.ends.append((time.perf_counter(), resident_mib()))
        if len(self.ends) % self._tenth == 0:
            print(f"{self.show(len(self.ends) - self._tenth)}", flush=True)

    def show(self, first: int) -> str:
        """Return a line on a tenth of the trials, which starts after the first `first`."""
        return (
            f"trials {first + 1:5d} to {first + self._tenth:5d}: {self.milliseconds(first):6.1f} ms each, "
            f"{self.ends[first + self._tenth - 1][1]:7.1f} MiB"
        )

    def milliseconds(self, first: int) -> float:
        """Return the time per trial in a tenth of them; workers start in the first and after every thousand trials."""
        assert self._start is not None
        begin = self.ends[first - 1][0] if first else self._start
        return 1e3 * (self.ends[first + self._tenth - 1][0] - begin) / self._tenth


def main() -> None:
    """Run a search, then compare its beginning with its end."""
    parser = argparse.ArgumentParser(description="Check whether a long search slows down or grows.")
    parser.add_argument("--trials", type=int, default=5000, help="Number of trials.")
    parser.add_argument("--strategy", default="pareto-evolution", help="One of " + ", ".join(STRATEGIES))
    parser.add_argument("--concurrency", type=int, default=2, help="Number of trials at a time.")
    parser.add_argument("--space", default="se-resnet-cifar", help="Shipped space or TOML file.")
    arguments = parser.parse_args()
    if arguments.trials < 100 or arguments.concurrency < 1:
        parser.error(f"--trials and --concurrency: found {arguments.trials} and {arguments.concurrency}, "
                     "allowed: at least 100 and 1")  # fmt: skip
    try:
        check_strategy(arguments.strategy)
    except senas.SenasError as error:
        parser.error(str(error))
    recorder = GrowthRecorder(arguments.trials)
    with tempfile.TemporaryDirectory() as folder:
        senas.search(
            senas.load_space(arguments.space),
            evaluate=trivial,
            out=Path(folder) / "run",
            strategy=arguments.strategy,
            trials=arguments.trials,
            concurrency=arguments.concurrency,
            on_progress=recorder,
        )
        journal = (Path(folder) / "run" / "journal.sqlite").stat().st_size / 2**20
    tenth = arguments.trials // 10
    slowdown = recorder.milliseconds(arguments.trials - tenth) / recorder.milliseconds(0)
    growth_mib = recorder.ends[-1][1] - recorder.ends[len(recorder.ends) // 5][1]
    print(f"the last tenth takes {slowdown:.2f} times as long as the first (allowed: {_MAX_SLOWDOWN})")
    print(f"memory grew by {growth_mib:.1f} MiB over the last four fifths (allowed: {_MAX_GROWTH_MIB:g}); ", end="")
    print(f"the journal has {journal:.1f} MiB")
    if slowdown > _MAX_SLOWDOWN or growth_mib > _MAX_GROWTH_MIB:
        sys.exit(1)


if __name__ == "__main__":
    main()
