"""The loop of a search: a strategy brought back to where the journal stands, then asked until the limits."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from senas.architecture import Architecture
from senas.costs.budget import cost_of
from senas.errors import SearchFailedError
from senas.searching.bridge import Limits, StrategySearcher
from senas.searching.driver import run_tune
from senas.searching.engine import PATIENCE, ProposalEngine
from senas.searching.extras import Extras
from senas.searching.journal import Journal
from senas.searching.pareto import hypervolume, pareto_front
from senas.searching.run import Run
from senas.searching.trial import Purpose, Trial
from senas.strategies.nni_space import NNISpace
from senas.strategies.proposing import ProposingStrategy
from senas.strategies.table import make_strategy
from senas.training.evaluator import Evaluate


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
        last: the trial that ended last, if any.
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
        SearchFailedError: no trial of the run gave an accuracy.
        KeyboardInterrupt: after everything that had finished was kept.
    """
    options, profile = run.record.options, run.profile()
    cost = partial(cost_of, profile=profile, confidence=options.confidence)
    engine = ProposalEngine(feasible=lambda arch: options.budget.keeps(cost(arch)))
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

    def on_replicate(arch: Architecture, accuracy: float) -> None:
        if isinstance(strategy, ProposingStrategy):
            strategy.observe(space.indices_of(arch), accuracy)

    engine.start(strategy, NNISpace(space))
    journal = run.open_journal()
    searcher = StrategySearcher(
        engine=engine,
        journal=journal,
        cost_of=cost,
        limits=Limits(trials=run.record.trials, concurrency=options.concurrency, seconds=options.time_budget_seconds),
        seed=options.seed,
        extras=extras.next,
        on_replicate=on_replicate,
        on_change=lambda: on_progress(_progress(run, journal, extras)),
    )
    try:
        searcher.replay()
        on_progress(_progress(run, journal, extras))
        if not searcher.complete:
            run_tune(searcher, evaluate, options, address)
            on_progress(_progress(run, journal, extras, note=_END_NOTES.get(searcher.end_reason, "")))
    finally:
        engine.close()
        journal.close()
        run.save_front()
    if not run.front():
        failures = [trial.failure for trial in run.trials() if trial.failure]
        if failures:
            reason = failures[-1].strip().splitlines()[-1]
            said = f"none of {len(failures)} trials gave an accuracy; the last: {reason}"
        else:
            said = _END_NOTES.get(searcher.end_reason, "no trial finished")
        raise SearchFailedError(f"{run.folder}: {said}")


def _progress(run: Run, journal: Journal, extras: Extras, note: str = "") -> SearchProgress:
    every, history = journal.trials(), journal.history()
    purpose: Purpose = every[-1].purpose if every and not note else "search"  # a note is about the search
    ended = [trial for trial in every if trial.status != "running" and trial.purpose == purpose]
    front = pareto_front(every, run.objective)
    return SearchProgress(
        purpose=purpose,
        ended=len(ended),
        failed=sum(trial.status == "failed" for trial in ended),
        running=sum(trial.status == "running" for trial in every),
        trials=run.record.trials if purpose == "search" else extras.total(purpose, every),
        best_accuracy=front[0].accuracy if front else None,
        hypervolume=hypervolume(every, run.objective, run.record.reference_cost),
        front=len(front),
        last=next((trial for trial in reversed(history) if trial.status != "running"), None),
        note=note,
    )
