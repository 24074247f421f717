"""Whole searches through Ray Tune: budgets, repeatability, failures, resuming, interrupts."""

import json
import os
import platform
import resource
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY_SPACE, formula_ms, formula_profile

import senas
from senas.errors import SearchFailedError, SenasError, TrainingDivergedError
from senas.searching.run import Run
from senas.searching.search import measure_front
from senas.searching.trial import Reason
from senas.searching.worker import _give_memory_back
from senas.strategies.table import STRATEGIES


def by_digest(arch, seed, report):
    return int(arch.digest, 16) % 1000 / 1000


def by_params(arch, seed, report):
    return min(1.0, senas.complexity(arch).params / 10_000)


def in_epochs(arch, seed, report):
    for epoch in range(1, 9):
        report(epoch, by_digest(arch, seed, report) * epoch / 8)
    return by_digest(arch, seed, report)


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
    return by_digest(arch, seed, report)


@pytest.fixture
def search(tiny, tmp_path, ray_local):
    def run(name="run", **options):
        fields = {"evaluate": by_digest, "objective": "params", "trials": 12, "concurrency": 1, "out": tmp_path / name}
        return senas.search(tiny, **{**fields, **options})

    return run


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_runs_through_ray(search, strategy):
    run = search(strategy=strategy)
    assert [t.status for t in run.trials()] == ["finished"] * 12
    assert len({t.digest for t in run.trials()}) == 12


def test_the_same_seed_gives_the_same_architectures_in_the_same_order(search):
    runs = [
        search(f"run{n}", strategy="regularized-evolution", seed=seed, trials=24) for n, seed in enumerate((1, 1, 2))
    ]
    first, second, other = ([(t.digest, t.seed, t.accuracy) for t in run.trials()] for run in runs)
    assert first == second
    assert first != other


def test_no_architecture_beyond_its_budgets_is_ever_trained(search, tiny):
    profile = formula_profile(tiny)
    rng = np.random.default_rng(0)
    costs = [senas.cost_of(tiny.random(rng), profile) for _ in range(100)]
    latency, flops, params = (float(np.median([getattr(c, n) for c in costs])) for n in ("upper_ms", "flops", "params"))
    run = search(profile=profile, latency_budget_ms=latency, max_flops=flops, max_params=params, evaluate=by_params,
                 objective="latency", concurrency=2)  # fmt: skip
    assert len(run.trials()) == 12
    for trial in run.trials():
        assert trial.cost == senas.cost_of(trial.architecture, profile)
        assert trial.cost.latency_ms is not None and trial.cost.upper_ms is not None
        assert trial.cost.latency_ms <= trial.cost.upper_ms <= latency
        assert trial.cost.flops <= flops
        assert trial.cost.params <= params
    assert {t.status for t in run.trials()} == {"finished"}
    assert run.front() == sorted(run.front(), key=lambda t: -(t.accuracy or 0))
    assert 0 < run.hypervolume() < 1


def test_an_impossible_budget_ends_before_anything_is_made(search, tiny, tmp_path):
    cheapest = tiny.extreme(formula_ms)
    with pytest.raises(SenasError, match=f"smallest achievable is .* by architecture {cheapest.digest}"):
        search(profile=formula_profile(tiny), latency_budget_ms=1e-6, objective="latency")
    assert not (tmp_path / "run").exists()


