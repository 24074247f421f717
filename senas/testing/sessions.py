"""Sessions of a strategy with made-up outcomes, through the engine and the controller of real searches."""

from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from senas.architecture import Architecture
from senas.costs import Budget, cost_of
from senas.execution import ProposalEngine, SearchLimits, StrategySearcher, open_controller
from senas.runs import Journal, RunRecord, SearchOptions, Trial, TrialTask
from senas.spaces import SearchSpace
from senas.strategies import NNISpace
from senas.testing.small_space import digest_accuracy

from nni.nas.strategy import Strategy  # isort: skip  # after senas.strategies has chosen NNI's framework

Feasible = Callable[[Architecture], bool]
Outcomes = Callable[[Architecture, int], list[dict[str, Any]]]
"""Messages that a worker would send: reports, then the outcome; see `senas.execution.evaluate_trial`."""


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """Result of an exploration.

    Attributes:
        proposed: Proposed architectures, in order.
        exhausted: Whether it ended because too many proposals in a row were infeasible or known.
    """

    proposed: list[Architecture]
    exhausted: bool


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
    """Run a strategy through the engine of real searches, without a Ray cluster and without a journal."""
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
    """Search, or resume a search, until `until` trials have ended; then stop as a killed process does.

    Args:
        space: Space to search.
        strategy: Strategy as it was before the search.
        path: Journal, which is made if it is missing.
        outcomes: Function that returns the messages of a worker, the outcome last; `{"lost": text}` stands for a lost
            worker.
        trials: Number of the strategy's trials.
        concurrency: Number of trials at a time; the one that has run longest ends first.
        until: Number of ended trials at which to stop.
        retries: Further attempts at a trial that failed.
        followup: Function of all trials that returns the next follow-up trial, or `None`.

    Returns:
        The trials so far, without their times.
    """
    journal = Journal(path, write=True) if path.exists() else Journal.create(path, made_up_record(space, trials))
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


def made_up_record(space: SearchSpace, trials: int) -> RunRecord:
    """Return the record of a run without budget, profile and training."""
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
