"""The loop of a search: a strategy brought back to where the journal stands, then asked until the limits."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from senas.architecture import Architecture
from senas.costs.budget import Cost, cost_of
from senas.errors import RunError, SearchFailedError
from senas.searching.bridge import StrategySearcher
from senas.searching.course import Course, Limits
from senas.searching.driver import run_tune
from senas.searching.engine import PATIENCE, ProposalEngine
from senas.searching.extras import Extras
from senas.searching.journal import Journal
from senas.searching.run import Run
from senas.searching.rungs import EarlyStopping
from senas.searching.standing import Standing
from senas.searching.trial import Purpose, Task, Trial
from senas.spaces.space import SearchSpace
from senas.strategies.nni_space import NNISpace
from senas.strategies.proposing import ProposingStrategy
from senas.strategies.table import make_strategy
from senas.training.evaluator import Evaluate, TrainingEvaluator

from nni.nas.strategy import Strategy  # isort: skip  # after nni_space has chosen NNI's framework


@dataclass(frozen=True, kw_only=True)
class SearchProgress:
    """Where a search stands.

    Attributes:
        purpose: of the trials that are running now: the search itself, its baseline, or replicates.
        ended: trials of that purpose ended, however they did.
        failed: how many of them failed.
        running: trials under way.
        trials: how many of that purpose there will be.
        best_accuracy: of the front, `None` before the first result.
        hypervolume: of the front, in [0, 1].
        front: how many trials are on it.
        last: the trial that ended last or, while it still runs, whose attempt failed last; if any.
        note: why the search ended before its trials were all there, once it has.
    """

    purpose: Purpose
    ended: int
    failed: int
    running: int
    trials: int
    best_accuracy: float | None
    hypervolume: float
    front: int
    last: Trial | None
    note: str = ""


_END_NOTES = {
    "time": "ended by the time budget",
    "strategy": "ended by the strategy, which has no more to propose",
    "exhausted": f"ended because {PATIENCE:,} proposals in a row were beyond a budget or known already",
    "failures": "ended because nothing but failures came",
}


def drive(run: Run, evaluate: Evaluate, address: str | None, on_progress: Callable[[SearchProgress], None]) -> None:
    """Run trials until the limits of a run are reached, from wherever its journal stands.

    Raises:
        SearchFailedError: no trial of the run gave an accuracy, or the journal cannot be written to.
        KeyboardInterrupt: after everything that had finished was kept.
    """
    try:
        with closing(run.open_journal()) as journal:
            note = _drive(run, journal, evaluate, address, on_progress)
    except BaseException:
        with suppress(OSError):  # on a full disk, what failed first is what has to be said
            run.save_front()
        raise
    if not run.save_front():
        raise SearchFailedError(f"{run.folder}: {_why_nothing(run, note)}")


def _drive(
    run: Run,
    journal: Journal,
    evaluate: Evaluate,
    address: str | None,
    on_progress: Callable[[SearchProgress], None],
) -> str:
    """The same with an open journal; returns why it ended early, if it did."""
    options = run.record.options
    cost = partial(cost_of, profile=run.profile(), confidence=options.confidence)
    space, problem = run.record.space, run.problem()
    strategy = make_strategy(
        options.strategy, problem, seed=options.seed, trials=options.trials, concurrency=options.concurrency
    )
    extras = Extras(
        space,
        problem,
        objective=options.objective,
        seed=options.seed,
        baseline=options.baseline,
        replicates=options.replicates,
    )
    standing = Standing(journal, run.objective, run.record.reference_cost)

    def on_change(trial: Trial) -> None:
        standing.take(trial)
        on_progress(_progress(run, journal, standing, extras, course.running))

    with course_of(
        strategy,
        space,
        journal,
        feasible=lambda arch: options.budget.keeps(cost(arch)),
        cost_of=cost,
        limits=_limits(run, journal),
        seed=options.seed,
        extras=extras.next,
        scratch=run.scratch,
        on_change=on_change,
    ) as course:
        journal.opened()
        on_progress(_progress(run, journal, standing, extras, course.running))
        if not course.complete:
            if address is not None and isinstance(evaluate, TrainingEvaluator):
                evaluate = evaluate.carrying_data(space.input)
            scheduler = EarlyStopping(journal.trials.values()) if options.early_stopping else None
            run_tune(StrategySearcher(course), evaluate, options, address, scheduler)
    note = _END_NOTES.get(course.end_reason, "")
    on_progress(_progress(run, journal, standing, extras, course.running, note))
    return note


def _limits(run: Run, journal: Journal) -> Limits:
    """What is left of the limits of a run."""
    options, budget = run.record.options, run.record.options.time_budget_seconds
    return Limits(
        trials=run.record.trials,
        concurrency=options.concurrency,
        seconds=None if budget is None else budget - journal.seconds(),
        trial_seconds=options.trial_seconds,
        retries=options.retries,
    )


@contextmanager
def course_of(
    strategy: Strategy,
    space: SearchSpace,
    journal: Journal,
    *,
    feasible: Callable[[Architecture], bool],
    cost_of: Callable[[Architecture], Cost],
    limits: Limits,
    seed: int,
    patience: int = PATIENCE,
    extras: Callable[[Sequence[Trial]], Task | None] = lambda _: None,
    scratch: Path | None = None,
    on_change: Callable[[Trial], None] = lambda _: None,
) -> Iterator[Course]:
    """The course of a search by a strategy, at the place where the journal stands.

    A strategy of ours recalls what the journal has; any other is asked and told everything again.
    """
    ours = strategy if isinstance(strategy, ProposingStrategy) else None
    with closing(ProposalEngine(feasible, patience=patience)) as engine:
        course = Course(
            engine=engine,
            journal=journal,
            cost_of=cost_of,
            limits=limits,
            seed=seed,
            extras=extras,
            observe=lambda arch, accuracy: ours.observe(space.indices_of(arch), accuracy) if ours else None,
            remember=ours.memory if ours else lambda: None,
            scratch=scratch,
            on_change=on_change,
        )
        recalled = ours is not None and _recall(ours, journal, space)
        engine.start(strategy, NNISpace(space))
        course.replay(recalled=recalled)
        yield course


def _recall(strategy: ProposingStrategy, journal: Journal, space: SearchSpace) -> bool:
    """Let a strategy recall what it proposed, if the journal has its memory."""
    memory = journal.memory
    if memory is None:
        return False
    searched = [trial for trial in journal.trials.values() if trial.purpose == "search"]
    rows = [space.indices_of(trial.architecture) for trial in searched]
    running = [row for row, trial in zip(rows, searched, strict=True) if trial.status == "running"]
    try:
        strategy.recall(rows, running, memory)
    except SearchFailedError as error:
        raise RunError(f"{journal.path}: {error}") from None
    return True


def _why_nothing(run: Run, note: str) -> str:
    failures = [trial.failure for trial in run.trials() if trial.failure]
    if not failures:
        return f"no trial finished{', ' if note else ''}{note}"
    reason = failures[-1].strip().splitlines()[-1]
    return f"none of {len(failures)} trials gave an accuracy; the last: {reason}"


def _progress(
    run: Run, journal: Journal, standing: Standing, extras: Extras, running: int, note: str = ""
) -> SearchProgress:
    latest = standing.latest
    purpose: Purpose = latest.purpose if latest is not None and not note else "search"  # a note is about the search
    searching = purpose == "search"
    total = run.record.trials if searching else extras.total(purpose, [*journal.trials.values()])
    return SearchProgress(
        purpose=purpose,
        ended=standing.ended[purpose],
        failed=standing.failed[purpose],
        running=running,
        trials=total,
        best_accuracy=standing.front[0].accuracy if standing.front else None,
        hypervolume=standing.hypervolume,
        front=len(standing.front),
        last=standing.last,
        note=note,
    )
