"""Searches without Ray: budgets, repeatability, failures, resumption, what a run folder holds. See test_ray for Ray."""

import json
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from conftest import formula_ms, formula_profile

import senas
from senas.errors import SearchFailedError, SenasError
from senas.execution.current_profile import profile_of_elsewhere
from senas.execution.evaluation import evaluate_trial
from senas.execution.searching import measure_front
from senas.latency.devices.environment import Device
from senas.latency.measurement.session import measure_in_process
from senas.runs.provenance import senas_source_digest
from senas.runs.run import Run
from senas.strategies.candidates import every_row, key
from senas.strategies.nni_own import Random
from senas.strategies.table import STRATEGIES
from senas.testing import digest_accuracy, run_in_process

resume = partial(senas.resume, execute=run_in_process)


def by_digest(arch, seed, report):
    return digest_accuracy(arch)


def by_params(arch, seed, report):
    return min(1.0, senas.complexity(arch).params / 10_000)


def in_epochs(arch, seed, report):
    for epoch in range(1, 9):
        report(epoch, by_digest(arch, seed, report) * epoch / 8)
    return by_digest(arch, seed, report)


@pytest.fixture
def search(tiny, tmp_path):
    def run(name="run", **options):
        fields = {"evaluate": by_digest, "objective": "params", "trials": 12, "concurrency": 1, "out": tmp_path / name}
        return senas.search(tiny, execute=run_in_process, **{**fields, **options})

    return run


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_searches(search, strategy):
    run = search(strategy=strategy)
    assert [t.status for t in run.trials()] == ["finished"] * 12
    assert len({t.digest for t in run.trials()}) == 12
    assert run.record.options.strategy == strategy


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
    cheapest = tiny.cheapest(formula_ms)
    with pytest.raises(SenasError, match=f"smallest achievable is .* by architecture {cheapest.digest}"):
        search(profile=formula_profile(tiny), latency_budget_ms=1e-6, objective="latency")
    assert not (tmp_path / "run").exists()


def test_a_failure_that_does_not_come_again_is_forgiven(search, tmp_path):
    def once(arch, seed, report, prefix=""):
        marker = tmp_path / f"{prefix}{arch.digest}"
        if int(arch.digest, 16) % 2 and not marker.exists():
            marker.touch()
            raise OSError("the file system was away for a moment")
        return by_digest(arch, seed, report)

    run = search("forgiven", evaluate=once)
    whole = search("whole")
    assert [(t.digest, t.accuracy) for t in run.trials()] == [(t.digest, t.accuracy) for t in whole.trials()]
    assert {t.attempts for t in run.trials()} == {1, 2}
    strict = search("strict", evaluate=partial(once, prefix="strict"), retries=0)
    assert {(t.status, t.attempts) for t in strict.trials()} == {("finished", 1), ("failed", 1)}


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
    run = resume(tmp_path / "run", evaluate=in_epochs)
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
        resume(part.folder)
    with pytest.raises(
        SenasError, match=r"evaluate test_search.by_digest, found test_search.*logged; --force continues"
    ):
        resume(part.folder, evaluate=logged)
    resumed = resume(part.folder, evaluate=logged, force=True)
    assert [t.number for t in resumed.trials()] == list(range(1, 21))
    assert sorted(log.read_text().split()) == sorted(t.digest for t in resumed.trials() if t not in ended)
    if concurrency == 1:
        whole = search("whole", strategy="regularized-evolution", trials=20)
        assert [t.digest for t in resumed.trials()] == [t.digest for t in whole.trials()]
        assert len(resume(part.folder, evaluate=logged, trials=22).trials()) == 22
        assert Run(part.folder).record.trials == 22


@pytest.mark.parametrize(
    "changes", [{"trials": 10**30}, {"trials": 3.5}, {"retries": 1.5}, {"baseline": 1}, {"trials": 0}]
)
def test_a_resumption_that_asks_for_nonsense_leaves_the_run_as_it_was(search, changes):
    run = search(trials=2)
    with pytest.raises(SenasError):
        resume(run.folder, evaluate=by_digest, **changes)
    assert Run(run.folder).record == run.record
    assert len(resume(run.folder, evaluate=by_digest, trials=3).trials()) == 3


