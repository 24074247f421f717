"""Contract of strategies as a test case, and an executor without Ray, for tests of strategies and evaluate functions.

A strategy passes the contract if a test class that inherits from `StrategyTestCase` passes under pytest:

    class TestMyStrategy(StrategyTestCase):
        def make_strategy(self, problem, *, seed, trials, concurrency):
            return MyStrategy(problem, seed=seed)
"""

import tempfile
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Architecture
from senas.costs import Budget, cost_of
from senas.execution import (
    ProposalEngine,
    SearchLimits,
    StrategySearcher,
    evaluate_trial,
    open_controller,
)
from senas.runs import Journal, RunRecord, SearchOptions, Trial, TrialTask
from senas.spaces import SearchSpace, load_space
from senas.strategies import NNISpace, Problem, make_problem
from senas.training import Evaluate

from nni.nas.strategy import Strategy  # isort: skip  # after senas.strategies has chosen NNI's framework

Feasible = Callable[[Architecture], bool]
Outcomes = Callable[[Architecture, int], list[dict[str, Any]]]
"""What a worker would send of a training: reports, then the outcome; see `senas.execution.evaluate_trial`."""

_SPACE = """
name = "contract"
backbone = "resnet20"
input = { channels = 1, size = 8 }
classes = 10
[se]
reduction = [2, 4]
integration = ["standard", "pre"]
[se.stage.3]
per = "stage"
integration = ["standard"]
[se.stage.4]
integration = ["standard"]
reduction = [4]
[depth]
stage.2 = [1, 2]
stage.3 = [1, 2]
stage.4 = [1]
[width]
stem = [4]
stage.2 = [4]
stage.3 = [8, 12]
stage.4 = [12]
"""


@cache
def small_space() -> SearchSpace:
    """Return a space of 2 * (5 + 25) * (3 + 3) * 2 = 720 architectures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "contract.toml"
        path.write_text(_SPACE)
        return load_space(path)


@cache
def digest_accuracy(arch: Architecture) -> float:
    """Return a made-up accuracy in [0, 1) that depends on the digest alone."""
    return int(arch.digest, 16) % 1000 / 1000


def run_in_process(
    searcher: StrategySearcher, evaluate: Evaluate, options: SearchOptions, scheduler: Any | None
) -> None:
    """Run trials in this process, one after the other: an executor for `senas.search(..., execute=run_in_process)`.

    Of the trials that run at a time, the one that started first ends first. Nothing limits the time of a trial.
    """
    live: deque[tuple[str, dict[str, Any]]] = deque()
    while not searcher.over:
        name = str(searcher.started)
        config = searcher.suggest(name) if len(live) < options.concurrency else None
        if isinstance(config, dict):
            live.append((name, config))
            searcher.on_trial_start(name)
            continue
        if not live:
            continue
        name, config = live.popleft()
        known: Any = SimpleNamespace(config=config)
        if scheduler is not None:
            scheduler.on_trial_add(None, known)
        outcome = _run_trial(searcher, name, config, known, evaluate, scheduler)
        if outcome is not None:
            searcher.on_trial_complete(name, outcome)
        if scheduler is not None:
            scheduler.on_trial_complete(None, known, outcome or {})


class _StoppedError(Exception):
    """Early stopping has ended a trial after a report."""

    def __init__(self, report: dict[str, Any]):
        super().__init__()
        self.report = report


def _run_trial(
    searcher: StrategySearcher, name: str, config: dict[str, Any], known: Any, evaluate: Evaluate, scheduler: Any | None
) -> dict[str, Any] | None:
    """Return the outcome of a trial; `None` if the searcher has been told that the worker was lost."""

    def send(report: dict[str, Any]) -> None:
        if scheduler is not None and scheduler.on_trial_result(None, known, report) == "STOP":
            raise _StoppedError(report)
        searcher.on_trial_result(name, report)

    try:
        return evaluate_trial(config, lambda: evaluate, send)
    except _StoppedError as stopped:
        return stopped.report
    except Exception as error:  # after which a worker would be replaced
        searcher.on_worker_error(name, "memory", f"{type(error).__name__}: {error}")
        return None


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What a strategy did.

    Attributes:
        proposed: Architectures it proposed, in order.
        exhausted: Whether it ended because too many proposals in a row were infeasible or known.
    """

    proposed: list[Architecture]
    exhausted: bool