def test_failures_are_recorded_with_their_reason_and_the_search_goes_on(search):
    run = search(evaluate=badly, trials=9, concurrency=2, strategy="random", seed=35)
    trials = run.trials()
    assert len(trials) == 9
    expected: dict[int, tuple[Reason, str, int]] = {
        0: ("exception", "KeyError: 'no such thing'", 2),
        1: ("invalid", "evaluate: found nan", 1),
        2: ("lost", "died", 2),
        3: ("invalid", "evaluate: found 95.0, expected a top-1 accuracy in [0, 1]", 1),
        4: ("diverged", "the loss of epoch 3 is nan", 1),
        5: ("memory", "CUDA out of memory", 2),
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
            assert trial.attempts == 1 and not trial.failures
    assert seen == set(expected)
    assert "Traceback" in next(t.failure or "" for t in trials if int(t.digest, 16) % 8 == 0)
    assert all(trial.status == "finished" for trial in run.front())


def test_a_failure_that_does_not_come_again_is_forgiven(search, tmp_path):
    def once(arch, seed, report):
        marker = tmp_path / arch.digest
        if int(arch.digest, 16) % 2 and not marker.exists():
            marker.touch()
            raise OSError("the file system was away for a moment")
        return by_digest(arch, seed, report)

    run = search("forgiven", evaluate=once)
    whole = search("whole")
    assert [(t.digest, t.accuracy) for t in run.trials()] == [(t.digest, t.accuracy) for t in whole.trials()]
    assert {t.attempts for t in run.trials()} == {1, 2}
    strict = search("strict", evaluate=by_digest, retries=0)
    assert strict.record.options.retries == 0


def test_a_search_that_cannot_start_leaves_its_folder_free(search, tmp_path):
    with pytest.raises(SenasError, match="gpus_per_trial: found 3, allowed: at most the 0 that Ray has"):
        search(gpus_per_trial=3)
    assert not (tmp_path / "run").exists()
    assert len(search(trials=2).trials()) == 2


def test_a_search_in_which_everything_fails_gives_up_and_says_why(search, tmp_path):
    def always(arch, seed, report):
        raise ValueError("the disk is on fire")

    with pytest.raises(SearchFailedError, match=r"none of 10 trials gave an accuracy; the last: .*the disk is on fire"):
        search(evaluate=always, trials=40)
    assert len(Run(tmp_path / "run").trials()) == 10


def test_early_stopping_ends_the_worse_trials_sooner(search):
    run = search(evaluate=in_epochs, early_stopping=True, trials=20, strategy="random")
    stopped = [t for t in run.trials() if t.status == "stopped"]
    finished = [t for t in run.trials() if t.status == "finished"]
    assert stopped and finished
    assert all(len(t.epochs) < 8 and t.accuracy == t.epochs[-1][1] for t in stopped)
    assert all([epoch for epoch, _ in t.epochs] == list(range(1, 9)) for t in finished)
    assert np.mean([by_digest(t.architecture, 0, 0) for t in stopped]) < np.mean([t.accuracy for t in finished])


def test_early_stopping_goes_on_with_the_rungs_of_earlier_sessions(search, tmp_path):
    def interrupt(progress):
        if progress.ended == 8:
            raise KeyboardInterrupt

    common = {"evaluate": in_epochs, "early_stopping": True, "trials": 14, "concurrency": 1, "strategy": "random"}
    undisturbed = search(**common, out=tmp_path / "undisturbed")
    with pytest.raises(KeyboardInterrupt):
        search(**common, on_progress=interrupt)
    run = senas.resume(tmp_path / "run", evaluate=in_epochs)
    assert [(t.digest, t.status, t.epochs) for t in run.trials()] == [
        (t.digest, t.status, t.epochs) for t in undisturbed.trials()
    ]
    late = [t.status for t in run.trials()[8:]]
    assert "stopped" in late and "finished" in late


@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_run_goes_on_where_it_stopped_and_trains_nothing_twice(search, tmp_path, concurrency):
    def interrupt(progress):
        if progress.ended >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search("part", strategy="regularized-evolution", trials=20, on_progress=interrupt, concurrency=concurrency)
    part = Run(tmp_path / "part")
    ended = [t for t in part.trials() if t.status == "finished"]
    assert 10 <= len(ended) < 20
    log = tmp_path / "log"

    def logged(arch, seed, report):
        with log.open("a") as file:
            file.write(arch.digest + "\n")
        return by_digest(arch, seed, report)

    with pytest.raises(SenasError, match="was searched with an evaluate function of its own"):
        senas.resume(part.folder)
    with pytest.raises(SenasError, match=r"evaluate test_search.by_digest, found test_search.*logged; with --force"):
        senas.resume(part.folder, evaluate=logged)
    resumed = senas.resume(part.folder, evaluate=logged, force=True)
    assert [t.number for t in resumed.trials()] == list(range(1, 21))
    assert sorted(log.read_text().split()) == sorted(t.digest for t in resumed.trials() if t not in ended)
    if concurrency == 1:
        whole = search("whole", strategy="regularized-evolution", trials=20)
        assert [t.digest for t in resumed.trials()] == [t.digest for t in whole.trials()]
        assert len(senas.resume(part.folder, evaluate=logged, trials=22).trials()) == 22
        assert Run(part.folder).record.trials == 22


def test_a_time_budget_is_kept_and_what_was_running_goes_on_with_more_time(search, tmp_path):
    slow, notes = tmp_path / "slow", []

    def evaluate(arch, seed, report):
        if slow.exists() and arch.digest != slow.read_text():
            time.sleep(1000)
        return by_digest(arch, seed, report)

    def on_progress(progress):
        notes.append(progress.note)
        if progress.ended == 5 and not slow.exists():
            slow.write_text("none")

    with pytest.raises(SearchFailedError, match="no trial finished, ended by the time budget"):
        search(evaluate=evaluate, trials=20, time_budget_seconds=1e-6)
    started = time.monotonic()
    run = search(evaluate=evaluate, trials=20, time_budget_seconds=40, on_progress=on_progress)
    assert time.monotonic() - started < 500  # not what the hanging trial takes
    assert notes[-1] == "ended by the time budget" and not any(notes[:-1])
    statuses = [trial.status for trial in run.trials()]
    assert statuses == ["finished"] * 5 + ["running"]
    again = senas.resume(run.folder, evaluate=evaluate)  # there is no time left
    assert [trial.status for trial in again.trials()] == statuses
    slow.unlink()
    more = senas.resume(run.folder, evaluate=by_digest, time_budget_seconds=1e6, force=True)
    assert [trial.status for trial in more.trials()] == ["finished"] * 20
    assert [trial.attempts for trial in more.trials()] == [1] * 5 + [2] + [1] * 14


def test_a_trial_that_hangs_is_ended_by_its_limit_and_the_search_goes_on(search):
    def evaluate(arch, seed, report):
        if int(arch.digest, 16) % 4 == 0:
            report(1, 0.5)
            time.sleep(1000)
        return by_digest(arch, seed, report)

    run = search(evaluate=evaluate, trials=8, trial_seconds=20.0, concurrency=2, strategy="random", seed=35)
    hung = [trial for trial in run.trials() if int(trial.digest, 16) % 4 == 0]
    assert hung and len(run.trials()) == 8
    for trial in run.trials():
        assert trial.status == ("failed" if trial in hung else "finished")
    for trial in hung:
        assert [failure.reason for failure in trial.failures] == ["time"]  # a second attempt would hang as well
        assert trial.failure == "it took longer than the 20 s that a trial may take"


def test_trials_have_a_folder_of_their_own_that_outlives_their_worker(search, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a relative folder: workers run elsewhere

    def evaluate(arch, seed, report):
        notes = report.folder / "note"
        if not notes.exists():
            notes.write_text("was here")
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.5

    run = search(evaluate=evaluate, trials=2, out="here/run")
    assert [(trial.status, trial.attempts) for trial in run.trials()] == [("finished", 2)] * 2
    assert not any((tmp_path / "here" / "run" / "trials").iterdir())


@pytest.mark.parametrize(
    "changes", [{"trials": 10**30}, {"trials": 3.5}, {"retries": 1.5}, {"baseline": 1}, {"trials": 0}]
)
def test_a_resumption_that_asks_for_nonsense_leaves_the_run_as_it_was(search, changes):
    run = search(trials=2)
    with pytest.raises(SenasError):
        senas.resume(run.folder, evaluate=by_digest, **changes)
    assert Run(run.folder).record == run.record
    assert len(senas.resume(run.folder, evaluate=by_digest, trials=3).trials()) == 3


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is another one")
def test_a_worker_gives_back_the_memory_that_a_trial_no_longer_needs():
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    blocks = [bytes(20_000) for _ in range(10_000)]
    kept = blocks[::100]  # so that the allocator cannot do it by itself
    del blocks
    held = resident()
    _give_memory_back()
    assert resident() < held - 100 * 2**20 and len(kept) == 100


def test_leaving_an_evaluation_is_a_failure_of_the_trial(search, tmp_path):
    def leave(arch, seed, report):
        match int(arch.digest, 16) % 3:
            case 0:
                sys.exit(3)
            case 1:
                raise KeyboardInterrupt("not from the keyboard")
        report("one", 0.5)

    with pytest.raises(SearchFailedError, match="none of 6 trials gave an accuracy"):
        search(evaluate=leave, trials=6, retries=0, strategy="random")
    said = {"exception": ("SystemExit: 3", "KeyboardInterrupt: not from"), "invalid": ("found epoch 'one', allowed",)}
    found = [trial.failures[0] for trial in Run(tmp_path / "run").trials()]
    assert {failure.reason for failure in found} == set(said)
    assert all(any(text in failure.text for text in said[failure.reason]) for failure in found)


def test_a_space_of_one_architecture_is_refused(tiny, tmp_path):
    stages = tuple(replace(s, depths=s.depths[:1], widths=s.widths[:1], se=s.se[:1]) for s in tiny.stages)
    with pytest.raises(SenasError, match="space tiny: found a single architecture, expected at least two"):
        senas.search(replace(tiny, stages=stages), evaluate=by_digest, objective="params", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_folder_is_never_overwritten(search):
    run = search(trials=2)
    before = (run.folder / "journal.sqlite").read_bytes()
    with pytest.raises(SenasError, match="holds a run already"):
        search(trials=2)
    assert (run.folder / "journal.sqlite").read_bytes() == before


def test_a_run_tells_everything_from_its_folder(search, tiny):
    run = search(trials=10, profile=formula_profile(tiny), objective="latency")
    opened = Run(run.folder)
    assert opened.trials() == run.trials()
    assert opened.record.space == tiny
    assert opened.profile() == formula_profile(tiny)
    front = json.loads((run.folder / "front.json").read_text())
    assert [row["digest"] for row in front] == [t.digest for t in run.front()]
    for trial in run.trials():
        path = run.folder / "architectures" / f"{trial.digest}.json"
        assert senas.Architecture.load(path) == trial.architecture
    assert opened.pick("best") == run.front()[0]
    assert opened.pick(run.trials()[3].digest[:9]) == run.trials()[3]
    for wrong in ("", "zzz"):
        with pytest.raises(SenasError, match="allowed: best, knee, or the start of one digest"):
            opened.pick(wrong)
    measured = measure_front(run, seconds=0.05)
    assert [t.digest for t in measured] == [t.digest for t in run.front()]
    assert all(t.measured_ms and t.measured_ms > 0 for t in measured)
    assert all(t.drift and t.drift > 0 for t in measured)


def test_a_report_that_is_no_accuracy_fails_the_trial(search):
    reasons = ("", "report of epoch 2: found 95.0", "report: found epoch 1, allowed: whole numbers above 1, up to")

    def reports_nonsense(arch, seed, report):
        report(1, 0.95)
        report(*((2, 0.95), (2, 95.0), (1, 0.95))[int(arch.digest, 16) % 3])
        return 0.5

    run = search(evaluate=reports_nonsense, trials=10)
    assert {t.status for t in run.trials()} == {"finished", "failed"}
    for trial in run.trials():
        expected = reasons[int(trial.digest, 16) % 3]
        assert (trial.status == "failed") == bool(expected)
        assert expected in (trial.failure or "")


def test_a_run_whose_profile_was_changed_is_not_gone_on_with(search, tiny):
    run = search(trials=2, profile=formula_profile(tiny), objective="latency")
    path = run.folder / "profile.json"
    data = json.loads(path.read_text())
    data["calibration"]["scale"] = 2.0
    path.write_text(json.dumps(data))
    with pytest.raises(SenasError, match="calibration: found content of hash"):
        senas.resume(run.folder, evaluate=by_digest)
    profile = formula_profile(tiny, calibration=replace(formula_profile(tiny).calibration, scale=2.0))
    profile.save(path)
    with pytest.raises(SenasError, match=r"profile.json: found a profile of digest \w{16}, expected \w{16}"):
        senas.resume(run.folder, evaluate=by_digest)


def test_run_json_is_a_copy_that_decides_nothing(search):
    run = search(trials=2)
    (run.folder / "run.json").write_text("{}")
    assert senas.resume(run.folder, evaluate=by_digest, trials=3).record.trials == 3
    assert json.loads((run.folder / "run.json").read_text())["trials"] == 3


def test_a_cluster_loses_a_node_and_the_search_nothing(tmp_path):
    """Three nodes on this machine, in a process of its own, since this one has a Ray already.

    The data travels with the search: its file is gone before any worker could read it.
    """
    (tmp_path / "tiny.toml").write_text(TINY_SPACE)
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


def test_a_gpu_of_a_cluster_is_measured_while_nothing_else_uses_it(tmp_path):
    """Ray believes the node to have one GPU, a trial holds it; what is to run alone starts when the trial has ended."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import time, ray
        from ray.cluster_utils import Cluster
        from senas.errors import ProfileError
        from senas.searching.driver import run_alone
        def hold():
            time.sleep(1.5)
            return time.time()
        def fail():
            raise ProfileError("as it was raised")
        if __name__ == "__main__":
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 1})
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
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines()[-2:] == ["after the trial True", "as it was raised"], done.stderr


def test_trials_share_a_gpu_or_have_it_alone(tmp_path):
    """Ray believes the node to have one GPU and four cores, so that only the GPU limits what runs at a time."""
    (tmp_path / "tiny.toml").write_text(TINY_SPACE)
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import pathlib, time, ray
        from ray.cluster_utils import Cluster
        import senas
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
            senas.search(senas.load_space(here / "tiny.toml"), evaluate=evaluate, trials=4, concurrency=3,
                         cpus_per_trial=1, gpus_per_trial=gpus, strategy="random", out=here / f"run-{gpus}",
                         address=cluster.address)
            return max(map(int, most.read_text().split()))

        if __name__ == "__main__":
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 4, "num_gpus": 1})
            print(search(0.5), search(1))
        """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=240)
    assert done.stdout.splitlines()[-1:] == ["2 1"], done.stdout + done.stderr


def test_the_default_evaluator_trains_in_workers(search):
    run = search(evaluate=senas.TrainingEvaluator(data="digits", recipe=senas.Recipe(epochs=2)), trials=2)
    assert all(t.status == "finished" and len(t.epochs) == 2 for t in run.trials())
    assert run.record.training is not None and run.record.training.data == "digits"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"strategy": "regularised-evolution"},
            "strategy: found 'regularised-evolution', did you mean 'regularized-evolution'",
        ),
        ({"objective": "speed"}, "objective: found 'speed'"),
        ({"trials": 0}, "trials: found 0, allowed: 1 to 1000000000"),
        ({"latency_budget_ms": 5.0}, "profile: found none, needed for a latency budget"),
        ({"trials": 2.5}, "search: trials: found 2.5, expected a whole number"),
        ({"seed": -1}, "seed: found -1, allowed: 0 to 4294967295"),
        ({"evaluate": 3}, "evaluate: found 3, expected a function"),
        ({"max_flops": -1.0}, "budget of flops: found -1.0, expected a positive number"),
        ({"address": "ray://localhost:10001"}, "address: found ray://localhost:10001, a Ray Client address"),
        ({"cpus_per_trial": 0}, "cpus_per_trial: found 0, allowed: 0.001 to 10000"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_made(tiny, tmp_path, options, message):
    with pytest.raises(SenasError) as caught:
        senas.search(tiny, out=tmp_path / "run", **{"evaluate": by_digest, "objective": "params", **options})
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_an_interrupt_keeps_what_had_finished(tmp_path, ray_local):
    """A real SIGINT to a real process, then `resume` in this one."""
    space = tmp_path / "tiny.toml"
    space.write_text(TINY_SPACE)
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import time, senas
        def slowly(arch, seed, report):
            time.sleep(0.3)
            return int(arch.digest, 16) % 1000 / 1000
        if __name__ == "__main__":
            senas.search(senas.load_space({str(space)!r}), evaluate=slowly, out={str(tmp_path / "run")!r},
                         trials=500, concurrency=2, strategy="random")
        """)
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
        if (tmp_path / "run" / "journal.sqlite").exists() and ended(Run(tmp_path / "run")) >= 4:
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    run = Run(tmp_path / "run")
    kept = [t for t in run.trials() if t.status == "finished"]
    assert 4 <= len(kept) < 500
    assert (run.folder / "front.json").exists()
    assert not list(run.folder.glob(".*.tmp"))
    left_running = {t.digest: t.number for t in run.trials() if t.status == "running"}
    resumed = senas.resume(run.folder, evaluate=by_digest, trials=len(kept) + 6, force=True)
    again = {t.digest: t for t in resumed.trials()}
    assert len(again) == len(resumed.trials()) == len(kept) + 6  # what was running has run again, under its number
    assert all(again[t.digest] == t for t in kept)
    assert all(again[digest].number == number for digest, number in left_running.items())
    assert all(t.status == "finished" for t in resumed.trials())


def ended(run: Run) -> int:
    return sum(t.status != "running" for t in run.trials())