def test_leaving_an_evaluation_is_a_failure_of_the_trial(search, tmp_path):
    def leave(arch, seed, report):
        if int(arch.digest, 16) % 2:
            sys.exit(3)
        report("one", 0.5)

    with pytest.raises(SearchFailedError, match="none of 6 trials gave an accuracy"):
        search(evaluate=leave, trials=6, retries=0, strategy="random")
    said = {"exception": "SystemExit: 3", "invalid": "found epoch 'one', allowed"}
    found = [trial.failures[0] for trial in Run(tmp_path / "run").trials()]
    assert {failure.reason for failure in found} == set(said)
    assert all(said[failure.reason] in failure.text for failure in found)


def test_an_interrupt_within_an_evaluation_ends_a_search_without_workers_and_is_a_failure_in_a_worker(search, tiny):
    def interrupted(arch, seed, report):
        raise KeyboardInterrupt("in the evaluation")

    with pytest.raises(KeyboardInterrupt, match="in the evaluation"):
        search(evaluate=interrupted)
    arch = tiny.random(np.random.default_rng(0))
    config = {"architecture": arch.to_json(), "seed": 0, "folder": None, "source": senas_source_digest()}
    outcome = evaluate_trial(config, lambda: interrupted, lambda _: None)
    assert outcome["reason"] == "exception" and "KeyboardInterrupt: in the evaluation" in str(outcome["failure"])


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
    assert opened.profile == formula_profile(tiny)
    front = json.loads((run.folder / "front.json").read_text())
    assert [row["digest"] for row in front] == [t.digest for t in run.front()]
    for trial in run.trials():
        path = run.folder / "architectures" / f"{trial.digest}.json"
        assert senas.Architecture.load(path) == trial.architecture
    assert opened.pick("best") == run.front()[0]
    assert opened.pick(run.trials()[3].digest[:9]) == run.trials()[3]
    assert opened.pick("4") == run.trials()[3]  # by the number that tables print
    for wrong, found in (("", "found several trials for ''"), ("zzz", "found no trial 'zzz'"), ("99", "no trial '99'")):
        with pytest.raises(SenasError) as caught:
            opened.pick(wrong)
        assert found in str(caught.value)
        assert f"the start of one digest, such as 1 ({run.trials()[0].digest[:8]}), 2 (" in str(caught.value)
    measured = measure_front(run, seconds=0.05, measure=measure_in_process)
    assert [t.digest for t in measured] == [t.digest for t in run.front()]
    assert all(t.measured_ms and t.measured_ms > 0 for t in measured)
    assert all(t.drift and t.drift > 0 for t in measured)


def test_a_search_uses_the_profile_of_another_machine_as_it_was_measured(search, tiny, tmp_path):
    gpu = Device(kind="cuda", name="a GPU elsewhere", cores=132, driver="580")
    mode = replace(formula_profile(tiny).mode, execution="graph", dtype="fp16", batch=32)
    profile = formula_profile(tiny, device=gpu, mode=mode)
    asked = {"profile": profile, "objective": "latency", "latency_budget_ms": 9.0, "trials": 4}
    with pytest.raises(SenasError, match=r"device: found cuda, but torch sees no CUDA device here"):
        search(**asked)
    run = search(**asked, elsewhere=True)
    assert run.record.options.elsewhere
    for trial in run.trials():
        assert trial.cost == senas.cost_of(trial.architecture, profile)
        assert profile.predict(trial.architecture).upper_ms <= 9.0
    assert [trial.measured_ms for trial in measure_front(run)] == [None] * len(run.front())
    assert len(resume(run.folder, evaluate=by_digest, trials=6).trials()) == 6

    profile.save(tmp_path / "gpu.json")
    found, (note,) = profile_of_elsewhere(
        tiny, source=str(tmp_path / "gpu.json"), execution="graph", dtype=None, batch=None
    )
    assert found == profile
    assert note.startswith("latency of a GPU elsewhere (graph, fp16, batch 32) as it was measured on 2026-01-01;")
    with pytest.raises(SenasError, match=r"mode\.batch: found 32, the search needs 1"):
        profile_of_elsewhere(tiny, source=str(tmp_path / "gpu.json"), execution=None, dtype=None, batch=1)
    with pytest.raises(SenasError, match="elsewhere: needs the profile of another machine"):
        search("none", elsewhere=True)


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
        resume(run.folder, evaluate=by_digest)
    profile = formula_profile(tiny, calibration=replace(formula_profile(tiny).calibration, scale=2.0))
    profile.save(path)
    with pytest.raises(SenasError, match=r"profile.json: found a profile of digest \w{16}, expected \w{16}"):
        resume(run.folder, evaluate=by_digest)


