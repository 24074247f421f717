"""Trainings that no strategy asks for, the baseline and replicates, and the summary of a run that has them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import senas
from senas.analysis.baseline import baseline_architectures, random_search
from senas.analysis.followup import FollowUpTrials
from senas.analysis.summary import summarize_run, summarize_trials
from senas.architecture.network import Architecture
from senas.costs.budget import Budget
from senas.costs.feasibility import cost_of
from senas.errors import SenasError
from senas.report.figure import front_figure
from senas.report.tables import front_table, summary_caption
from senas.runs.run import Run
from senas.runs.trial import Failure, Trial
from senas.spaces.templates import make_templates
from senas.spaces.toml_file import load_space
from senas.strategies.candidates import every_row
from senas.strategies.space_problem import make_problem
from senas.strategies.table import make_strategy
from senas.testing import replay_session, run_in_process


def noisy(arch: Architecture, seed: int, report=None) -> float:
    """More parameters, more accuracy, and a fifth of the range is noise of the seed."""
    return 0.5 + 0.3 * min(1.0, senas.complexity(arch).params / 10_000) + 0.2 * (seed % 1000) / 1000


def params_problem(space, **budget):
    return make_problem(
        space, objective="params", budget=Budget(**budget), worst_cost=10_000, profile=None, confidence=0.95
    )


def session(space, path, *, trials=8, baseline=True, replicates=6, concurrency=1, until=10**9) -> list[Trial]:
    """A search by `ehvi` with a baseline and replicates."""
    problem = params_problem(space)
    followup = FollowUpTrials(space, problem, objective="params", seed=0, baseline=baseline, replicates=replicates)
    return replay_session(
        space,
        make_strategy("ehvi", problem, seed=0, trials=8, concurrency=concurrency),
        path,
        lambda arch, seed: [{"final": noisy(arch, seed)}],
        trials=trials,
        concurrency=concurrency,
        until=until,
        followup=followup.next,
    )


class TestBaseline:
    def test_random_search_is_distinct_feasible_and_longer_begins_with_shorter(self, tiny):
        problem = params_problem(tiny, params=7_000)
        long = random_search(problem, 200, seed=3)
        assert problem.feasible(long).all()
        assert len(np.unique(long, axis=0)) == 200
        assert (random_search(problem, 20, seed=3) == long[:20]).all()
        assert not (random_search(problem, 20, seed=4) == long[:20]).all()

    @pytest.mark.parametrize("seed", range(5))
    def test_a_small_space_is_drawn_whole(self, tiny, seed):
        assert len(random_search(params_problem(tiny), 10_000, seed=seed)) == tiny.size == 720

    def test_a_large_space_is_drawn_from(self):
        problem = params_problem(load_space("se-resnet-digits"))
        long = random_search(problem, 600, seed=1)
        assert len(np.unique(long, axis=0)) == 600
        assert (random_search(problem, 20, seed=1) == long[:20]).all()

    def test_templates_beyond_the_budget_are_left_out(self, tiny):
        plain, with_se = make_templates(tiny).values()
        between = (cost_of(plain, None).params + cost_of(with_se, None).params) / 2
        archs = baseline_architectures(tiny, params_problem(tiny, params=between), 5, seed=0)
        assert archs[0] == plain and with_se not in archs
        assert len(archs) == 6
        assert all(cost_of(arch, None).params <= between for arch in archs)


class TestFollowUpTrials:
    def test_the_baseline_comes_after_the_search_and_replicates_after_the_baseline(self, tiny, tmp_path):
        trials = session(tiny, tmp_path / "j.sqlite", concurrency=3)
        purposes = [trial.purpose for trial in trials]
        assert purposes == sorted(purposes, key=["search", "baseline", "replicate"].index)
        searched = {trial.digest for trial in trials if trial.purpose == "search"}
        expected = [
            arch.digest
            for arch in baseline_architectures(tiny, params_problem(tiny), 8, seed=0)
            if arch.digest not in searched
        ]
        assert [trial.digest for trial in trials if trial.purpose == "baseline"] == expected
        assert Counter(purposes) == {"search": 8, "baseline": len(expected), "replicate": 6}
        assert len({(trial.digest, trial.seed) for trial in trials}) == len(trials)  # no training is repeated
        first = {trial.digest for trial in trials if trial.purpose != "replicate"}
        assert {trial.digest for trial in trials if trial.purpose == "replicate"} <= first

    def test_replicates_go_where_the_front_is_least_certain(self, tiny, tmp_path):
        trials = session(tiny, tmp_path / "j.sqlite", trials=20, baseline=False, replicates=1)
        *before, replicate = trials
        summary = summarize_trials(tiny, params_problem(tiny), before, seed=0)
        assert summary is not None
        unsure = {digest: abs(told.on_front - 0.5) for digest, told in summary.estimates.items()}
        assert replicate.digest == min(unsure, key=lambda digest: unsure[digest])
        assert 0 < summary.estimates[replicate.digest].on_front < 1

    @pytest.mark.parametrize("concurrency", [1, 3])
    def test_after_a_kill_it_goes_on_as_if_nothing_had_happened(self, tiny, tmp_path, concurrency):
        whole = session(tiny, tmp_path / "whole.sqlite", concurrency=concurrency)
        for until in (5, 10, 15, 20):
            session(tiny, tmp_path / "part.sqlite", concurrency=concurrency, until=until)
        again = session(tiny, tmp_path / "part.sqlite", concurrency=concurrency)
        assert [(t.number, t.digest, t.seed, t.accuracy) for t in again] == [
            (t.number, t.digest, t.seed, t.accuracy) for t in whole
        ]

    def test_what_was_abandoned_does_not_keep_follow_up_trials_from_going_on(self, tiny, tmp_path):
        session(tiny, tmp_path / "j.sqlite", concurrency=3, until=7)  # killed while the last trials were running
        session(tiny, tmp_path / "j.sqlite", concurrency=3, trials=7, until=9)  # and again in the baseline
        trials = session(tiny, tmp_path / "j.sqlite", concurrency=3, trials=7)
        assert {trial.purpose for trial in trials if trial.status == "running"} <= {"search"}
        assert sum(trial.purpose == "replicate" for trial in trials) == 6

    @pytest.mark.slow  # follows up on 120 trials
    def test_the_totals_are_what_is_trained(self, tiny, tmp_path):
        followup = FollowUpTrials(tiny, params_problem(tiny), objective="params", seed=0, baseline=True, replicates=6)
        for trials in (session(tiny, tmp_path / "j.sqlite"), session(tiny, tmp_path / "j.sqlite", trials=120)):
            baseline = sum(trial.purpose == "baseline" for trial in trials)
            assert followup.total("baseline", trials) == baseline
            assert followup.total("replicate", trials) == 6

    def test_a_longer_search_has_a_longer_baseline(self, tiny, tmp_path):
        short = session(tiny, tmp_path / "j.sqlite")
        long = session(tiny, tmp_path / "j.sqlite", trials=12, replicates=8)
        assert long[: len(short)] == short
        added = [trial.purpose for trial in long[len(short) :]]
        assert added == sorted(added, key=["search", "baseline", "replicate"].index)
        assert Counter(added) == {"search": 4, "baseline": 4, "replicate": 2}


class TestRunSummary:
    def test_too_few_results_tell_nothing(self, tiny, tmp_path):
        trials = session(tiny, tmp_path / "j.sqlite", baseline=False, replicates=0, until=4)
        assert summarize_trials(tiny, params_problem(tiny), trials, seed=0) is None

    def test_only_what_the_strategy_trained_counts_for_the_search(self, tiny, tmp_path):
        trials = session(tiny, tmp_path / "j.sqlite", replicates=0)
        summary = summarize_trials(tiny, params_problem(tiny), trials, seed=0)
        alone = summarize_trials(tiny, params_problem(tiny), [t for t in trials if t.purpose == "search"], seed=0)
        assert summary is not None and alone is not None
        assert summary.random_was_trained and not alone.random_was_trained
        assert 0 < summary.random_hypervolume < 1 and 0 < alone.random_hypervolume < 1
        assert set(summary.estimates) == {trial.digest for trial in trials}
        assert [template.accuracy is None for template in summary.templates] == [False, False]
        # A perfect network among the baseline's must not be to the search's credit.
        perfect = [replace(t, accuracy=1.0) if t.purpose == "baseline" else t for t in trials]
        better = summarize_trials(tiny, params_problem(tiny), perfect, seed=0)
        assert better is not None
        assert better.random_hypervolume > better.hypervolume

    def test_a_baseline_of_which_some_failed_is_a_baseline(self, tiny, tmp_path):
        *others, last = session(tiny, tmp_path / "j.sqlite", replicates=0)
        failed = replace(last, status="failed", accuracy=None, failures=(Failure(reason="lost", text="a reason"),))
        summary = summarize_trials(tiny, params_problem(tiny), [*others, failed], seed=0)
        assert summary is not None and summary.random_was_trained

    @pytest.mark.parametrize("feasible", [720, 40])
    def test_random_search_is_imagined_about_as_good_as_it_is(self, tiny, feasible):
        whole = every_row(params_problem(tiny))
        assert whole is not None
        problem = params_problem(tiny, params=float(np.sort(params_problem(tiny).costs(whole)[:, 0])[feasible - 1]))
        archs = [tiny.architecture(tiny.sample_at(np.maximum(row, 0))) for row in random_search(problem, 20, seed=5)]
        trials = [
            Trial(number=number, architecture=arch, seed=500, cost=cost_of(arch, None), status="finished",
                  accuracy=noisy(arch, 500))
            for number, arch in enumerate(archs, start=1)
        ]  # fmt: skip
        summary = summarize_trials(tiny, problem, trials, seed=0)
        assert summary is not None and not summary.random_was_trained
        assert summary.random_hypervolume == pytest.approx(summary.hypervolume, rel=0.1)

    def test_intervals_hold_what_is_expected_even_among_ties(self, tiny):
        archs = [tiny.random(np.random.default_rng(seed)) for seed in range(24)]
        trials = [
            Trial(number=number, architecture=arch, seed=0, cost=cost_of(arch, None), status="finished",
                  accuracy=0.6 if number % 5 == 0 else 0.97)
            for number, arch in enumerate(archs, start=1)
        ]  # fmt: skip
        summary = summarize_trials(tiny, params_problem(tiny), trials, seed=0)
        assert summary is not None
        for template in summary.templates:
            assert 0 <= template.interval[0] <= template.expected <= template.interval[1] <= 1
        for trial in trials:
            assert trial.accuracy is not None
            assert abs(summary.estimates[trial.digest].accuracy - trial.accuracy) < 0.2

    @pytest.mark.slow  # trains 80 replicates
    def test_replicates_bring_estimates_nearer_to_the_truth(self, tiny, tmp_path):
        def error(replicates: int) -> float:
            trials = session(tiny, tmp_path / f"{replicates}.sqlite", baseline=False, replicates=replicates)
            summary = summarize_trials(tiny, params_problem(tiny), trials, seed=0)
            assert summary is not None
            true = {t.digest: 0.6 + 0.3 * min(1.0, t.cost.params / 10_000) for t in trials}  # half of the noise is 0.1
            return float(np.mean([abs(told.accuracy - true[digest]) for digest, told in summary.estimates.items()]))

        assert error(80) < 0.75 * error(0)


def in_epochs(arch: Architecture, seed: int, report) -> float:
    for epoch in range(1, 9):
        report(epoch, noisy(arch, seed) * epoch / 8)
    return noisy(arch, seed)


def test_early_stopping_spares_the_baseline_and_replicates(tiny, tmp_path):
    run = senas.search(
        tiny,
        execute=run_in_process, evaluate=in_epochs, objective="params", trials=12, concurrency=2, strategy="random",
        early_stopping=True,
        baseline=True, replicates=3, out=tmp_path / "run",
    )  # fmt: skip
    trials = run.trials()
    assert any(trial.status == "stopped" for trial in trials if trial.purpose == "search")
    assert {trial.status for trial in trials if trial.purpose != "search"} == {"finished"}
    summary = summarize_run(run)
    assert summary is not None and summary.random_was_trained


@pytest.fixture
def extended(tiny, tmp_path) -> Run:
    """A run with a baseline and replicates."""
    return senas.search(
        tiny,
        execute=run_in_process, evaluate=noisy, objective="params", trials=6, concurrency=2, baseline=True,
        replicates=3, out=tmp_path / "run",
    )  # fmt: skip


def test_a_run_with_a_baseline_and_replicates(extended):
    trials = extended.trials()
    assert Counter(trial.purpose for trial in trials)["search"] == 6
    assert Counter(trial.purpose for trial in trials)["replicate"] == 3
    assert all(trial.accuracy == noisy(trial.architecture, trial.seed) for trial in trials)
    summary = summarize_run(extended)
    assert summary is not None and summary.random_was_trained
    caption = summary_caption(summary, "params")
    assert "random search of the same size reaches 0." in caption[0]
    assert caption[1].startswith("plain template: ") and "accuracy" in caption[1]
    figure = front_figure(extended, summary)
    assert len(figure.of("front")) == len(extended.front())
    assert {point.role for point in figure.points} >= {"front", "plain", "all-SE"}
    assert all(point.spread is None for role in ("plain", "all-SE") for point in figure.of(role))
    expected = front_figure(extended, replace(summary, templates=(replace(summary.templates[0], accuracy=None),)))
    assert expected.of("plain")[0].spread is not None and not expected.of("all-SE")
    repeated = replace(extended.front()[0], trainings=2)
    assert "trainings" in [column.header for column in front_table([repeated], summary=None, width=100).columns]

    resumed = senas.resume(extended.folder, execute=run_in_process, evaluate=noisy, trials=7, replicates=4)
    kept = {trial.number: trial for trial in resumed.trials()}
    assert all(kept[trial.number] == trial for trial in trials)
    assert Counter(t.purpose for t in resumed.trials())["replicate"] == 4
    assert resumed.record.options.baseline
    with pytest.raises(SenasError, match="replicates: found 3, allowed: at least the 4 that have ended"):
        senas.resume(extended.folder, execute=run_in_process, evaluate=noisy, replicates=3)
    assert len(senas.resume(extended.folder, execute=run_in_process, evaluate=noisy).trials()) == len(resumed.trials())
