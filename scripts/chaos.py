"""Kill a search at random moments, again and again, and see whether anything is lost, repeated or changed.

    python scripts/chaos.py --kills 50 --seed 0
    python scripts/chaos.py --kills 20 --seed 0 --nodes 3

A search of short trials runs in a process of its own. SIGKILL hits its driver, one of its workers, or every process of
it, at random moments from the start of Python on; with `--nodes` it runs on a Ray cluster of that many nodes on this
machine, and nodes are removed as well, and replaced. What was killed is resumed at once. At the end the journal is held
against an undisturbed search and against what the trials themselves have written down. Exits with 1 where they differ.
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
from senas.searching.run import Run
from senas.searching.trial import Trial

_LONGEST = 16.0  # seconds between kills at most; importing and starting Ray takes about half of it
_PATIENCE = 600.0  # seconds for what is left after the last kill


def search(folder: Path, log: Path, seconds: float, arguments: argparse.Namespace) -> None:
    """Search, or go on with a search, until it is done; run in a process that will be killed."""

    def evaluate(arch: senas.Architecture, seed: int, report: Any) -> float:
        notes = report.folder / "epochs"  # what an earlier attempt has come to
        done = int(notes.read_text() or 0) if notes.exists() else 0
        for epoch in range(done + 1, 4):
            time.sleep(seconds / 3)
            report(epoch, seed % 1000 / 1000 * epoch / 3)
            notes.write_text(str(epoch))
        with log.open("a") as file:  # one write of a short line is whole or not there
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
    """A process that searches, and those it has started."""

    def __init__(self, folder: Path, log: Path, seconds: float, arguments: argparse.Namespace, address: str | None):
        words = [f"--{name}={getattr(arguments, name)}" for name in ("trials", "seed", "concurrency", "strategy")]
        words += [f"--address={address}"] if address else []
        script = str(Path(__file__).absolute())
        command = [sys.executable, script, f"--session={folder.name}", f"--log={log}", f"--seconds={seconds}", *words]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder.parent
        )

    def ended(self, seconds: float) -> bool:
        """Whether it has ended by itself after so long.

        Raises:
            RuntimeError: it has failed.
        """
        try:
            _, errors = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        if self._process.returncode:
            raise RuntimeError(f"the search failed by itself:\n{errors}")
        return True

    def kill(self, what: str, rng: random.Random) -> bool:
        """Kill the driver, one worker, or all there is; whether there was something to kill."""
        driver = psutil.Process(self._process.pid)
        everything = driver.children(recursive=True)
        if what == "worker":
            workers = [process for process in everything if _is_worker(process)]
            if workers:
                _kill(rng.choice(workers))
            return bool(workers)
        _kill(driver)
        for process in everything if what == "all" else []:
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
    except psutil.Error:  # it was quicker
        return


@contextmanager
def cluster_of(nodes: int) -> Iterator[Any]:
    """A Ray cluster on this machine, `None` for no nodes."""
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
    """Search and kill until it is done.

    Returns:
        Kills by kind, sessions, and how often a trial was trained that the journal had as finished before.
    """
    rng, kills, sessions, again = random.Random(arguments.seed), Counter[str](), 0, 0
    kinds = ["driver", "worker", "all"] + (["node"] if arguments.nodes else [])
    with cluster_of(arguments.nodes) as cluster:
        while True:
            finished, written = _finished(folder), _lines(log)
            session, sessions = Session(folder, log, seconds, arguments, cluster and cluster.address), sessions + 1
            alive = True
            while alive:
                left = arguments.kills - kills.total()
                if session.ended(rng.uniform(0, _LONGEST) if left else _PATIENCE):
                    return kills, sessions, again + len(finished & {*_lines(log)[len(written) :]})
                if not left:
                    raise RuntimeError(f"the search has not ended {_PATIENCE:g} s after the last kill")
                kind = rng.choice(kinds)
                if kind == "node":
                    cluster.remove_node(rng.choice([*cluster.worker_nodes]), allow_graceful=False)
                    cluster.add_node(num_cpus=1)
                elif not session.kill(kind, rng):
                    continue
                kills[kind] += 1
                alive = kind in ("worker", "node")
                print(f"kill {kills.total():3d} ({kind}): {len(_finished(folder))} trials finished", flush=True)
            again += len(finished & {*_lines(log)[len(written) :]})


def _lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def _trials(folder: Path) -> list[Trial]:
    try:
        return Run(folder).trials()
    except senas.errors.RunError:  # not there yet
        return []


def _finished(folder: Path) -> set[str]:
    return {trial.digest for trial in _trials(folder) if trial.status == "finished"}


def main() -> None:
    """Search undisturbed, then disturbed, and compare."""
    parser = argparse.ArgumentParser(description="Kill a search at random moments and see whether anything is lost.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--strategy", default="ehvi")
    parser.add_argument("--nodes", type=int, default=0, help="of a Ray cluster on this machine; 0 for none")
    parser.add_argument("--seconds", type=float, default=0.7, help="that a trial takes")
    for hidden in ("--session", "--log", "--address"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.session:
        search(Path(arguments.session), Path(arguments.log), arguments.seconds, arguments)
        return
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        if not Session(root / "whole", root / "whole.log", 0.0, arguments, None).ended(_PATIENCE):
            parser.error(f"the undisturbed search has not ended after {_PATIENCE:g} s")
        whole = _trials(root / "whole")
        print(f"undisturbed: {len(whole)} trials", flush=True)
        started = time.monotonic()
        kills, sessions, again = disturb(root / "run", root / "run.log", arguments.seconds, arguments)
        trials = _trials(root / "run")
        numbers, evaluations = [trial.number for trial in trials], len(_lines(root / "run.log"))
    by_kind = ", ".join(f"{count} x {kind}" for kind, count in sorted(kills.items()))
    print(f"{kills.total()} kills ({by_kind}) in {sessions} sessions and {time.monotonic() - started:.0f} s")
    print(f"{len(trials)} trials, {sum(t.status == 'finished' for t in trials)} finished, "
          f"{sum(t.attempts for t in trials)} attempts, {evaluations} evaluations that came to their end")  # fmt: skip
    same = [(t.digest, t.seed, t.accuracy) for t in trials] == [(t.digest, t.seed, t.accuracy) for t in whole]
    repeated = evaluations - len(trials)  # each was killed between its end and its event
    checks = {
        f"{arguments.kills} kills": kills.total() == arguments.kills,
        "every trial exactly once in the journal, all finished": numbers == [*range(1, arguments.trials + 1)]
        and all(trial.status == "finished" for trial in trials),
        f"the budget of {arguments.trials} trials spent exactly": len({t.digest for t in trials}) == arguments.trials,
        f"no finished trial trained again (found {again})": again == 0,
        f"no more repeated than were killed before their result was on disk ({repeated})": 0
        <= repeated
        <= kills.total(),
        **({"the trials of an undisturbed search, in its order": same} if arguments.concurrency == 1 else {}),
    }
    for check, kept in checks.items():
        print(f"{'ok  ' if kept else 'FAIL'} {check}")
    if not all(checks.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