def test_run_json_is_a_copy_that_decides_nothing(search):
    run = search(trials=2)
    (run.folder / "run.json").write_text("{}")
    assert resume(run.folder, evaluate=by_digest, trials=3).record.trials == 3
    assert json.loads((run.folder / "run.json").read_text())["trials"] == 3


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
        senas.search(
            tiny,
            execute=run_in_process,
            out=tmp_path / "run",
            **{"evaluate": by_digest, "objective": "params", **options},
        )
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_records_of_a_run_are_every_trial_best_first(search):
    records = search(trials=6).to_records()
    accuracies = [record["accuracy"] for record in records]
    assert accuracies == sorted(accuracies, reverse=True) and len(records) == 6
    assert records[0]["on_front"] and {"number", "digest", "flops", "params", "status", "se"} <= set(records[0])
    assert all(not isinstance(value, (dict, list)) for value in records[0].values())


class Alphabetical(senas.ProposingStrategy):
    """A strategy of one's own: every architecture in the order of its option numbers."""

    def propose(self):
        listed = every_row(self.problem)
        assert listed is not None
        return next((row for row in listed if key(row) not in self.known), None)


def test_a_strategy_of_ones_own_searches_and_is_resumed_by_name(search, tmp_path):
    run = search(strategy=Alphabetical, trials=6)
    assert run.record.options.strategy == "test_search.Alphabetical"
    with pytest.raises(SenasError, match=r"was searched with the strategy test_search.Alphabetical, pass it to resume"):
        resume(run.folder, evaluate=by_digest, trials=9)
    with pytest.raises(SenasError, match=r"strategy: found random, the run was searched with test_search.Alphabetical"):
        resume(run.folder, evaluate=by_digest, trials=9, strategy="random")
    longer = resume(run.folder, evaluate=by_digest, trials=9, strategy=Alphabetical)
    whole = search("whole", strategy=Alphabetical, trials=9)
    assert [t.digest for t in longer.trials()] == [t.digest for t in whole.trials()]


def test_an_nni_strategy_searches_as_an_object(search):
    by_name, by_object = (search(f"run{n}", strategy=each, seed=0) for n, each in enumerate(("random", Random(seed=0))))
    assert [t.digest for t in by_object.trials()] == [t.digest for t in by_name.trials()]
    assert by_object.record.options.strategy == "nni.nas.strategy.bruteforce.Random"


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (3, "strategy: found 3, expected a name or an nni.nas.strategy.Strategy"),
        (lambda problem, seed: problem, "expected a name or an nni.nas.strategy.Strategy"),
    ],
)
def test_what_is_no_strategy_is_refused(search, tmp_path, strategy, message):
    with pytest.raises(SenasError, match=message):
        search(strategy=strategy)
    assert not (tmp_path / "run").exists()


def test_an_unknown_option_is_refused_with_the_nearest_known_one(search):
    with pytest.raises(SenasError, match=r"search: unknown argument, found 'trails', did you mean 'trials'\?"):
        search(trails=3)
    with pytest.raises(SenasError, match=r"resume: unknown argument, found 'seed'"):
        resume("nowhere", seed=3)


def test_a_run_reads_the_costs_it_has_counted_and_refuses_others(search, monkeypatch):
    run = search(trials=3)
    path = run.folder / "costs.json"
    assert len(json.loads(path.read_text())["parts"]) == len(run.record.space.parts)
    again = Run(run.folder)
    indices = again.record.space.random_indices(np.random.default_rng(0), 20)
    expected = senas.CostModel(again.record.space).complexities(indices)
    assert all(
        (found == wanted).all() for found, wanted in zip(again.cost_model.complexities(indices), expected, strict=True)
    )
    data = json.loads(path.read_text())
    for part in data["parts"].values():
        part["flops"] += 1
    path.write_text(json.dumps(data))
    with pytest.raises(
        SenasError, match=r"costs.json: found \d+ FLOPs .* for trial 1, expected \d+ .*; remove the file"
    ):
        Run(run.folder).problem  # noqa: B018  # raises
    data["parts"].popitem()
    path.write_text(json.dumps(data))
    with pytest.raises(SenasError, match=r"costs.json: parts: missing "):
        Run(run.folder).problem  # noqa: B018  # raises
    path.unlink()
    assert Run(run.folder).problem.worst_cost == run.problem.worst_cost
