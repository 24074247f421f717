"""Functions that start and resume a search and measure its front; they check their arguments first."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from senas.architecture import Architecture
from senas.costs import CostModel, check_possible, cost_of, part_cost
from senas.errors import OptionError, RunError, SpaceError, one_of
from senas.execution.address import check_address
from senas.execution.progress import SearchProgress
from senas.execution.ray_driver import run_alone, run_ray_tune
from senas.execution.trial_runner import TrialExecutor, run_trials
from senas.io import options_of
from senas.latency import (
    SESSION_SECONDS,
    LatencyProfile,
    MeasurementSession,
    MeasureNetworks,
    drift_of,
    measure_in_subprocess,
    run_profile_session,
)
from senas.runs import Run, SearchOptions, Training, Trial, run_lock, search_code
from senas.spaces import SearchSpace
from senas.strategies import STRATEGIES, make_strategy, strategy_name
from senas.training import Evaluate, TrainingEvaluator

if TYPE_CHECKING:
    from nni.nas.strategy import Strategy


def search(
    space: SearchSpace,
    *,
    evaluate: Evaluate,
    out: Path | str,
    profile: LatencyProfile | None = None,
    strategy: "str | Strategy | Callable[..., Strategy]" = "ehvi",
    address: str | None = None,
    execute: TrialExecutor | None = None,
    on_progress: Callable[[SearchProgress], None] = lambda _: None,
    **options: Any,
) -> Run:
    """Search a space for the Pareto front of accuracy (maximised) against a cost (minimised), within hard budgets.

    Args:
        space: Space to search.
        evaluate: Function `(architecture, seed, report) -> top-1 accuracy in [0, 1]`, which runs in worker processes.
            `report(epoch, accuracy)`, with rising epochs, is optional and lets early stopping work. `report.folder` is
            a folder of the trial's own (or `None`) for what lets a later attempt skip the epochs that are done.
            `senas.TrainingEvaluator` is the evaluator of senas.
        out: Folder of the run, which this call makes.
        profile: Profile that predicts the latency; required for a latency budget or objective. It is used as it is:
            `senas.recheck` adjusts an older one to how the machine runs today.
        strategy: Key of `senas.strategies.STRATEGIES`, an `nni.nas.strategy.Strategy`, or a function
            `(problem, *, seed) -> strategy`, such as a subclass of `senas.ProposingStrategy`.
        address: `HOST:PORT` of the head of a running Ray cluster to join, or `auto`; by default a local one is started.
        execute: Function that runs the trials; by default Ray Tune. See `senas.execution.TrialExecutor`.
        on_progress: Function that is called with the progress after every start, reported epoch and end of a trial.
        options: Further options by name. `latency_budget_ms`, `max_flops` and `max_params` are hard upper bounds: no
            architecture beyond one is ever trained. The others are the fields of `senas.runs.SearchOptions`, such as
            `trials`, `objective`, `seed` or `early_stopping`; `senas search --help` describes them.

    Returns:
        The run.

    Raises:
        BudgetError: An impossible budget; nothing has been trained.
        SenasError: A profile that does not fit, an unknown strategy or option, a folder in use.
        SearchFailedError: No trial gave an accuracy.
        KeyboardInterrupt: An interrupt, after everything that had finished was kept.
    """
    if not callable(evaluate):
        raise OptionError(f"evaluate: found {evaluate!r}, expected a function (architecture, seed, report) -> accuracy")
    name = strategy_name(strategy)
    asked = SearchOptions.from_arguments(
        has_profile=profile is not None,
        on_cuda=isinstance(evaluate, TrainingEvaluator) and evaluate.device.startswith("cuda"),
        here=address is None,
        **{**options, "strategy": name},
    )
    check_address(address)
    if isinstance(evaluate, TrainingEvaluator) and not evaluate.loading.is_decided:
        evaluate = evaluate.with_decided_loading(space.input)
    space.check_layers()
    _check(space, asked, profile, address)
    largest = space.costliest(part_cost(asked.objective, profile))
    bound = asked.budget.of(asked.objective)
    run = Run.create(
        out,
        space=space,
        options=asked,
        reference_cost=bound or cost_of(largest, profile, asked.confidence).of(asked.objective),
        profile=profile,
        training=_training(evaluate),
        code=search_code(evaluate),
        cost_model=CostModel(space),
    )
    try:
        with run_lock(run.folder):
            _run(run, strategy, evaluate, address, execute, on_progress)
    except BaseException:
        run.discard()  # unless a trial has started
        raise
    return run


def resume(
    folder: Path | str,
    *,
    evaluate: Evaluate | None = None,
    strategy: "str | Strategy | Callable[..., Strategy] | None" = None,
    trials: int | None = None,
    force: bool = False,
    address: str | None = None,
    execute: TrialExecutor | None = None,
    on_progress: Callable[[SearchProgress], None] = lambda _: None,
    **options: Any,
) -> Run:
    """Continue a run where it stopped, whatever stopped it.

    The strategy is restored from the journal, or asked for every proposal and given every result again in the same
    order: no trial that has ended is trained twice. Trials that were running are trained again first, from their last
    checkpoint if there is one.

    Args:
        folder: Folder of the run.
        evaluate: Function as for `search`; required if the run was started with an `evaluate` of the caller's own.
        strategy: Strategy as for `search`, as it was before the search; required if the run was started with a strategy
            of the caller's own.
        trials: Number of the strategy's trials in all; by default as many as were asked for.
        force: Whether to continue although the code is not the one that the run was searched with.
        address: Address of a running Ray cluster to join.
        execute: Function that runs the trials, as for `search`.
        on_progress: Function that is called with the progress after every start, reported epoch and end of a trial.
        options: Other options to ask for from now on: those fields of `senas.runs.SearchOptions` that a resumption may
            change, such as `time_budget_seconds`, `retries` or `replicates`.

    Raises:
        SenasError: Not a run, a missing `evaluate` or `strategy`, a profile of another device, other code.
        SearchFailedError: No trial gave an accuracy.
        KeyboardInterrupt: An interrupt, after everything that had finished was kept.
    """
    resumable = [name for name, info in options_of(SearchOptions).items() if info.resumable]
    for name in options:
        if name not in resumable:
            raise OptionError(f"resume: unknown argument, {one_of(name, ['trials', *resumable])}")
    check_address(address)
    run = Run(folder)
    training, profile = run.record.training, run.profile
    if profile is not None:
        here = _is_here(profile, address, run.record.options)
        profile.require(run.record.space, profile.device.kind, here=here)
    if evaluate is None:
        if training is None:
            raise OptionError(f"{run.folder}: was searched with an evaluate function of its own, pass it to resume")
        evaluate = TrainingEvaluator(
            data=training.data, recipe=training.recipe, device=training.device, loading=training.loading
        )
    elif isinstance(evaluate, TrainingEvaluator) and evaluate.loading.streamed is None and training is not None:
        evaluate = replace(evaluate, loading=training.loading)
    if isinstance(evaluate, TrainingEvaluator) and evaluate.loading.content:  # which version 0.1 did not keep
        evaluate = evaluate.with_decided_loading(run.record.space.input)
    code, training_now = search_code(evaluate), _training(evaluate)
    with run_lock(run.folder):
        if not force:
            run.require_same(code, training_now)
        chosen = _strategy_of(run, strategy)
        run.extend(code, training_now, trials=trials, **options)
        _run(run, chosen, evaluate, address, execute, on_progress)
    return run


def measure_front(
    run: Run,
    *,
    address: str | None = None,
    seconds: float = SESSION_SECONDS,
    measure: MeasureNetworks = measure_in_subprocess,
) -> list[Trial]:
    """Measure the networks of a run's front again, together with the profile's anchors.

    Measurement happens on this machine, or on an otherwise unused GPU of the cluster if the profile is for CUDA and
    `address` is given.

    Returns:
        The front, as journaled; without a profile, or with one of another machine, nothing is measured.

    Raises:
        RunError: Another process is searching in the run.
        ProfileError: A machine that is not the profile's or is too busy.
    """
    if run.profile is None or run.record.options.elsewhere:
        return run.front()
    with run_lock(run.folder):
        return _measure_front(run, run.profile, address, seconds, measure)


def _measure_front(
    run: Run, profile: LatencyProfile, address: str | None, seconds: float, measure: MeasureNetworks
) -> list[Trial]:
    front = run.front()
    if not front:
        return front
    archs = [trial.architecture for trial in front]
    work = partial(_measure_here, profile, run.record.space, archs, seconds, measure)
    session = work() if _is_here(profile, address, run.record.options) else run_alone(work, address or "")
    now = drift_of(profile.anchors, session.anchors)
    at_start = profile.calibration.drift
    with closing(run.open_journal()) as journal:
        for trial in front:
            operations = profile.network_features(trial.architecture).operations
            predicted = trial.cost.latency_ms
            assert predicted is not None
            drift = now.current_ms(at_start.at_profile_ms(predicted, operations), operations) / predicted
            journal.measured(trial.number, session.networks[trial.digest].estimate_ms, drift)
    return run.save_front()


def _run(
    run: Run,
    strategy: "str | Strategy | Callable[..., Strategy]",
    evaluate: Evaluate,
    address: str | None,
    execute: TrialExecutor | None,
    on_progress: Callable[[SearchProgress], None],
) -> None:
    if execute is None:
        execute = partial(run_ray_tune, address=address)
        if address is not None and isinstance(evaluate, TrainingEvaluator):
            evaluate = evaluate.with_loaded_data(run.record.space.input)

    options = run.record.options
    made = make_strategy(
        strategy, run.problem, seed=options.seed, trials=options.trials, concurrency=options.concurrency
    )
    run_trials(run, made, evaluate, execute, on_progress)


def _strategy_of(
    run: Run, strategy: "str | Strategy | Callable[..., Strategy] | None"
) -> "str | Strategy | Callable[..., Strategy]":
    """Return the strategy to resume a run with.

    Raises:
        SenasError: The run was searched with a strategy of the caller's own that is missing, or with another one.
    """
    before = run.record.options.strategy
    if strategy is None:
        if before not in STRATEGIES:
            raise OptionError(f"{run.folder}: was searched with the strategy {before}, pass it to resume")
        return before
    if strategy_name(strategy) != before:
        raise RunError(f"{run.folder}: strategy: found {strategy_name(strategy)}, the run was searched with {before}")
    return strategy


def _is_here(profile: LatencyProfile, address: str | None, options: SearchOptions) -> bool:
    """Return whether a profile's device must be here: one for CUDA is on the cluster if there is one."""
    return not options.elsewhere and (address is None or profile.device.kind == "cpu")


def _measure_here(
    profile: LatencyProfile,
    space: SearchSpace,
    archs: Sequence[Architecture],
    seconds: float,
    measure: MeasureNetworks,
) -> MeasurementSession:
    profile.require(space, profile.device.kind)
    return run_profile_session(profile, archs, seconds=seconds, measure=measure)


def _check(space: SearchSpace, options: SearchOptions, profile: LatencyProfile | None, address: str | None) -> None:
    if profile is None and (options.budget.latency_ms is not None or options.objective == "latency"):
        raise OptionError("profile: found none, needed for a latency budget or objective (see senas profile)")
    if profile is None and options.elsewhere:
        raise OptionError("elsewhere: needs the profile of another machine")
    if not space.choices:
        raise SpaceError(f"space {space.name}: found a single architecture, expected at least two to choose from")
    if profile is not None:
        profile.require(space, profile.device.kind, here=_is_here(profile, address, options))
    check_possible(space, options.budget, profile, options.confidence)


def _training(evaluate: Evaluate) -> Training | None:
    if isinstance(evaluate, TrainingEvaluator) and isinstance(evaluate.data, str):
        return Training(data=evaluate.data, recipe=evaluate.recipe, device=evaluate.device, loading=evaluate.loading)
    return None
