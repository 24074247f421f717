"""The search: check what is asked, let a strategy propose, leave a run behind."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from senas.architecture import Architecture
from senas.costs.budget import Budget, Objective, check_possible, cost_of, part_cost
from senas.errors import OptionError, SpaceError
from senas.latency.calibration import CONFIDENCE
from senas.latency.profile import LatencyProfile
from senas.latency.sitting import SITTING_SECONDS, Sitting, drift_of, sit_with
from senas.parsing import from_plain, to_plain
from senas.searching.claim import claimed
from senas.searching.driver import run_alone
from senas.searching.identity import this_code
from senas.searching.loop import SearchProgress, drive
from senas.searching.record import SearchOptions, Training
from senas.searching.run import Run
from senas.searching.trial import Trial
from senas.spaces.space import SearchSpace
from senas.strategies.table import DEFAULT_STRATEGY, check_strategy
from senas.training.evaluator import Evaluate, TrainingEvaluator


def search(
    space: SearchSpace,
    *,
    evaluate: Evaluate,
    out: Path | str,
    profile: LatencyProfile | None = None,
    objective: Objective | None = None,
    latency_budget_ms: float | None = None,
    confidence: float = CONFIDENCE,
    max_flops: float | None = None,
    max_params: float | None = None,
    strategy: str = DEFAULT_STRATEGY,
    trials: int = 24,
    time_budget_seconds: float | None = None,
    trial_seconds: float | None = None,
    retries: int = 1,
    seed: int = 0,
    concurrency: int | None = None,
    cpus_per_trial: float = 1,
    gpus_per_trial: float = 0,
    early_stopping: bool = False,
    baseline: bool = False,
    replicates: int = 0,
    address: str | None = None,
    on_progress: Callable[[SearchProgress], None] = lambda _: None,
) -> Run:
    """Search a space for the Pareto front of accuracy (maximised) against a cost (minimised), within hard budgets.

    Args:
        space: what to search.
        evaluate: `(architecture, seed, report) -> top-1 accuracy in [0, 1]`, run in worker processes; `report(epoch,
            accuracy)`, with epochs that rise, is optional and lets early stopping work, and `report.folder` is a folder
            of the trial's own (or `None`) in which to keep what spares a later attempt the epochs that are done.
            `senas.TrainingEvaluator` is the one senas brings.
        out: the folder of the run, made by this call.
        profile: predicts latency; needed for a latency budget or objective. It is taken as it is: `senas.recheck` ties
            an older one to how the machine runs today.
        objective: `latency`, `flops` or `params`; latency by default where there is a profile, else FLOPs.
        latency_budget_ms: no architecture whose upper latency bound is larger is ever trained.
        confidence: of that bound.
        max_flops: likewise, in multiply-adds.
        max_params: likewise, in parameters.
        strategy: a key of `senas.strategies.table.STRATEGIES`.
        trials: how many architectures the strategy may have trained; failed trials count.
        time_budget_seconds: the strategy's trials take no longer in all, resumptions included. One that would not end
            in time is not started; one that has not is interrupted, and a resumption with more time runs it again.
        trial_seconds: an attempt at a trial that takes longer has failed, and its worker is killed.
        retries: how many more attempts a trial has that raised, ran out of memory or lost its worker.
        seed: of everything random.
        concurrency: trials at a time; by default as many as fit the machine.
        cpus_per_trial: CPU cores, and threads, of one trial.
        gpus_per_trial: GPUs of one trial; a fraction shares one.
        early_stopping: let ASHA stop the worse trials early.
        baseline: afterwards, train what the search is held against: the plain and the all-SE version of the template,
            as far as they keep the budgets, and random search of the same size.
        replicates: at last, so many more trainings, each with a new seed, of the architecture whose place on the front
            is least certain then.
        address: `HOST:PORT` of the head of a running Ray cluster to join, or `auto`; a local one is started otherwise.
        on_progress: called after every start and end of a trial.

    Returns:
        The run.

    Raises:
        BudgetError: an impossible budget; nothing has been trained.
        SenasError: a profile that does not fit, an unknown strategy, a folder in use.
        SearchFailedError: no trial gave an accuracy.
        KeyboardInterrupt: after everything that had finished was kept.
    """
    if not callable(evaluate):
        raise OptionError(f"evaluate: found {evaluate!r}, expected a function (architecture, seed, report) -> accuracy")
    budget = Budget(latency_ms=latency_budget_ms, flops=max_flops, params=max_params)
    options = SearchOptions(
        strategy=strategy,
        objective=objective or ("latency" if profile else "flops"),
        budget=budget,
        confidence=confidence,
        trials=trials,
        seed=seed,
        concurrency=_default_concurrency(cpus_per_trial) if concurrency is None else concurrency,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        early_stopping=early_stopping,
        time_budget_seconds=time_budget_seconds,
        trial_seconds=trial_seconds,
        retries=retries,
        baseline=baseline,
        replicates=replicates,
    )
    from_plain(SearchOptions, to_plain(options), "search")  # what is written must be readable again
    _check_address(address)
    _check(space, options, profile, address)
    largest = space.extreme(part_cost(options.objective, profile), largest=True)
    run = Run.create(
        out,
        space=space,
        options=options,
        reference_cost=budget.of(options.objective) or cost_of(largest, profile, confidence).of(options.objective),
        profile=profile,
        training=_training(evaluate),
        code=this_code(evaluate),
    )
    try:
        with claimed(run.folder):
            drive(run, evaluate, address, on_progress)
    except BaseException:
        run.discard()  # unless a trial has started
        raise
    return run


def resume(
    folder: Path | str,
    *,
    evaluate: Evaluate | None = None,
    trials: int | None = None,
    time_budget_seconds: float | None = None,
    trial_seconds: float | None = None,
    retries: int | None = None,
    baseline: bool | None = None,
    replicates: int | None = None,
    force: bool = False,
    address: str | None = None,
    on_progress: Callable[[SearchProgress], None] = lambda _: None,
) -> Run:
    """Go on where a run stopped, whatever stopped it.

    The strategy recalls what the journal says, or is asked and told it again in the same order, so that it stands where
    it stood: nothing that ended is trained twice, and what was running is trained again first, from its last checkpoint
    where it has one.

    Args:
        folder: of the run.
        evaluate: needed where the run was started with an `evaluate` of one's own.
        trials: of the strategy in all; as many as were asked for by default.
        time_budget_seconds: as for `search`, in all; by default as it was asked for.
        trial_seconds: as for `search`; likewise.
        retries: as for `search`; likewise.
        baseline: as for `search`; likewise.
        replicates: in all; likewise.
        force: go on although the code is not the one that the run was searched with.
        address: of a running Ray cluster to join.
        on_progress: called after every start and end of a trial.

    Raises:
        SenasError: not a run, it needs an `evaluate`, its profile is of another device, its code another.
        SearchFailedError: no trial gave an accuracy.
        KeyboardInterrupt: after everything that had finished was kept.
    """
    _check_address(address)
    run = Run(folder)
    training, profile = run.record.training, run.profile()
    if profile is not None:
        profile.require(run.record.space, profile.device.kind, here=_is_here(profile, address))
    if evaluate is None:
        if training is None:
            raise OptionError(f"{run.folder}: was searched with an evaluate function of its own, pass it to resume")
        evaluate = TrainingEvaluator(data=training.data, recipe=training.recipe, device=training.device)
    code, training_now = this_code(evaluate), _training(evaluate)
    with claimed(run.folder):
        if not force:
            run.require_same(code, training_now)
        run.extend(
            code,
            training_now,
            trials=trials,
            time_budget_seconds=time_budget_seconds,
            trial_seconds=trial_seconds,
            retries=retries,
            baseline=baseline,
            replicates=replicates,
        )
        drive(run, evaluate, address, on_progress)
    return run


def measure_front(run: Run, *, address: str | None = None, seconds: float = SITTING_SECONDS) -> list[Trial]:
    """Measure the networks of a run's front, and the profile's anchors among them, afresh.

    On this machine; for a CUDA profile and a cluster's `address`, on a GPU there that nothing else uses meanwhile.

    Returns:
        The front, as journaled; without a profile nothing is measured.
    """
    front, profile = run.front(), run.profile()
    if not front or profile is None:
        return front
    measure = partial(_measure_here, profile, run.record.space, [trial.architecture for trial in front], seconds)
    sitting = measure() if _is_here(profile, address) else run_alone(measure, address or "")
    now = drift_of(profile.anchors, sitting.anchors)
    at_start = profile.calibration.drift
    with closing(run.open_journal()) as journal:
        for trial in front:
            operations = profile.network_load(trial.architecture).operations
            predicted = trial.cost.latency_ms
            assert predicted is not None
            drift = now.now(at_start.then(predicted, operations), operations) / predicted
            journal.measured(trial.number, sitting.networks[trial.digest].estimate_ms, drift)
    return run.save_front()


def _default_concurrency(cpus_per_trial: float) -> int:
    """As many trials at a time as this process has CPU cores for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(cores // cpus_per_trial)) if cpus_per_trial > 0 else 1


def _is_here(profile: LatencyProfile, address: str | None) -> bool:
    """Whether a profile is of this machine; one of CUDA is of a node of the cluster, where there is one."""
    return address is None or profile.device.kind == "cpu"


def _measure_here(
    profile: LatencyProfile, space: SearchSpace, archs: Sequence[Architecture], seconds: float
) -> Sitting:
    profile.require(space, profile.device.kind)
    return sit_with(profile, archs, seconds=seconds)


def _check(space: SearchSpace, options: SearchOptions, profile: LatencyProfile | None, address: str | None) -> None:
    if profile is None and (options.budget.latency_ms is not None or options.objective == "latency"):
        raise OptionError("profile: found none, needed for a latency budget or objective (see senas profile)")
    check_strategy(options.strategy)
    if not space.choices:
        raise SpaceError(f"space {space.name}: found a single architecture, expected at least two to choose from")
    if profile is not None:
        profile.require(space, profile.device.kind, here=_is_here(profile, address))
    check_possible(space, options.budget, profile, options.confidence)


def _check_address(address: str | None) -> None:
    if address is not None and address.startswith("ray://"):
        raise OptionError(
            f"address: found {address}, a Ray Client address, which Ray Tune drives from the cluster's side; "
            "run senas on a node of the cluster and give HOST:PORT of its head, or auto"
        )


def _training(evaluate: Evaluate) -> Training | None:
    if isinstance(evaluate, TrainingEvaluator) and isinstance(evaluate.data, str):
        return Training(data=evaluate.data, recipe=evaluate.recipe, device=evaluate.device)
    return None
