"""Time until the command line answers, as ratios to the time that `import torch` takes.

    python scripts/benchmark_startup.py [--run RUN] [--repeats 7]

Every command is a process of its own. A round runs each of them once, beside `import torch` and in shuffled order, so
that a machine that becomes slower or faster changes all alike; a figure is the median over rounds. Without a run, one
of 12 trials is made with a trivial evaluate function.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

import senas

_SENAS = [sys.executable, "-c", "from senas.cli import main; main()"]
_TORCH = [sys.executable, "-c", "import torch"]
_SPACE = "se-resnet-digits"

# Commands, where RUN is the run's folder, each with its time limit as a multiple of `import torch`.
_COMMANDS: list[tuple[tuple[str, ...], float]] = [
    (("--help",), 1 / 3),
    (("spaces",), 1 / 3),
    (("search", "--help"), 1 / 3),
    (("search", "se-resnet-digit"), 1 / 3),
    (("search", _SPACE, "--latency-budget", "-3"), 1 / 3),
    (("search", _SPACE, "--strategy", "tep"), 1 / 3),
    (("search", _SPACE, "--trials", "0"), 1 / 3),
    (("search", _SPACE, "--execution", "graph"), 1 / 3),
    (("profile", _SPACE, "--dtype", "fp12"), 1 / 3),
    (("complexity", "vgg61"), 1 / 3),
    (("front", "nowhere"), 1 / 3),
    (("resume", "nowhere"), 1 / 3),
    (("retrain", "nowhere"), 1 / 3),
    (("search", _SPACE, "--data", "digit"), 1 / 3),
    (("search", _SPACE, "--data", "npz:nowhere.npz"), 1 / 3),
    (("search", "se-resnet-cifar", "--data", "digits"), 1 / 3),
    (("retrain", "RUN", "--data", "digit"), 1 / 3),
    (("front", "RUN"), 1.5),
]


def make_run(folder: Path) -> None:
    """Make a finished run of 12 trials of a made-up accuracy."""
    from senas.testing import digest_accuracy, run_in_process

    senas.search(
        senas.load_space(_SPACE),
        evaluate=lambda arch, _seed, _report: digest_accuracy(arch),
        objective="flops",
        trials=12,
        concurrency=1,
        execute=run_in_process,
        out=folder,
    )


def seconds(command: list[str], folder: str) -> float:
    """Return how long a process takes from its start to its end."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - started


def main() -> None:
    """Time every command and print the ratios; exit with 1 if one is beyond its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="Folder of a run to show the front of; by default one is made.")
    parser.add_argument("--repeats", type=int, default=7, help="Number of rounds.")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error(f"--repeats: found {arguments.repeats}, allowed: at least 1")
    with tempfile.TemporaryDirectory() as folder:
        run = arguments.run or Path(folder) / "run"
        if arguments.run is None:
            make_run(run)
        commands = [
            (tuple(str(run.resolve()) if word == "RUN" else word for word in words), bound)
            for words, bound in _COMMANDS
        ]
        times: list[list[float]] = [[] for _ in range(len(commands) + 1)]
        order = list(range(len(times)))
        for number in range(arguments.repeats + 1):
            random.Random(number).shuffle(order)
            for index in order:
                command = _TORCH if index == len(commands) else [*_SENAS, *commands[index][0]]
                taken = seconds(command, folder)
                if number:  # the first round fills the file system's cache
                    times[index].append(taken)
    torch = median(times[-1])
    table = Table(title=f"import torch: {torch:.2f} s; medians of {arguments.repeats} rounds", title_justify="left")
    for name in ("command", "s", "/ import torch", "at most"):
        table.add_column(name, justify="left" if name == "command" else "right")
    beyond = False
    for (words, bound), found in zip(_COMMANDS, times[:-1], strict=True):
        ratio = median(found) / torch
        beyond |= ratio > bound
        table.add_row(f"senas {' '.join(words)}", f"{median(found):.2f}", f"{ratio:.2f}", f"{bound:.2f}")
    Console(width=100).print(table)
    sys.exit(1 if beyond else 0)


if __name__ == "__main__":
    main()
