"""The bridge without Ray: strategies against the engine, the journal, the front."""

import threading
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import without_ray
from conftest import run_record

from senas.architecture import Architecture
from senas.costs.budget import Budget, Cost, cost_of
from senas.errors import SearchFailedError, SenasError
from senas.references import reference
from senas.searching.bridge import StrategySearcher
from senas.searching.course import Limits
from senas.searching.engine import ProposalEngine
from senas.searching.fidelity import promised_accuracy
from senas.searching.journal import Journal
from senas.searching.known import problem_of
from senas.searching.loop import course_of
from senas.searching.pareto import hypervolume, knee, pareto_front
from senas.searching.trial import Status, Trial, trial_seed
from senas.spaces.file import load_space
from senas.strategies.nni_space import NNISpace
from senas.strategies.problem import Problem
from senas.strategies.table import STRATEGIES, make_strategy


def accuracy_of(arch) -> float:
    return int(arch.digest, 16) % 1000 / 1000


def problem(space, feasible=lambda _: True) -> Problem:
    """The space with any constraint on its architectures."""
    known = problem_of(space, objective="params", budget=Budget(), worst_cost=10_000, profile=None, confidence=0.95)

    def keeps(rows):
        return np.array([feasible(space.architecture(space.sample_at(row))) for row in np.maximum(rows, 0)], dtype=bool)

    return replace(known, feasible=keeps)


def explore(space, name, count, *, seed=0, concurrency=1, feasible=lambda _: True, fails=lambda _: False):
    """Drive a strategy as the bridge does; returns the architectures it trained, in order."""
    engine = ProposalEngine(feasible, patience=3000)
    strategy = make_strategy(name, problem(space, feasible), seed=seed, trials=count, concurrency=concurrency)
    engine.start(strategy, NNISpace(space))
    proposed, running = [], []
    try:
        while len(proposed) < count:
            answer = engine.ask() if len(running) < concurrency else "later"
            if answer == "never" and not running:
                break
            if isinstance(answer, str):
                arch = running.pop(0)
                engine.tell(arch.digest, None if fails(arch) else accuracy_of(arch))
            else:
                proposed.append(answer)
                running.append(answer)
    finally:
        engine.close()
    return proposed, engine


@pytest.mark.parametrize("name", STRATEGIES)
class TestEveryStrategy:
    """The contract that every strategy is run through."""

    def test_proposes_only_feasible_architectures(self, tiny, name):
        drawn = [cost_of(tiny.random(np.random.default_rng(seed)), None).params for seed in range(50)]
        bound = float(np.percentile(drawn, 30))

        def feasible(arch):
            return Budget(params=bound).keeps(cost_of(arch, None))

        proposed, _ = explore(tiny, name, 30, feasible=feasible)
        assert len(proposed) == 30
        assert all(feasible(arch) for arch in proposed)

    @pytest.mark.parametrize("concurrency", [1, 3])
    def test_never_repeats_an_architecture(self, tiny, name, concurrency):
        proposed, _ = explore(tiny, name, 60, concurrency=concurrency)
        assert len({arch.digest for arch in proposed}) == len(proposed) == 60

    @pytest.mark.parametrize("concurrency", [1, 2])
    def test_is_deterministic(self, tiny, name, concurrency):
        first, second, other = (explore(tiny, name, 40, seed=seed, concurrency=concurrency)[0] for seed in (3, 3, 4))
        assert first == second
        assert first != other

    def test_survives_failures(self, tiny, name):
        proposed, _ = explore(tiny, name, 40, concurrency=2, fails=lambda arch: int(arch.digest, 16) % 3 == 0)
        assert len(proposed) == 40

    def test_survives_that_everything_fails(self, tiny, name):
        proposed, _ = explore(tiny, name, 20, concurrency=2, fails=lambda _: True)
        assert len(proposed) == 20

    @pytest.mark.parametrize("concurrency", [1, 2, 4])
    def test_a_replayed_journal_brings_it_back_to_where_it_stood(self, tiny, name, concurrency, tmp_path):
        whole = session(tiny, name, concurrency, tmp_path / "whole.sqlite", until=50)
        first = session(tiny, name, concurrency, tmp_path / "part.sqlite", until=20)
        second = session(tiny, name, concurrency, tmp_path / "part.sqlite", until=37)  # interrupted twice
        third = session(tiny, name, concurrency, tmp_path / "part.sqlite", until=50)
        assert [(t.number, t.digest, t.accuracy) for t in third] == [(t.number, t.digest, t.accuracy) for t in whole]
        for earlier, later in ((first, second), (second, third)):
            ended = [t for t in earlier if t.status != "running"]
            assert [t for t in later if t.number in {e.number for e in ended}] == ended
            assert len(earlier) - len(ended) == concurrency - 1

    def test_a_lost_worker_changes_nothing_but_the_number_of_attempts(self, tiny, name, tmp_path):
        lost: set[str] = set()

        def losing(arch: Architecture, seed: int) -> list[dict[str, Any]]:
            if int(arch.digest, 16) % 3 == 0 and arch.digest not in lost:
                lost.add(arch.digest)
                return [{"epoch": 1, "accuracy": 0.1}, {"lost": "killed"}]
            return train(arch, seed)

        whole, disturbed = (
            session(tiny, name, 1, tmp_path / file, until=30, train=how)
            for file, how in (("whole.sqlite", train), ("disturbed.sqlite", losing))
        )
        assert [t.digest for t in disturbed] == [t.digest for t in whole]
        assert [t.accuracy for t in disturbed] == [t.accuracy for t in whole]
        assert lost == {t.digest for t in disturbed if t.attempts == 2}
        assert all(t.failures[0].reason == "lost" for t in disturbed if t.attempts == 2)

    def test_ends_when_nothing_is_feasible(self, tiny, name):
        proposed, _ = explore(tiny, name, 5, feasible=lambda _: False)
        assert proposed == []
        assert "strategy" not in {thread.name for thread in threading.enumerate()}

    def test_a_tight_budget_is_searched_until_nothing_is_left(self, tiny, name):
        few = {tiny.random(np.random.default_rng(seed)).digest for seed in range(6)}
        proposed, _ = explore(tiny, name, 10, feasible=lambda arch: arch.digest in few)
        assert {arch.digest for arch in proposed} <= few
        assert len(proposed) >= (6 if name == "grid" else 3)


