"""The search: check what is asked, let a strategy propose, leave a run behind."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from senas.costs.budget import Budget, Objective, check_possible, cost_of, part_cost
from senas.costs.profile import LatencyProfile
from senas.costs.profiling import measure_architectures
from senas.errors import OptionError, SearchFailedError, one_of
from senas.searching.bridge import Limits, StrategySearcher
from senas.searching.driver import run_tune
from senas.searching.engine import ProposalEngine
from senas.searching.journal import Journal
from senas.searching.nni_space import NNISpace
from senas.searching.pareto import hypervolume, pareto_front
from senas.searching.run import Run, SearchOptions, Training
from senas.searching.strategies import DEFAULT_STRATEGY, make_strategy
from senas.searching.trial import Trial
from senas.space import SearchSpace
from senas.training.evaluator import Evaluate, TrainingEvaluator


@dataclass(frozen=True, kw_only=True)
class SearchProgress:
    """Where a search stands.

    Attributes:
        ended: trials ended, however they did.
        failed: how many of them failed.
        running: trials under way.
        trials: how many there will be.
        best_accuracy: of the front, `None` before the first result.
        hypervolume: of the front, in [0, 1].
        front: how many trials are on it.
        last: the trial that ended last, if any.
    """

    ended: int
    failed: int
    running: int
    trials: int
    best_accuracy: float | None
    hypervolume: float
    front: int
    last: Trial | None


def search(
    space: SearchSpace,
    *,
    evaluate: Evaluate,
    out: Path | str,
    profile: LatencyProfile | None = None,
    objective: Objective | None = None,
    latency_budget_ms: float | None = None,
    max_flops: float | None = None,
    max_params: float | None = None,
    strategy: str = DEFAULT_STRATEGY,
    trials: int = 24,
    time_budget_seconds: float | None = None,
    seed: int = 0,
    concurrency: int | None = None,
    cpus_per_trial: float = 1,
    gpus_per_trial: float = 0,
    early_stopping: bool = False,
    address: str | None = None,
    on_progress: Callable[[SearchProgress], None] = lambda _: None,
) -> Run:
    """Search a space for the Pareto front of accuracy (maximised) against a cost (minimised), within hard budgets.

    Args:
        space: what to search.
        evaluate: `(architecture, seed, report) -> top-1 accuracy in [0, 1]`, run in worker processes; `report(epoch,
            accuracy)` is optional and lets early stopping work. `senas.TrainingEvaluator` is the one senas brings.
        out: the folder of the run, made by this call.
        profile: predicts latency; needed for a latency budget or objective.
        objective: `latency`, `flops` or `params`; latency by default where there is a profile, else FLOPs.
        latency_budget_ms: no architecture whose 95 % latency bound is larger is ever trained.
        max_flops: likewise, in multiply-adds.
        max_params: likewise, in parameters.
        strategy: a key of `senas.searching.strategies.STRATEGIES`.
        trials: how many architectures to train; failed trials count.
        time_budget_seconds: no trial starts later than this.
        seed: of everything random.
        concurrency: trials at a time; by default as many as fit the machine.
        cpus_per_trial: CPU cores, and threads, of one trial.
        gpus_per_trial: GPUs of one trial; a fraction shares one.
        early_stopping: let ASHA stop the worse trials early.
        address: of a running Ray cluster to join, such as `ray://host:10001`; a local one is started otherwise.
        on_progress: called after every start and end of a trial.

    Returns:
        The run, complete or, after Ctrl-C, with everything that had finished.

    Raises:
        BudgetError: an impossible budget; nothing has been trained.
        SenasError: a profile that does not fit, an unknown strategy, a folder in use.
        SearchFailedError: no trial gave an accuracy.
        KeyboardInterrupt: after everything that had finished was kept.
    """
    budget = Budget(latency_ms=latency_budget_ms, flops=max_flops, params=max_params)
    options = SearchOptions(
        strategy=strategy,
        objective=objective or ("latency" if profile else "flops"),
        budget=budget,
        trials=trials,
        seed=seed,
        concurrency=_default_concurrency(cpus_per_trial) if concurrency is None else concurrency,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        early_stopping=early_stopping,
        time_budget_seconds=time_budget_seconds,
    )
    _check(space, options, profile)
    largest = space.extreme(part_cost(options.objective, profile), largest=True)
    run = Run.create(
        out,
        space=space,
        options=options,
        reference_cost=budget.of(options.objective) or cost_of(largest, profile).of(options.objective),
        profile=profile,
        training=_training(evaluate),
    )
    return _drive(run, evaluate, address=address, on_progress=on_progress)


def resume(
    folder: Path | str,
    *,
    evaluate: Evaluate | None = None,
    trials: int | None = None,
    address: str | None = None,
    on_progress: Callable[[SearchProgress], None] = lambda _: None,
) -> Run:
    """Go on where a run stopped.

    The strategy starts again from its seed and is told at once what the journal knows, so nothing that ended is
    trained twice; what was running when the search stopped is trained again.

    Args:
        folder: of the run.
        evaluate: needed where the run was started with an `evaluate` of one's own.
        trials: how many in all; as many as were asked for by default.
        address: of a running Ray cluster to join.
        on_progress: called after every start and end of a trial.

    Raises:
        SenasError: not a run, or it needs an `evaluate`.
        SearchFailedError: no trial gave an accuracy.
        KeyboardInterrupt: after everything that had finished was kept.
    """
    run = Run(folder)
    training = run.record.training
    if evaluate is None:
        if training is None:
            raise OptionError(f"{run.folder}: was searched with an evaluate function of its own, pass it to resume")
        evaluate = TrainingEvaluator(data=training.data, recipe=training.recipe, device=training.device)
    return _drive(run, evaluate, trials=trials, address=address, on_progress=on_progress)


def measure_front(run: Run, *, seconds: float = 2.0) -> list[Trial]:
    """Measure the networks of a run's front afresh on this machine and journal the result.

    Returns:
        The front; without a profile, or with one of another kind of device, nothing is measured.
    """
    front = run.front()
    profile = run.profile()
    if not front or profile is None or profile.device.kind != "cpu":
        return front
    measured = measure_architectures([t.architecture for t in front], batch=profile.mode.batch, seconds=seconds)
    journal = run.open_journal()
    for trial in front:
        journal.measured(trial.number, measured[trial.digest].estimate_ms)
    journal.close()
    return run.save_front()


def _default_concurrency(cpus_per_trial: float) -> int:
    """As many trials at a time as this process has CPU cores for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(cores // cpus_per_trial)) if cpus_per_trial > 0 else 1


def _check(space: SearchSpace, options: SearchOptions, profile: LatencyProfile | None) -> None:
    if options.objective not in ("latency", "flops", "params"):
        raise OptionError(f"objective: {one_of(options.objective, ('latency', 'flops', 'params'))}")
    for name, value in (("trials", options.trials), ("concurrency", options.concurrency)):
        if value < 1:
            raise OptionError(f"{name}: found {value}, allowed: at least 1")
    if options.cpus_per_trial <= 0 or options.gpus_per_trial < 0:
        raise OptionError(
            f"cpus_per_trial and gpus_per_trial: found {options.cpus_per_trial} and {options.gpus_per_trial}, "
            "allowed: more than 0 and at least 0"
        )
    if profile is None and (options.budget.latency_ms is not None or options.objective == "latency"):
        raise OptionError("profile: found none, needed for a latency budget or objective (see senas profile)")
    make_strategy(options.strategy, seed=options.seed, trials=options.trials, concurrency=options.concurrency)
    if profile is not None:
        profile.require(space, profile.device.kind)
    check_possible(space, options.budget, profile)


def _training(evaluate: Evaluate) -> Training | None:
    if isinstance(evaluate, TrainingEvaluator) and isinstance(evaluate.data, str):
        return Training(data=evaluate.data, recipe=evaluate.recipe, device=evaluate.device)
    return None


def _drive(
    run: Run,
    evaluate: Evaluate,
    *,
    address: str | None,
    on_progress: Callable[[SearchProgress], None],
    trials: int | None = None,
) -> Run:
    """Run trials until the limits are reached."""
    options = run.record.options if trials is None else replace(run.record.options, trials=trials)
    profile = run.profile()
    journal = run.open_journal()
    started = journal.trials()
    ended = [trial for trial in started if trial.status != "running"]
    cost = partial(cost_of, profile=profile)
    engine = ProposalEngine(
        feasible=lambda arch: options.budget.keeps(cost(arch)),
        known={trial.digest: trial.accuracy for trial in ended},
    )
    strategy = make_strategy(
        options.strategy, seed=options.seed, trials=options.trials, concurrency=options.concurrency
    )
    engine.start(strategy, NNISpace(run.record.space))
    searcher = StrategySearcher(
        engine=engine,
        journal=journal,
        cost_of=cost,
        limits=Limits(trials=options.trials, concurrency=options.concurrency, seconds=options.time_budget_seconds),
        seed=options.seed,
        ended=len(ended),
        interrupted={trial.digest: trial.number for trial in started if trial.status == "running"},
        next_number=len(started) + 1,
        on_change=lambda: on_progress(_progress(run, journal, options.trials)),
    )
    try:
        if len(ended) < options.trials:
            on_progress(_progress(run, journal, options.trials))
            run_tune(searcher, evaluate, options, address)
    finally:
        engine.close()
        journal.close()
        run.save_front()
    if not run.front():
        failures = [trial.failure for trial in run.trials() if trial.failure]
        if engine.exhausted or not failures:
            raise SearchFailedError(f"{run.folder}: the strategy found no feasible architecture within the budget")
        reason = failures[-1].strip().splitlines()[-1]
        raise SearchFailedError(f"{run.folder}: none of {len(failures)} trials gave an accuracy; the last: {reason}")
    return run


def _progress(run: Run, journal: Journal, trials: int) -> SearchProgress:
    every = journal.trials()
    ended = [trial for trial in every if trial.status != "running"]
    front = pareto_front(every, run.objective)
    return SearchProgress(
        ended=len(ended),
        failed=sum(trial.status == "failed" for trial in ended),
        running=len(every) - len(ended),
        trials=trials,
        best_accuracy=front[0].accuracy if front else None,
        hypervolume=hypervolume(every, run.objective, run.record.reference_cost),
        front=len(front),
        last=max(ended, key=lambda trial: trial.number, default=None),
    )
