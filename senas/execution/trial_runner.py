"""Trials of a run until its limits: restores the strategy from the journal, then runs the trials that it proposes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

from ray.tune.schedulers import TrialScheduler

from senas.analysis import FollowUpTrials
from senas.architecture import Architecture
from senas.costs import Cost, cost_of
from senas.errors import RunError, SearchFailedError
from senas.execution.asha import EarlyStopping
from senas.execution.controller import MAX_INITIAL_FAILURES, Controller, SearchLimits
from senas.execution.nni_engine import PATIENCE, ProposalEngine
from senas.execution.progress import ProgressTracker, SearchProgress
from senas.execution.ray_searcher import StrategySearcher
from senas.runs import Journal, Run, SearchOptions, Trial, TrialTask
from senas.spaces import SearchSpace
from senas.strategies import NNISpace, ProposingStrategy
from senas.training import Evaluate

from nni.nas.strategy import Strategy  # isort: skip  # after nni_space has chosen NNI's framework

TrialExecutor = Callable[[StrategySearcher, Evaluate, SearchOptions, TrialScheduler | None], None]
"""Function that asks a searcher for trials until it is over, runs them, and passes their reports on to it.

Its arguments are the searcher, the evaluate function, the options of the search, and a scheduler that may end trials
early. The default runs Ray Tune, locally or on a cluster; `senas.testing.run_in_process` is the simplest one.
"""

_END_NOTES = {
    "time": "ended by the time budget",
    "strategy": "ended by the strategy, which has no more to propose",
    "exhausted": f"ended because {PATIENCE:,} proposals in a row exceeded a budget or were known already",
    "failures": f"ended because the first {MAX_INITIAL_FAILURES} trials of this session failed",
}


def run_trials(
    run: Run,
    strategy: Strategy,
    evaluate: Evaluate,
    execute: TrialExecutor,
    on_progress: Callable[[SearchProgress], None],
) -> None:
    """Run trials until the limits of a run are reached, continuing after the last event in its journal.

    Raises:
        SearchFailedError: No trial of the run gave an accuracy, or the journal cannot be written to.
        KeyboardInterrupt: An interrupt, after everything that had finished was kept.
    """
    try:
        with closing(run.open_journal()) as journal:
            note = _run_trials(run, strategy, journal, evaluate, execute, on_progress)
    except BaseException:
        with suppress(OSError):  # on a full disk, the first error is the one to report
            run.save_front()
        raise
    if not run.save_front():
        raise SearchFailedError(f"{run.folder}: {_why_nothing(run, note)}")


def _run_trials(
    run: Run,
    strategy: Strategy,
    journal: Journal,
    evaluate: Evaluate,
    execute: TrialExecutor,
    on_progress: Callable[[SearchProgress], None],
) -> str:
    """Run trials with an open journal; return why the search ended before all its trials, if it did."""
    options, space = run.record.options, run.record.space
    cost = partial(cost_of, profile=run.profile, confidence=options.confidence)
    followup = FollowUpTrials(
        space,
        run.problem,
        objective=options.objective,
        seed=options.seed,
        baseline=options.baseline,
        replicates=options.replicates,
    )
    training = run.record.training
    tracker = ProgressTracker(
        journal, run.objective, run.record.reference_cost, None if training is None else training.recipe.epochs
    )

    def report(note: str = "") -> None:
        purpose = tracker.purpose(note)
        searching = purpose == "search"
        trials = run.record.trials if searching else followup.total(purpose, [*journal.trials.values()])
        on_progress(tracker.report(running=controller.running, trials=trials, note=note))

    def on_change(trial: Trial) -> None:
        tracker.update(trial)
        report()

    with open_controller(
        strategy,
        space,
        journal,
        feasible=lambda arch: options.budget.keeps(cost(arch)),
        cost_of=cost,
        limits=_limits(run, journal),
        seed=options.seed,
        followup=followup.next,
        scratch=run.scratch,
        on_change=on_change,
    ) as controller:
        journal.opened()
        report()
        if not controller.complete:
            scheduler = EarlyStopping(journal.trials.values()) if options.early_stopping else None
            execute(StrategySearcher(controller), evaluate, options, scheduler)
    note = _END_NOTES.get(controller.end_reason, "")
    report(note)
    return note


def _limits(run: Run, journal: Journal) -> SearchLimits:
    """Return what is left of the limits of a run."""
    options, budget = run.record.options, run.record.options.time_budget_seconds
    return SearchLimits(
        trials=run.record.trials,
        concurrency=options.concurrency,
        seconds=None if budget is None else budget - journal.seconds(),
        trial_seconds=options.trial_seconds,
        retries=options.retries,
    )


@contextmanager
def open_controller(
    strategy: Strategy,
    space: SearchSpace,
    journal: Journal,
    *,
    feasible: Callable[[Architecture], bool],
    cost_of: Callable[[Architecture], Cost],
    limits: SearchLimits,
    seed: int,
    patience: int = PATIENCE,
    followup: Callable[[Sequence[Trial]], TrialTask | None] = lambda _: None,
    scratch: Path | None = None,
    on_change: Callable[[Trial], None] = lambda _: None,
) -> Iterator[Controller]:
    """Yield the controller of a search, with its strategy restored from the journal.

    A `ProposingStrategy` is restored from its state in the journal; any other strategy is asked for every proposal and
    given every result again, in the same order.
    """
    ours = strategy if isinstance(strategy, ProposingStrategy) else None
    with closing(ProposalEngine(feasible, patience=patience)) as engine:
        controller = Controller(
            engine=engine,
            journal=journal,
            cost_of=cost_of,
            limits=limits,
            seed=seed,
            followup=followup,
            observe=lambda arch, accuracy: ours.observe(space.indices_of(arch), accuracy) if ours else None,
            strategy_state=ours.state_dict if ours else lambda: None,
            scratch=scratch,
            on_change=on_change,
        )
        restored = ours is not None and _restore(ours, journal, space)
        engine.start(strategy, NNISpace(space))
        controller.replay(restored=restored)
        yield controller


def _restore(strategy: ProposingStrategy, journal: Journal, space: SearchSpace) -> bool:
    """Restore a strategy from the journal; return whether the journal has its state."""
    state = journal.strategy_state
    if state is None:
        return False
    searched = [trial for trial in journal.trials.values() if trial.purpose == "search"]
    rows = [space.indices_of(trial.architecture) for trial in searched]
    running = [row for row, trial in zip(rows, searched, strict=True) if trial.status == "running"]
    strategy.restore_proposals(rows, running)
    try:
        strategy.load_state_dict(state)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        kind = type(strategy).__name__
        raise RunError(f"{journal.path}: the strategy's state: not one of {kind} ({error!r})") from None
    return True


def _why_nothing(run: Run, note: str) -> str:
    failures = [trial.failure for trial in run.trials() if trial.failure]
    if not failures:
        return f"no trial finished{', ' if note else ''}{note}"
    reason = failures[-1].strip().splitlines()[-1]
    return f"none of {len(failures)} trials gave an accuracy; the last: {reason}"
