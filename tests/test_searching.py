"""The bridge without Ray: strategies against the engine, the journal, the front."""

import sqlite3
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import without_ray
from conftest import formula_profile

from senas.architecture import Architecture
from senas.costs.budget import Budget, Cost, cost_of
from senas.errors import SearchFailedError, SenasError
from senas.references import reference
from senas.searching.bridge import Limits, StrategySearcher
from senas.searching.engine import ProposalEngine
from senas.searching.fidelity import promised_accuracy
from senas.searching.journal import Journal
from senas.searching.known import problem_of
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

    def test_ends_when_nothing_is_feasible(self, tiny, name):
        proposed, _ = explore(tiny, name, 5, feasible=lambda _: False)
        assert proposed == []
        assert "strategy" not in {thread.name for thread in threading.enumerate()}

    def test_a_tight_budget_is_searched_until_nothing_is_left(self, tiny, name):
        few = {tiny.random(np.random.default_rng(seed)).digest for seed in range(6)}
        proposed, _ = explore(tiny, name, 10, feasible=lambda arch: arch.digest in few)
        assert {arch.digest for arch in proposed} <= few
        assert len(proposed) >= (6 if name == "grid" else 3)


def session(space, strategy, concurrency, path, *, until) -> list[Trial]:
    """A search of 50 trials; every fifth fails, and as many are stopped early."""

    def train(arch: Architecture, _seed: int) -> list[dict[str, Any]]:
        accuracy = accuracy_of(arch)
        ends: tuple[dict[str, Any], ...] = (
            {"failure": "a reason"},
            {"epoch": 2, "accuracy": accuracy / 2},
            *[{"final": accuracy}] * 3,
        )
        return [{"epoch": 1, "accuracy": accuracy / 2}, ends[round(1000 * accuracy) % 5]]

    made = make_strategy(strategy, problem(space), seed=0, trials=50, concurrency=concurrency)
    return without_ray.session(space, made, path, train, trials=50, concurrency=concurrency, until=until)


def test_an_interrupt_that_ray_lost_is_raised_again(tiny, tmp_path):
    journal, engine = Journal(tmp_path / "j.sqlite", create=True), ProposalEngine(lambda _: True)
    limits = Limits(trials=5, concurrency=1)
    searcher = StrategySearcher(
        engine=engine, journal=journal, cost_of=lambda arch: cost_of(arch, None), limits=limits, seed=0
    )
    searcher.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        searcher.suggest("a")
    assert journal.trials() == []
    journal.close()


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


def test_the_journal_tells_every_trial(tmp_path, tiny):
    archs = [tiny.random(np.random.default_rng(seed)) for seed in range(4)]
    cost = cost_of(archs[0], formula_profile(tiny))
    journal = Journal(tmp_path / "j.sqlite", create=True)
    for number, arch in enumerate(archs, 1):
        journal.started(number, arch, number, cost)
    journal.reported(1, 1, 0.5)
    journal.reported(1, 2, 0.6)
    journal.finished(1, 0.7, 2.0)
    journal.measured(1, 1.25, 1.5)
    with pytest.raises(ValueError, match="not JSON compliant"):
        journal.reported(1, 3, float("nan"))
    journal.failed(2, "Traceback\n  no 'such' \"thing\"", 1.0)
    journal.stopped(3, 0.4, 1.5)
    expected = [
        Trial(number=1, architecture=archs[0], seed=1, cost=cost, status="finished", accuracy=0.7,
              epochs=((1, 0.5), (2, 0.6)), seconds=2.0, measured_ms=1.25, drift=1.5),
        Trial(number=2, architecture=archs[1], seed=2, cost=cost, status="failed", seconds=1.0,
              failure="Traceback\n  no 'such' \"thing\""),
        Trial(number=3, architecture=archs[2], seed=3, cost=cost, status="stopped", accuracy=0.4, seconds=1.5),
        Trial(number=4, architecture=archs[3], seed=4, cost=cost),
    ]  # fmt: skip
    assert journal.trials() == expected
    assert [t.number for t in journal.history()] == [1, 2, 3, 4, 1, 2, 3]
    beside = Journal(tmp_path / "j.sqlite")  # another process reading a live run
    assert beside.trials() == expected
    journal.finished(4, 0.1, 0.1)
    assert beside.trials() == journal.trials() == [*expected[:3], replace(expected[3], status="finished", accuracy=0.1, seconds=0.1)]  # noqa: E501  # fmt: skip
    journal.close()
    beside.close()


def test_a_damaged_journal_is_refused(tmp_path, tiny):
    path = tmp_path / "j.sqlite"
    path.write_bytes(b"this is not a database, and long enough to be read as one" * 40)
    with pytest.raises(SenasError, match="not a readable journal"):
        Journal(path)
    path.write_bytes(b"")
    with pytest.raises(SenasError, match="schema version: found 0, expected 1"):
        Journal(path)
    path.unlink()
    with pytest.raises(SenasError, match="no such file"):
        Journal(path)
    journal = Journal(path, create=True)
    journal.finished(7, 0.5, 1.0)
    with pytest.raises(SenasError, match="event 1: trial 7 has 'finished' before 'started'"):
        journal.trials()
    journal.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(SenasError, match="schema version: found 99, expected 1"):
        Journal(path)