class StrategyTestCase:
    """Contract of a strategy, as a base class of a pytest class.

    The space is `small_space()`, accuracies are `digest_accuracy`. Override the attributes for a strategy that has to
    deviate, such as one that finds less of a tiny feasible region.

    Attributes:
        least_found: Number of 6 feasible architectures among 720 that the strategy has to find.
    """

    least_found = 3

    def make_strategy(self, problem: Problem, *, seed: int, trials: int, concurrency: int) -> Strategy:
        """Return the strategy under test.

        Args:
            problem: What is known before training.
            seed: Random seed of all its decisions.
            trials: Number of trials.
            concurrency: Number of trials at a time.
        """
        raise NotImplementedError

    def test_proposes_only_feasible_architectures(self) -> None:
        """No proposal that reaches training is beyond the budget."""
        feasible = _cheaper_than(30)
        found = self._explore(30, feasible=feasible)
        assert len(found.proposed) == 30
        assert all(feasible(arch) for arch in found.proposed)

    def test_never_repeats_an_architecture(self) -> None:
        """No architecture is trained twice, with one trial at a time and with several."""
        for concurrency in (1, 3):
            found = self._explore(60, concurrency=concurrency)
            assert len({arch.digest for arch in found.proposed}) == len(found.proposed) == 60

    def test_is_deterministic(self) -> None:
        """The same seed gives the same proposals in the same order, another seed others."""
        for concurrency in (1, 2):
            first, second, other = (self._explore(30, seed=seed, concurrency=concurrency) for seed in (3, 3, 4))
            assert first.proposed == second.proposed
            assert first.proposed != other.proposed

    def test_survives_failures(self) -> None:
        """Trials without an accuracy do not end the search."""
        found = self._explore(40, concurrency=2, fails=lambda arch: int(arch.digest, 16) % 3 == 0)
        assert len(found.proposed) == 40
        found = self._explore(20, concurrency=2, fails=lambda _: True)
        assert len(found.proposed) == 20

    def test_ends_when_nothing_is_feasible(self) -> None:
        """An impossible budget ends the search, and its thread."""
        found = self._explore(5, feasible=lambda _: False)
        assert found.proposed == []
        assert "strategy" not in {thread.name for thread in threading.enumerate()}

    def test_searches_a_tiny_feasible_region(self) -> None:
        """Few feasible architectures are found, and nothing else is trained."""
        few = {small_space().random(np.random.default_rng(seed)).digest for seed in range(6)}
        found = {arch.digest for arch in self._explore(10, feasible=lambda arch: arch.digest in few).proposed}
        assert found <= few
        assert len(found) >= self.least_found

    def test_resumes_where_the_journal_ends(self, tmp_path: Path) -> None:
        """A search that was killed and resumed trains what an undisturbed one trains, and nothing twice."""
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
        """A trial whose worker was lost is repeated, to the same result."""
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
        return explore(strategy, small_space(), trials, concurrency=concurrency, feasible=feasible, fails=fails)

    def _session(self, path: Path, concurrency: int, *, until: int, outcomes: Outcomes | None = None) -> list[Trial]:
        strategy = self.make_strategy(small_problem(), seed=0, trials=50, concurrency=concurrency)
        return replay_session(
            small_space(),
            strategy,
            path,
            outcomes or sample_outcomes,
            trials=50,
            concurrency=concurrency,
            until=until,
            retries=1,
        )


