"""Contract of strategies, as a test case."""

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Architecture
from senas.costs import Budget, cost_of
from senas.runs import Trial
from senas.strategies import Problem, make_problem
from senas.testing.sessions import Exploration, Feasible, Outcomes, explore, replay_session, sample_outcomes
from senas.testing.small_space import make_small_space

from nni.nas.strategy import Strategy  # isort: skip  # after senas.strategies has chosen NNI's framework


class StrategyTestCase:
    """Contract of a strategy, as a base class of a pytest class.

    The space is `SMALL_SPACE`, accuracies are `digest_accuracy`. Override the attributes for a strategy that has to
    deviate, such as one that finds less of a tiny feasible region.

    Attributes:
        least_found: Minimum number of the 6 feasible architectures, among 720, that the strategy has to find.
    """

    least_found = 3

    def make_strategy(self, problem: Problem, *, seed: int, trials: int, concurrency: int) -> Strategy:
        """Return the strategy under test.

        Args:
            problem: Search problem: choices, costs and constraint.
            seed: Random seed of all its decisions.
            trials: Number of trials.
            concurrency: Number of trials at a time.
        """
        raise NotImplementedError

    def test_proposes_only_feasible_architectures(self) -> None:
        """Check that no proposal that reaches training is beyond the budget."""
        feasible = _cheaper_than(30)
        found = self._explore(30, feasible=feasible)
        assert len(found.proposed) == 30
        assert all(feasible(arch) for arch in found.proposed)

    def test_never_repeats_an_architecture(self) -> None:
        """Check that no architecture is trained twice, with one trial at a time and with several."""
        for concurrency in (1, 3):
            found = self._explore(60, concurrency=concurrency)
            assert len({arch.digest for arch in found.proposed}) == len(found.proposed) == 60

    def test_is_deterministic(self) -> None:
        """Check that the same seed gives the same proposals in the same order, and another seed others."""
        for concurrency in (1, 2):
            first, second, other = (self._explore(30, seed=seed, concurrency=concurrency) for seed in (3, 3, 4))
            assert first.proposed == second.proposed
            assert first.proposed != other.proposed

    def test_survives_failures(self) -> None:
        """Check that trials without an accuracy do not end the search."""
        found = self._explore(40, concurrency=2, fails=lambda arch: int(arch.digest, 16) % 3 == 0)
        assert len(found.proposed) == 40
        found = self._explore(20, concurrency=2, fails=lambda _: True)
        assert len(found.proposed) == 20

    def test_ends_when_nothing_is_feasible(self) -> None:
        """Check that an impossible budget ends the search, and its thread."""
        found = self._explore(5, feasible=lambda _: False)
        assert found.proposed == []
        assert "strategy" not in {thread.name for thread in threading.enumerate()}

    def test_searches_a_tiny_feasible_region(self) -> None:
        """Check that few feasible architectures are found, and that nothing else is trained."""
        few = {make_small_space().random(np.random.default_rng(seed)).digest for seed in range(6)}
        found = {arch.digest for arch in self._explore(10, feasible=lambda arch: arch.digest in few).proposed}
        assert found <= few
        assert len(found) >= self.least_found

    def test_resumes_where_the_journal_ends(self, tmp_path: Path) -> None:
        """Check that a killed and resumed search trains what an undisturbed one trains, and nothing twice."""
        for concurrency in (1, 3):
            whole = self._session(tmp_path / f"whole{concurrency}.sqlite", concurrency, until=40)
            path = tmp_path / f"part{concurrency}.sqlite"
            first, second, third = (self._session(path, concurrency, until=until) for until in (15, 29, 40))
            assert [(t.number, t.digest, t.accuracy) for t in third] == [
                (t.number, t.digest, t.accuracy) for t in whole
            ]
            for earlier, later in ((first, second), (second, third)):
                ended = [trial for trial in earlier if trial.status != "running"]
                assert [trial for trial in later if trial.number in {each.number for each in ended}] == ended
                assert len(earlier) - len(ended) == concurrency - 1

    def test_a_lost_worker_changes_only_the_number_of_attempts(self, tmp_path: Path) -> None:
        """Check that a trial whose worker was lost is repeated, to the same result."""
        lost: set[str] = set()

        def losing(arch: Architecture, seed: int) -> list[dict[str, Any]]:
            if int(arch.digest, 16) % 3 == 0 and arch.digest not in lost:
                lost.add(arch.digest)
                return [{"epoch": 1, "accuracy": 0.1}, {"lost": "killed"}]
            return sample_outcomes(arch, seed)

        whole = self._session(tmp_path / "whole.sqlite", 1, until=25)
        disturbed = self._session(tmp_path / "disturbed.sqlite", 1, until=25, outcomes=losing)
        assert [(t.digest, t.accuracy) for t in disturbed] == [(t.digest, t.accuracy) for t in whole]
        assert lost == {trial.digest for trial in disturbed if trial.attempts == 2}
        assert all(trial.failures[0].reason == "lost" for trial in disturbed if trial.attempts == 2)

    def _explore(
        self,
        trials: int,
        *,
        seed: int = 0,
        concurrency: int = 1,
        feasible: Feasible = lambda _: True,
        fails: Callable[[Architecture], bool] = lambda _: False,
    ) -> Exploration:
        problem = small_problem(feasible)
        strategy = self.make_strategy(problem, seed=seed, trials=trials, concurrency=concurrency)
        return explore(strategy, make_small_space(), trials, concurrency=concurrency, feasible=feasible, fails=fails)

    def _session(self, path: Path, concurrency: int, *, until: int, outcomes: Outcomes | None = None) -> list[Trial]:
        strategy = self.make_strategy(small_problem(), seed=0, trials=50, concurrency=concurrency)
        return replay_session(
            make_small_space(),
            strategy,
            path,
            outcomes or sample_outcomes,
            trials=50,
            concurrency=concurrency,
            until=until,
            retries=1,
        )


def small_problem(feasible: Feasible = lambda _: True) -> Problem:
    """Return the problem of `SMALL_SPACE`, parameters minimised, with any constraint on its architectures."""
    space = make_small_space()
    keeps: dict[bytes, bool] = {}

    def constrained(rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        found = []
        for row in np.maximum(rows, 0):
            key = row.tobytes()
            if key not in keeps:
                keeps[key] = feasible(space.architecture(space.sample_at(row)))
            found.append(keeps[key])
        return np.array(found, dtype=bool)

    return replace(_unconstrained_problem(), feasible=constrained)


@cache
def _unconstrained_problem() -> Problem:
    return make_problem(
        make_small_space(), objective="params", budget=Budget(), worst_cost=10_000, profile=None, confidence=0.95
    )


def _cheaper_than(percentile: float) -> Feasible:
    """Return a predicate that is true within a parameter budget that `percentile` percent of random ones keep."""
    drawn = [cost_of(make_small_space().random(np.random.default_rng(seed)), None).params for seed in range(50)]
    budget = Budget(params=float(np.percentile(drawn, percentile)))
    return lambda arch: budget.keeps(cost_of(arch, None))