def train(arch: Architecture, _seed: int) -> list[dict[str, Any]]:
    """Every fifth architecture fails, and as many are stopped early."""
    accuracy = accuracy_of(arch)
    ends: tuple[dict[str, Any], ...] = (
        {"failure": "a reason", "reason": "diverged"},
        {"epoch": 2, "accuracy": accuracy / 2},
        *[{"final": accuracy}] * 3,
    )
    return [{"epoch": 1, "accuracy": accuracy / 2}, ends[round(1000 * accuracy) % 5]]


def session(space, strategy, concurrency, path, *, until, train=train) -> list[Trial]:
    """A search of 50 trials, whose strategy expects as many; a failed attempt may be repeated once."""
    made = make_strategy(strategy, problem(space), seed=0, trials=50, concurrency=concurrency)
    return without_ray.session(space, made, path, train, trials=50, concurrency=concurrency, until=until, retries=1)


def test_an_interrupt_that_ray_lost_is_raised_again(tiny, tmp_path):
    made = make_strategy("random", problem(tiny), seed=0, trials=5, concurrency=1)
    with (
        closing(Journal.create(tmp_path / "j.sqlite", run_record(tiny))) as journal,
        course_of(
            made,
            tiny,
            journal,
            feasible=lambda _: True,
            cost_of=lambda arch: cost_of(arch, None),
            limits=Limits(trials=5, concurrency=1),
            seed=0,
        ) as course,
    ):
        searcher = StrategySearcher(course)
        searcher.broken = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            searcher.suggest("a")
        assert searcher.stalled
        assert not journal.trials


def test_a_journal_of_another_strategy_is_not_gone_on_with(tiny, tmp_path):
    session(tiny, "random", 1, tmp_path / "j.sqlite", until=5)
    with pytest.raises(SenasError, match=r"trial 1: found architecture \w{16}, the strategy proposes \w{16}"):
        session(tiny, "grid", 1, tmp_path / "j.sqlite", until=6)


