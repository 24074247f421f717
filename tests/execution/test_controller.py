"""Decisions of the controller: limits, failures, interruptions, what runs again; and the progress that is displayed."""

import time
from contextlib import ExitStack, closing
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from conftest import run_record

import senas
from senas.costs.feasibility import cost_of
from senas.errors import SearchFailedError
from senas.execution.asha import EarlyStopping
from senas.execution.controller import MAX_INITIAL_FAILURES, Controller, SearchLimits
from senas.execution.progress import ProgressTracker
from senas.execution.ray_searcher import StrategySearcher
from senas.execution.trial_runner import open_controller
from senas.runs.journal import Journal
from senas.runs.trial import Failure, TrialTask
from senas.strategies.table import make_strategy
from senas.testing import run_in_process, small_problem

LOST = Failure(reason="lost", text="killed")


@pytest.fixture
def make_controller(tiny, tmp_path):
    """Makes controllers of one run, each as a process that continues it would."""
    with ExitStack() as opened:

        def make(**limits) -> Controller:
            opened.close()
            path = tmp_path / "journal.sqlite"
            journal = Journal(path, write=True) if path.exists() else Journal.create(path, run_record(tiny))
            opened.enter_context(closing(journal))
            return opened.enter_context(
                open_controller(
                    make_strategy("random", small_problem(), seed=0, trials=50, concurrency=1),
                    tiny,
                    journal,
                    feasible=lambda _: True,
                    cost_of=lambda arch: cost_of(arch, None),
                    limits=SearchLimits(**{"trials": 4, "concurrency": 2, **limits}),
                    seed=0,
                    scratch=tmp_path / "trials",
                )
            )

        yield make


def numbers(*trials):
    return [None if trial is None else trial.number for trial in trials]


def test_what_passed_a_rung_is_not_held_to_it_again(make_controller):
    made = make_controller(concurrency=3)
    for number, accuracy in ((1, 0.5), (2, 0.9)):
        assert numbers(made.next()) == [number]
        made.report(number, 2, accuracy)
    made.finish(1, 0.5, 1.0)
    for trials in ([], [*made._journal.trials.values()]):  # of this session, of the one before a kill
        asha, nobody = EarlyStopping(trials), cast(Any, None)
        attempts: list[Any] = [SimpleNamespace(config={"number": number, "purpose": "search"}) for number in (1, 2, 3)]
        for attempt in attempts:
            asha.on_trial_add(nobody, attempt)
        for attempt, accuracy in zip(attempts[:2], (0.5, 0.9), strict=True):
            if not trials:
                assert asha.on_trial_result(nobody, attempt, {"epoch": 2, "accuracy": accuracy}) == "CONTINUE"
        assert asha.on_trial_result(nobody, attempts[1], {"epoch": 3, "accuracy": 0.1}) == "CONTINUE"
        assert asha.on_trial_result(nobody, attempts[2], {"epoch": 2, "accuracy": 0.4}) == "STOP"


def test_time_may_run_out_before_the_last_trial_runs_again(make_controller):
    made = make_controller(trials=1)
    assert numbers(made.next()) == [1]
    made = make_controller(trials=1, seconds=1e6)
    assert made.end_reason == "trials" and not made.complete
    made._deadline = time.monotonic()
    assert made.next() is None and made.over and made.end_reason == "time"


def test_a_trial_has_so_many_attempts_and_then_has_failed(make_controller):
    made = make_controller(retries=2, trials=2)
    for _ in range(3):
        assert numbers(made.next()) == [1]
        made.fail(1, LOST, 1.0)
    assert numbers(made.next(), made.next()) == [2, None]
    made.finish(2, 0.5, 1.0)
    assert made.next() is None and made.over and made.end_reason == "trials"


@pytest.mark.parametrize(("reason", "attempts"), [("diverged", 1), ("invalid", 1), ("time", 1), ("memory", 2)])
def test_only_failures_that_may_not_come_again_are_retried(make_controller, reason, attempts):
    made = make_controller(retries=1)
    for _ in range(attempts):
        assert numbers(made.next()) == [1]
        made.fail(1, Failure(reason=reason, text=""), 1.0)
    assert numbers(made.next()) == [2]


def test_what_was_interrupted_runs_again_when_there_is_time(make_controller):
    made = make_controller(seconds=1e6)
    first, second = made.next(), made.next()
    assert made.overdue(first, 5.0) == "" and numbers(first, second) == [1, 2]
    made.finish(1, 0.5, 1.0)
    made.interrupt(2, 3.0)
    assert made.running == []
    late = make_controller(seconds=0.0)
    assert late.complete
    assert late.next() is None and late.over and late.end_reason == "time"
    more = make_controller(seconds=1e6)
    assert not more.complete
    again = more.next()
    assert numbers(again) == [2] and again.attempts == 2 and again.digest == second.digest


def test_what_would_not_end_in_time_is_not_started(make_controller):
    made = make_controller(seconds=1_000.0)
    made.next()
    made.finish(1, 0.5, 2_000.0)
    assert made.next() is None and made.end_reason == "time"


