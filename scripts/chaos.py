"""Robustness test: kill a search at random moments and check that no trial is lost, repeated or changed.

    python scripts/chaos.py --kills 50 --seed 0
    python scripts/chaos.py --kills 20 --seed 0 --nodes 3

A search of short trials runs in its own process. At random moments, from the start of Python on, SIGKILL ends its
driver, one of its workers, or all of its processes. With `--nodes`, the search runs on a Ray cluster of that many nodes
on this machine, and nodes are also removed and replaced. A killed search is resumed at once. At the end, the journal is
compared with an undisturbed search and with a log that the trials write. Exits with 1 if they differ.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

import senas
from senas.errors import RunError
from senas.runs import Run, Trial

_MAX_KILL_INTERVAL_SECONDS = 16.0  # importing and starting Ray takes about half of it
_TIMEOUT_SECONDS = 600.0  # time limit for the rest of the search after the last kill


def search(folder: Path, log: Path, seconds: float, arguments: argparse.Namespace) -> None:
    """Start or resume a search and run it to its end, in a process that will be killed."""

    def evaluate(arch: senas.Architecture, seed: int, report: Any) -> float:
        progress_file = report.folder / "epochs"  # number of epochs that earlier attempts have done
        done = int(progress_file.read_text() or 0) if progress_file.exists() else 0
        for epoch in range(done + 1, 4):
            time.sleep(seconds / 3)
            report(epoch, seed % 1000 / 1000 * epoch / 3)
            progress_file.write_text(str(epoch))
        with log.open("a") as file:  # a short line is written in one piece or not at all
            file.write(f"{arch.digest}\n")
        return seed % 1000 / 1000

    address = arguments.address
    if (folder / "journal.sqlite").exists():
        senas.resume(folder, evaluate=evaluate, address=address)
        return
    senas.search(
        senas.load_space("se-resnet-digits"),
        evaluate=evaluate,
        out=folder,
        objective="params",
        strategy=arguments.strategy,
        trials=arguments.trials,
        seed=arguments.seed,
        concurrency=arguments.concurrency,
        retries=1_000,
        address=address,
    )


class Session:
    """Process of a search, and the processes that it has started."""

    def __init__(self, folder: Path, log: Path, seconds: float, arguments: argparse.Namespace, address: str | None):
        words = [f"--{name}={getattr(arguments, name)}" for name in ("trials", "seed", "concurrency", "strategy")]
        words += [f"--address={address}"] if address else []
        script = str(Path(__file__).absolute())
        command = [sys.executable, script, f"--session={folder.name}", f"--log={log}", f"--seconds={seconds}", *words]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder.parent
        )

    def ended(self, seconds: float) -> bool:
        """Return whether the search ends by itself within some seconds.

        Raises:
            RuntimeError: The search failed by itself.
        """
        try:
            _, errors = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        if self._process.returncode:
            raise RuntimeError(f"the search failed by itself:\n{errors}")
        return True

    def kill(self, target: str, rng: random.Random) -> bool:
        """Kill the driver, one worker, or all processes; return whether there was one to kill."""
        driver = psutil.Process(self._process.pid)
        children = driver.children(recursive=True)
        if target == "worker":
            workers = [process for process in children if _is_worker(process)]
            if workers:
                _kill(rng.choice(workers))
            return bool(workers)
        _kill(driver)
        for process in children if target == "all" else []:
            _kill(process)
        self._process.communicate()
        return True


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("ray::Impl") or "ray::ImplicitFunc" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _kill(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.Error:  # the process has ended already
        return


@contextmanager
def ray_cluster(nodes: int) -> Iterator[Any]:
    """Yield a Ray cluster on this machine; `None` for no nodes."""
    if not nodes:
        yield None
        return
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(nodes):
        cluster.add_node(num_cpus=1)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def disturb(folder: Path, log: Path, seconds: float, arguments: argparse.Namespace) -> tuple[Counter[str], int, int]:
    """Run a search, and kill and resume it, until it is complete.

    Returns:
        The number of kills by kind, the number of sessions, and how often a trial was trained again although the
        journal already had its result.
    """
    rng, kills, sessions, retrained = random.Random(arguments.seed), Counter[str](), 0, 0
    kinds = ["driver", "worker", "all"] + (["node"] if arguments.nodes else [])
    with ray_cluster(arguments.nodes) as cluster:
        while True:
            finished, logged = _finished(folder), _lines(log)
            session, sessions = Session(folder, log, seconds, arguments, cluster and cluster.address), sessions + 1
            alive = True
            while alive:
                kills_left = arguments.kills - kills.total()
                if session.ended(rng.uniform(0, _MAX_KILL_INTERVAL_SECONDS) if kills_left else _TIMEOUT_SECONDS):
                    return kills, sessions, retrained + len(finished & {*_lines(log)[len(logged) :]})
                if not kills_left:
                    raise RuntimeError(f"the search has not ended {_TIMEOUT_SECONDS:g} s after the last kill")
                kind = rng.choice(kinds)
                if kind == "node":
                    cluster.remove_node(rng.choice([*cluster.worker_nodes]), allow_graceful=False)
                    cluster.add_node(num_cpus=1)
                elif not session.kill(kind, rng):
                    continue
                kills[kind] += 1
                alive = kind in ("worker", "node")
                print(f"kill {kills.total():3d} ({kind}): {len(_finished(folder))} trials finished", flush=True)
            retrained += len(finished & {*_lines(log)[len(logged) :]})


def _lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def _trials(folder: Path) -> list[Trial]:
    try:
        return Run(folder).trials()
    except RunError:  # the run does not exist yet
        return []


def _finished(folder: Path) -> set[str]:
    return {trial.digest for trial in _trials(folder) if trial.status == "finished"}


def main() -> None:
    """Run an undisturbed and a disturbed search, and compare them."""
    parser = argparse.ArgumentParser(description="Kill a search at random moments and check that no trial is lost.")
    parser.add_argument("--kills", type=int, default=50, help="Number of kills.")
    parser.add_argument("--seed", type=int, default=0, help="Random seed of the search and the kills.")
    parser.add_argument("--trials", type=int, default=300, help="Number of trials.")
    parser.add_argument("--concurrency", type=int, default=1, help="Number of trials at a time.")
    parser.add_argument("--strategy", default="ehvi", help="Strategy of the search.")
    parser.add_argument("--nodes", type=int, default=0, help="Number of nodes of a local Ray cluster; 0 for none.")
    parser.add_argument("--seconds", type=float, default=0.7, help="Duration of a trial.")
    for hidden in ("--session", "--log", "--address"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.session:
        search(Path(arguments.session), Path(arguments.log), arguments.seconds, arguments)
        return
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        if not Session(root / "reference", root / "reference.log", 0.0, arguments, None).ended(_TIMEOUT_SECONDS):
            parser.error(f"the undisturbed search has not ended after {_TIMEOUT_SECONDS:g} s")
        reference = _trials(root / "reference")
        print(f"undisturbed: {len(reference)} trials", flush=True)
        started = time.monotonic()
        kills, sessions, retrained = disturb(root / "run", root / "run.log", arguments.seconds, arguments)
        trials = _trials(root / "run")
        numbers, evaluations = [trial.number for trial in trials], len(_lines(root / "run.log"))
    by_kind = ", ".join(f"{count} x {kind}" for kind, count in sorted(kills.items()))
    print(f"{kills.total()} kills ({by_kind}) in {sessions} sessions and {time.monotonic() - started:.0f} s")
    print(f"{len(trials)} trials, {sum(t.status == 'finished' for t in trials)} finished, "
          f"{sum(t.attempts for t in trials)} attempts, {evaluations} completed evaluations")  # fmt: skip
    same = [(t.digest, t.seed, t.accuracy) for t in trials] == [(t.digest, t.seed, t.accuracy) for t in reference]
    repeated = evaluations - len(trials)  # trials killed after their evaluation and before their result was journaled
    checks = {
        f"{arguments.kills} kills": kills.total() == arguments.kills,
        "every trial exactly once in the journal, all finished": numbers == [*range(1, arguments.trials + 1)]
        and all(trial.status == "finished" for trial in trials),
        f"the budget of {arguments.trials} trials spent exactly": len({t.digest for t in trials}) == arguments.trials,
        f"no finished trial trained again (found {retrained})": retrained == 0,
        f"no more trials repeated than kills, each before its result was on disk ({repeated})": 0
        <= repeated
        <= kills.total(),
        **({"the trials of an undisturbed search, in its order": same} if arguments.concurrency == 1 else {}),
    }
    for check, passed in checks.items():
        print(f"{'ok  ' if passed else 'FAIL'} {check}")
    if not all(checks.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