def small_problem(feasible: Feasible = lambda _: True) -> Problem:
    """Return the problem of `small_space`, parameters minimised, with any constraint on its architectures."""
    space = small_space()
    known = _unconstrained_problem()
    keeps: dict[bytes, bool] = {}

    def constrained(rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        found = []
        for row in np.maximum(rows, 0):
            key = row.tobytes()
            if key not in keeps:
                keeps[key] = feasible(space.architecture(space.sample_at(row)))
            found.append(keeps[key])
        return np.array(found, dtype=bool)

    return replace(known, feasible=constrained)


@cache
def _unconstrained_problem() -> Problem:
    return make_problem(
        small_space(), objective="params", budget=Budget(), worst_cost=10_000, profile=None, confidence=0.95
    )


def _cheaper_than(percentile: float) -> Feasible:
    """Return a budget of parameters that so many percent of random architectures keep."""
    drawn = [cost_of(small_space().random(np.random.default_rng(seed)), None).params for seed in range(50)]
    budget = Budget(params=float(np.percentile(drawn, percentile)))
    return lambda arch: budget.keeps(cost_of(arch, None))


def explore(
    strategy: Strategy,
    space: SearchSpace,
    trials: int,
    *,
    concurrency: int = 1,
    feasible: Feasible = lambda _: True,
    fails: Callable[[Architecture], bool] = lambda _: False,
    patience: int = 3_000,
) -> Exploration:
    """Run a strategy through the engine of real searches, without Ray and without a journal."""
    engine = ProposalEngine(feasible, patience=patience)
    engine.start(strategy, NNISpace(space))
    proposed: list[Architecture] = []
    running: list[Architecture] = []
    try:
        while len(proposed) < trials:
            answer = engine.ask() if len(running) < concurrency else "later"
            if answer == "never" and not running:
                break
            if isinstance(answer, str):
                arch = running.pop(0)
                engine.tell(arch.digest, None if fails(arch) else digest_accuracy(arch))
            else:
                proposed.append(answer)
                running.append(answer)
    finally:
        engine.close()
    return Exploration(proposed=proposed, exhausted=engine.exhausted)


def sample_outcomes(arch: Architecture, _seed: int) -> list[dict[str, Any]]:
    """Return made-up outcomes: every fifth architecture fails, every fifth is stopped early."""
    accuracy = digest_accuracy(arch)
    ends: tuple[dict[str, Any], ...] = (
        {"failure": "a reason", "reason": "diverged"},
        {"epoch": 2, "accuracy": accuracy / 2},
        *[{"final": accuracy}] * 3,
    )
    return [{"epoch": 1, "accuracy": accuracy / 2}, ends[round(1000 * accuracy) % 5]]


def replay_session(
    space: SearchSpace,
    strategy: Strategy,
    path: Path,
    outcomes: Outcomes,
    *,
    trials: int,
    concurrency: int,
    until: int,
    retries: int = 0,
    followup: Callable[[Any], TrialTask | None] = lambda _: None,
) -> list[Trial]:
    """Search, or resume a search, until so many trials have ended; then stop as a killed process does.

    Args:
        space: Space to search.
        strategy: Strategy as it was before the search.
        path: Journal, which is made if it is missing.
        outcomes: What a worker would send, the outcome last; `{"lost": text}` stands for a lost worker.
        trials: Number of the strategy's trials.
        concurrency: Number of trials at a time; the one that has run longest ends first.
        until: Number of ended trials at which to stop.
        retries: Further attempts at a trial that failed.
        followup: What else to train once the strategy's trials have ended.

    Returns:
        The trials so far, without their times.
    """
    journal = Journal(path, write=True) if path.exists() else Journal.create(path, _record(space, trials))
    live: deque[tuple[str, dict[str, Any]]] = deque()
    with (
        closing(journal),
        open_controller(
            strategy,
            space,
            journal,
            feasible=lambda _: True,
            patience=3_000,
            cost_of=lambda arch: cost_of(arch, None),
            limits=SearchLimits(trials=trials, concurrency=concurrency, retries=retries),
            seed=0,
            followup=followup,
        ) as controller,
    ):
        searcher = StrategySearcher(controller)
        while _step(searcher, live, outcomes):
            if sum(trial.status != "running" for trial in journal.trials.values()) == until:
                break
        return [replace(trial, seconds=None) for trial in journal.trials.values()]


def _step(searcher: StrategySearcher, live: deque[tuple[str, dict[str, Any]]], outcomes: Outcomes) -> bool:
    """Start as many trials as there may be and end the oldest; return whether there was one."""
    while isinstance(config := searcher.suggest(name := str(searcher.started)), dict):
        searcher.on_trial_start(name)
        live.append((name, config))
    if not live:
        return False
    name, config = live.popleft()
    *reports, outcome = outcomes(Architecture.from_json(config["architecture"]), config["seed"])
    for report in reports:
        searcher.on_trial_result(name, report)
    if "lost" in outcome:
        searcher.on_worker_error(name, "lost", outcome["lost"])
    else:
        searcher.on_trial_complete(name, outcome)
    return True


def _record(space: SearchSpace, trials: int) -> RunRecord:
    options = SearchOptions(
        strategy="random",
        objective="params",
        budget=Budget(),
        trials=trials,
        concurrency=1,
        gpus_per_trial=0.0,
    )
    return RunRecord(
        created="2026-01-01T00:00:00+00:00",
        version="0",
        space=space,
        space_digest=space.digest,
        profile_digest=None,
        options=options,
        trials=trials,
        reference_cost=1e6,
        training=None,
    )