def test_the_last_trial_is_not_run_again_without_time(make_controller):
    made = make_controller(trials=2)
    assert numbers(made.next(), made.next()) == [1, 2]
    made.finish(1, 0.5, 1.0)
    late = make_controller(trials=2, seconds=-1.0)
    assert late.complete and late.next() is None and late.end_reason == "time"


def test_the_limit_of_a_trial_and_that_of_the_search_are_told_apart(make_controller):
    made = make_controller(seconds=-1.0, trial_seconds=10.0)
    trial = make_controller(trial_seconds=10.0).next()
    assert made.overdue(trial, 11.0) == "trial" and made.overdue(trial, 9.0) == "search"


def test_nothing_but_failures_end_a_session_and_not_the_run(make_controller):
    made = make_controller(trials=50, concurrency=3)
    running = [made.next(), made.next(), made.next()]
    for _ in range(MAX_INITIAL_FAILURES):
        made.fail(running.pop(0).number, Failure(reason="invalid", text=""), 1.0)
        found = made.next()
        running += [found] if found is not None else []
    assert running and made.next() is None and made.end_reason == ""  # what runs may still turn out well
    made.finish(running.pop(0).number, 0.5, 1.0)
    assert made.next() is not None
    failing = make_controller(trials=50, concurrency=1)
    for _ in range(MAX_INITIAL_FAILURES):
        failing.fail(failing.next().number, Failure(reason="invalid", text=""), 1.0)
    assert failing.next() is None and failing.end_reason == "failures"
    assert make_controller(trials=50).next() is not None  # the cause may be mended


def test_what_ended_trials_kept_is_removed_whenever_the_process_was_killed(make_controller, tmp_path):
    made = make_controller()
    assert numbers(made.next(), made.next()) == [1, 2]
    for number in (1, 2, 7):
        (tmp_path / "trials" / str(number)).mkdir(parents=True)
    made.finish(1, 0.5, 1.0)
    assert not (tmp_path / "trials" / "1").exists()
    (tmp_path / "trials" / "1").mkdir()
    make_controller()
    assert [path.name for path in (tmp_path / "trials").iterdir()] == ["2"]


def test_a_node_with_other_code_ends_the_search_and_counts_as_no_failure(make_controller):
    made = make_controller()
    searcher = StrategySearcher(made)
    assert isinstance(searcher.suggest("a"), dict)
    searcher.on_trial_start("a")
    with pytest.raises(SearchFailedError, match=r"node n: found senas 0 of source a; install the same senas"):
        searcher.on_trial_complete("a", {"refused": "node n: found senas 0 of source a"})
    searcher.on_worker_error("a", "lost", "went down with the search")
    with pytest.raises(SearchFailedError, match="node n"):
        searcher.suggest("b")
    assert numbers(make_controller().next()) == [1]


def test_progress_has_the_epochs_of_running_trials(tiny, tmp_path):
    seen = []

    def evaluate(arch, seed, report):
        for epoch in (1, 2):
            report(epoch, epoch / 4)
        return 0.75

    senas.search(tiny, evaluate=evaluate, objective="params", trials=2, concurrency=1, strategy="random",
                 out=tmp_path / "run", execute=run_in_process, on_progress=seen.append)  # fmt: skip
    assert [(each.ended, [(t.number, t.epochs[-1]) for t in each.reporting]) for each in seen] == [
        (0, []),  # the search starts
        (0, []),  # trial 1 starts
        (0, [(1, (1, 0.25))]),
        (0, [(1, (2, 0.5))]),
        (1, []),
        (1, []),
        (1, [(2, (1, 0.25))]),
        (1, [(2, (2, 0.5))]),
        (2, []),
        (2, []),  # the search ends
    ]
    assert {each.epochs for each in seen} == {None}  # known only where senas trains


def test_a_tracker_tells_what_failed_last_and_who_leads(tiny, tmp_path):
    with closing(Journal.create(tmp_path / "journal.sqlite", run_record(tiny))) as journal:
        archs = [tiny.random(np.random.default_rng(seed)) for seed in range(3)]
        tracker = ProgressTracker(journal, "params", 1e6)

        def start(number):
            task = TrialTask(purpose="search", architecture=archs[number - 1], seed=number)
            journal.started(number, task, cost_of(archs[number - 1], None))
            tracker.update(journal.trials[number])

        start(1)
        assert tracker.last is None and tracker.latest is not None and tracker.latest.number == 1
        journal.retried(1, LOST, 1.0)
        tracker.update(journal.trials[1])
        assert tracker.last is not None and tracker.last.number == 1
        start(1)
        start(2)
        journal.finished(2, 0.25, 1.0)
        tracker.update(journal.trials[2])
        assert (tracker.last.number, tracker.ended["search"], tracker.front[0].accuracy) == (2, 1, 0.25)
        again = ProgressTracker(journal, "params", 1e6)  # another process, after a kill
        journal.started(1, TrialTask(purpose="search", architecture=archs[0], seed=1), cost_of(archs[0], None))
        again.update(journal.trials[1])
        journal.retried(1, LOST, 1.0)
        again.update(journal.trials[1])
        assert again.last is not None and again.last.number == 1
        assert again.hypervolume == tracker.hypervolume > 0
