"""Searches through Ray Tune: workers that are lost or hang, time limits, early stopping, clusters, real interrupts."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch

import senas
from senas.errors import SenasError, TrainingDivergedError
from senas.runs.run import Run
from senas.runs.trial import Reason
from senas.testing import SMALL_SPACE, digest_accuracy, run_in_process

pytestmark = pytest.mark.slow  # each search starts workers, which takes seconds


def by_digest(arch, seed, report):
    return digest_accuracy(arch)


def in_epochs(arch, seed, report):
    for epoch in range(1, 9):
        report(epoch, by_digest(arch, seed, report) * epoch / 8)
    return by_digest(arch, seed, report)


@pytest.fixture
def search(tiny, tmp_path, ray_local):
    def run(name="run", **options):
        fields = {"evaluate": by_digest, "objective": "params", "trials": 12, "concurrency": 1, "out": tmp_path / name}
        return senas.search(tiny, **{**fields, **options})

    return run


def badly(arch, seed, report):
    """Fails in every way there is, by the digest."""
    match int(arch.digest, 16) % 8:
        case 0:
            raise KeyError("no such thing")
        case 1:
            return float("nan")
        case 2:
            os.kill(os.getpid(), signal.SIGKILL)
        case 3:
            return 95.0  # percent
        case 4:
            raise TrainingDivergedError("the loss of epoch 3 is nan")
        case 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 7.00 GiB")
        case 6 if not (report.folder / "note").exists():
            (report.folder / "note").write_text("was here")  # in a folder that outlives the worker
            os.kill(os.getpid(), signal.SIGKILL)
        case 7:
            report(1, 0.5)
            time.sleep(1000)
    return by_digest(arch, seed, report)


def test_failures_are_recorded_with_their_reason_and_the_search_continues(search, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a relative folder: workers run elsewhere
    run = search(
        evaluate=badly, trials=9, concurrency=2, strategy="random", seed=98, trial_seconds=12.0, out="here/run"
    )
    trials = run.trials()
    assert len(trials) == 9
    expected: dict[int, tuple[Reason, str, int]] = {
        0: ("exception", "KeyError: 'no such thing'", 2),
        1: ("invalid", "evaluate: found nan", 1),
        2: ("lost", "died", 2),
        3: ("invalid", "evaluate: found 95.0, expected a top-1 accuracy in [0, 1]", 1),
        4: ("diverged", "the loss of epoch 3 is nan", 1),
        5: ("memory", "CUDA out of memory", 2),
        7: ("time", "12 s", 1),  # a second attempt would hang as well
    }
    seen = set()
    for trial in trials:
        kind = int(trial.digest, 16) % 8
        if kind in expected:
            seen.add(kind)
            reason, text, attempts = expected[kind]
            assert trial.status == "failed" and trial.accuracy is None
            assert trial.attempts == len(trial.failures) == attempts
            assert all(failure.reason == reason and text in failure.text for failure in trial.failures)
        else:
            assert trial.status == "finished" and trial.accuracy == by_digest(trial.architecture, 0, None)
            assert trial.attempts == (2 if kind == 6 else 1)
            seen.add(kind)
    assert seen >= {*expected, 6}
    assert not any((tmp_path / "here" / "run" / "trials").iterdir())
    assert "Traceback" in next(t.failure or "" for t in trials if int(t.digest, 16) % 8 == 0)
    assert all(trial.status == "finished" for trial in run.front())


def test_a_search_that_cannot_start_leaves_its_folder_free(search, tmp_path):
    with pytest.raises(SenasError, match="gpus_per_trial: found 3, allowed: at most the 0 that Ray has on one node"):
        search(gpus_per_trial=3)
    assert not (tmp_path / "run").exists()
    assert len(search(trials=2, execute=run_in_process).trials()) == 2


def test_a_time_budget_is_kept_and_what_was_running_continues_with_more_time(search, tmp_path):
    slow, notes = tmp_path / "slow", []

    def evaluate(arch, seed, report):
        if slow.exists():
            time.sleep(1000)
        return by_digest(arch, seed, report)

    def on_progress(progress):
        notes.append(progress.note)
        if progress.ended == 1:
            slow.touch()

    started = time.monotonic()
    run = search(evaluate=evaluate, trials=6, time_budget_seconds=45, on_progress=on_progress)
    assert time.monotonic() - started < 500  # not what the hanging trial takes
    assert notes[-1] == "ended by the time budget" and not any(notes[:-1])
    statuses = [trial.status for trial in run.trials()]
    assert statuses == ["finished"] * (len(statuses) - 1) + ["running"] and len(statuses) >= 2
    slow.unlink()
    more = senas.resume(run.folder, evaluate=by_digest, time_budget_seconds=1e6, force=True)
    assert [trial.status for trial in more.trials()] == ["finished"] * 6
    assert [trial.attempts for trial in more.trials()] == [1] * (len(statuses) - 1) + [2] + [1] * (6 - len(statuses))


def test_a_cluster_loses_a_node_and_the_search_nothing(tmp_path):
    """Three nodes on this machine, in a process of its own, since this one has a Ray already.

    The data travels with the search: its file is gone before any worker could read it.
    """
    (tmp_path / "tiny.toml").write_text(SMALL_SPACE)
    images, labels = np.random.default_rng(0).integers(0, 255, (60, 8, 8), np.uint8), np.arange(60) % 10
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import pathlib
        from ray.cluster_utils import Cluster
        import senas
        here = pathlib.Path(__file__).parent

        def on_progress(progress):
            if progress.running:
                (here / "data.npz").unlink(missing_ok=True)
            if progress.ended == 4 and len(cluster.worker_nodes) == 2:
                cluster.remove_node([*cluster.worker_nodes][0], allow_graceful=False)

        if __name__ == "__main__":
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
            for _ in range(2):
                cluster.add_node(num_cpus=1)
            evaluate = senas.TrainingEvaluator(data=f"npz:{here / 'data.npz'}", recipe=senas.Recipe(epochs=2))
            run = senas.search(senas.load_space(here / "tiny.toml"), evaluate=evaluate, trials=12, concurrency=3,
                               out=here / "run", address=cluster.address, on_progress=on_progress, retries=3)
            print(len(cluster.worker_nodes), len(run.trials()), {t.status for t in run.trials()})
            print([(t.status, [f.text[-300:] for f in t.failures]) for t in run.trials() if t.failures])
        """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=300)
    assert "1 12 {'finished'}" in done.stdout.splitlines(), done.stdout + done.stderr