def test_max_params_pushes_the_search_to_networks_without_se_in_the_final_stage():
    for name in ("se-resnet-digits", "se-resnet-cifar", "se-resnet-imagenet"):
        space = load_space(name)
        drawn = [space.random(np.random.default_rng(seed)) for seed in range(300)]
        bound = float(np.percentile([cost_of(arch, None).params for arch in drawn], 5))
        proposed, _ = explore(space, "random", 60, feasible=lambda arch, b=bound: cost_of(arch, None).params <= b)

        def share_without(archs, last=space.stages[-1].number):
            return np.mean([all(cell.se is None for cell in arch.stage(last)) for arch in archs])

        assert share_without(proposed) > 1.5 * share_without(drawn)


def test_an_unknown_strategy_is_refused(tiny):
    with pytest.raises(SenasError, match="strategy: found 'randon', did you mean 'random'"):
        make_strategy("randon", problem(tiny), seed=0, trials=1, concurrency=1)


def test_a_strategy_that_fails_is_heard_of(tiny):
    class Broken(type(make_strategy("random", problem(tiny), seed=0, trials=1, concurrency=1))):
        def _run(self):
            raise ZeroDivisionError("broken")

    engine = ProposalEngine(lambda _: True)
    engine.start(Broken(), NNISpace(tiny))
    with pytest.raises(SearchFailedError, match="the strategy failed: ZeroDivisionError"):
        engine.ask()
    engine.close()


def trial(number: int, accuracy: float | None, flops: int, status: Status = "finished") -> Trial:
    return Trial(
        number=number,
        architecture=reference("resnet20", classes=number + 1),
        seed=0,
        cost=Cost(flops=flops, params=1),
        status=status,
        accuracy=accuracy,
    )


def test_the_front_agrees_with_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(30):
        points = [(int(tenths), int(cost)) for tenths, cost in rng.integers(1, 10, (25, 2))]
        trials = [trial(number, tenths / 10, cost) for number, (tenths, cost) in enumerate(points, 1)]
        best = {p for p in points if not any(q != p and q[0] >= p[0] and q[1] <= p[1] for q in points)}
        front = pareto_front(trials, "flops")
        assert {(round(10 * (t.accuracy or 0)), t.cost.flops) for t in front} == best
        assert len(front) == len(best)
        assert [t.accuracy for t in front] == sorted((t.accuracy or 0 for t in front), reverse=True)
        # The dominated cells of the 10 x 10 grid whose corner is accuracy 0, cost 10.
        dominated = sum(
            any(a >= row and c <= column for a, c in points) for row in range(1, 11) for column in range(10)
        )
        assert hypervolume(trials, "flops", 10) == pytest.approx(dominated / 100)


def test_only_finished_trials_make_the_front():
    trials = [trial(1, 0.5, 10), trial(2, 0.9, 5, "stopped"), trial(3, None, 1, "failed"), trial(4, None, 1, "running")]
    assert [t.number for t in pareto_front(trials, "flops")] == [1]
    assert pareto_front([], "flops") == []
    assert hypervolume([], "flops", 1) == 0


def test_the_knee_is_where_the_front_bends():
    front = [trial(1, 0.95, 100), trial(2, 0.94, 20), trial(3, 0.5, 10)]
    assert knee(front, "flops").number == 2
    assert knee(front[:1], "flops").number == 1


def test_an_unfinished_training_counts_by_what_it_promises():
    # After epoch 2 the errors of two finished trials shrank from 0.4 to 0.1 and from 0.5 to 0.25: to 0.375, the median.
    finished = [
        replace(trial(1, 0.9, 1), epochs=((1, 0.2), (2, 0.6), (3, 0.9))),
        replace(trial(2, 0.75, 1), epochs=((1, 0.2), (2, 0.5), (3, 0.75))),
    ]
    stopped = replace(trial(3, 0.2, 1, "stopped"), epochs=((1, 0.1), (2, 0.2)))
    assert promised_accuracy(stopped, finished) == pytest.approx(1 - 0.8 * 0.375)
    assert promised_accuracy(stopped, []) == 0.2  # nothing to go by
    assert promised_accuracy(replace(stopped, epochs=((9, 0.2),)), finished) == 0.2
    assert promised_accuracy(finished[0], finished[1:]) == 0.9
    assert promised_accuracy(trial(4, None, 1, "failed"), finished) is None


def test_trial_seeds_depend_on_search_and_architecture():
    assert trial_seed(0, "a") == trial_seed(0, "a") != trial_seed(1, "a")
    assert trial_seed(0, "a") != trial_seed(0, "b")