def test_an_interrupt_keeps_what_had_finished(tmp_path, ray_local):
    """A real SIGINT to a real process, then `resume` in this one.

    The process has a temporary folder whose path is too long for Ray's sockets and not ASCII, and no home.
    """
    scratch = tmp_path / ("long-as-on-a-batch-system-" * 3) / "é"
    scratch.mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"TMPDIR": str(scratch), "HOME": "/proc/nohome"}
    space = tmp_path / "tiny.toml"
    space.write_text(SMALL_SPACE)
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import logging, os, time, ray, sklearn, senas
        def slowly(arch, seed, report):
            time.sleep(0.3)
            return int(arch.digest, 16) % 1000 / 1000
        if __name__ == "__main__":
            before = dict(os.environ), logging.getLogger("ray").level
            try:
                senas.search(senas.load_space({str(space)!r}), evaluate=slowly, out={str(tmp_path / "run")!r},
                             trials=500, concurrency=2, strategy="random")
            finally:
                print("as before:", (dict(os.environ), logging.getLogger("ray").level) == before)
        """)
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, str(script)], env=environment, **pipes)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
        if (tmp_path / "run" / "journal.sqlite").exists() and ended(Run(tmp_path / "run")) >= 4:
            break
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert printed.splitlines()[-1] == "as before: True"
    run = Run(tmp_path / "run")
    kept = [t for t in run.trials() if t.status == "finished"]
    assert 4 <= len(kept) < 500
    assert (run.folder / "front.json").exists()
    assert not list(run.folder.glob(".*.tmp"))
    assert list(scratch.iterdir()) == []
    left_running = {t.digest: t.number for t in run.trials() if t.status == "running"}
    resumed = senas.resume(run.folder, evaluate=by_digest, trials=len(kept) + 6, force=True)
    again = {t.digest: t for t in resumed.trials()}
    assert len(again) == len(resumed.trials()) == len(kept) + 6  # what was running has run again, under its number
    assert all(again[t.digest] == t for t in kept)
    assert all(again[digest].number == number for digest, number in left_running.items())
    assert all(t.status == "finished" for t in resumed.trials())


def ended(run: Run) -> int:
    return sum(t.status != "running" for t in run.trials())


def test_a_gpu_is_shared_by_trials_as_asked_and_had_alone_by_what_measures(tmp_path):
    """Ray believes the node to have one GPU and four cores, so that only the GPU limits what runs at a time."""
    (tmp_path / "tiny.toml").write_text(SMALL_SPACE)
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import pathlib, time, ray
        from ray.cluster_utils import Cluster
        import senas
        from senas.errors import ProfileError
        from senas.execution.ray_driver import run_alone
        here = pathlib.Path(__file__).parent

        def search(gpus):
            room, most = here / f"room-{gpus}", here / f"most-{gpus}"
            room.mkdir()
            def evaluate(arch, seed, report):
                (room / arch.digest).touch()
                deadline = time.time() + (15 if gpus < 1 else 0.5)
                while time.time() < deadline and len([*room.iterdir()]) < 2:  # until it is not alone
                    time.sleep(0.02)
                time.sleep(0.2)
                with most.open("a") as file:
                    file.write(f"{len([*room.iterdir()])}\\n")
                (room / arch.digest).unlink()
                return 0.5
            senas.search(senas.load_space(here / "tiny.toml"), evaluate=evaluate, trials=2, concurrency=3,
                         cpus_per_trial=1, gpus_per_trial=gpus, strategy="random", out=here / f"run-{gpus}",
                         address=cluster.address)
            return max(map(int, most.read_text().split()))

        def hold():
            time.sleep(1.5)
            return time.time()

        def fail():
            raise ProfileError("as it was raised")

        if __name__ == "__main__":
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 4, "num_gpus": 1})
            print(search(0.5), search(1))
            ray.init(address=cluster.address, log_to_driver=False)
            trial = ray.remote(num_gpus=1)(hold).remote()
            time.sleep(0.5)
            started = run_alone(time.time, cluster.address)
            print("after the trial", started >= ray.get(trial))
            try:
                run_alone(fail, cluster.address)
            except ProfileError as error:
                print(error)
        """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=240)
    assert done.stdout.splitlines()[-3:] == ["2 1", "after the trial True", "as it was raised"], done.stderr


def test_early_stopping_through_ray_is_that_without_it(search, tmp_path):
    """With the rungs of an interrupted session, since Ray Tune's own would start anew."""

    def interrupt(progress):
        if progress.ended == 8:
            raise KeyboardInterrupt

    common = {"evaluate": in_epochs, "early_stopping": True, "trials": 14, "strategy": "random"}
    expected = search("expected", **common, execute=run_in_process)
    with pytest.raises(KeyboardInterrupt):
        search(**common, on_progress=interrupt)
    run = senas.resume(tmp_path / "run", evaluate=in_epochs)
    assert [(t.digest, t.status, t.epochs) for t in run.trials()] == [
        (t.digest, t.status, t.epochs) for t in expected.trials()
    ]
    assert {"stopped", "finished"} <= {t.status for t in run.trials()[8:]}
