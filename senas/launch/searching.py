"""`senas search`: every argument checked before anything slow, then profile, search, measure afresh."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import cast, get_args

import torch

from senas.costs.budget import Budget, Objective, check_possible, cost_of, part_cost, show_cost
from senas.errors import OptionError
from senas.latency.calibration import Drift
from senas.latency.identity import DeviceKind
from senas.latency.profile import LatencyProfile
from senas.latency.profiling import profile_space
from senas.latency.sitting import recheck
from senas.launch.options import ProgressDisplay, check_device, check_one_of, optional_duration
from senas.searching.driver import run_alone
from senas.searching.run import Run, check_unused
from senas.searching.search import measure_front, search
from senas.spaces.file import load_space
from senas.spaces.space import SearchSpace
from senas.strategies.table import STRATEGIES
from senas.training.evaluator import TrainingEvaluator
from senas.training.loop import Recipe
from senas.training.sources import load_data
from senas.units import Bound, parse_count, parse_latency

PROFILE_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """The arguments of `senas search` as they were written."""

    space: str
    latency_budget: str | None
    confidence: float
    max_flops: str | None
    max_params: str | None
    objective: str
    profile: str
    execution: str | None
    dtype: str | None
    batch: int | None
    device: str
    data: str
    strategy: str
    trials: int
    time_budget: str | None
    trial_limit: str | None
    retries: int
    epochs: int
    concurrency: int | None
    cpus_per_trial: float
    gpus_per_trial: float | None
    early_stopping: bool
    baseline: bool
    replicates: int
    seed: int
    address: str | None
    out: Path


def launch_search(request: SearchRequest, *, display: ProgressDisplay) -> Run:
    """Check every argument, measure this device if asked to, search, and measure the front afresh.

    Raises:
        SenasError: wrong input; all that needs no measurement is checked before anything slow.
    """
    space = load_space(request.space)
    latency = parse_latency(request.latency_budget, "--latency-budget") if request.latency_budget is not None else None
    flops = parse_count(request.max_flops, "--max-flops") if request.max_flops is not None else None
    params = parse_count(request.max_params, "--max-params") if request.max_params is not None else None
    seconds = optional_duration("--time-budget", request.time_budget)
    trial_seconds = optional_duration("--trial-limit", request.trial_limit)
    objective = cast(Objective, check_one_of("--objective", request.objective, get_args(Objective)))
    check_one_of("--strategy", request.strategy, STRATEGIES)
    device = check_device(request.device, here=request.address is None)
    if not 0 < request.confidence < 1:
        raise OptionError(f"--confidence: found {request.confidence:g}, allowed: above 0, below 1")
    for option, value, least in (
        ("--trials", request.trials, 1),
        ("--epochs", request.epochs, 1),
        ("--replicate", request.replicates, 0),
        ("--retries", request.retries, 0),
    ):
        if value < least:
            raise OptionError(f"{option}: found {value}, allowed: at least {least}")
    check_unused(request.out)
    load_data(request.data, space.input).require(space.extreme(lambda part: part.outflow.channels))
    profile = None
    if objective == "latency" or latency is not None or request.profile != "measure":
        profile = _profile(request, space, device, display)
        profile.bound(request.confidence)  # raises where it cannot give that confidence
    asked = {"--execution": request.execution, "--dtype": request.dtype, "--batch": request.batch}
    if profile is None and any(value is not None for value in asked.values()):
        option = next(option for option, value in asked.items() if value is not None)
        raise OptionError(f"{option}: goes with a latency objective, a latency budget or a profile")
    bounds: tuple[tuple[Objective, Bound | None], ...] = (("latency", latency), ("flops", flops), ("params", params))
    budgets = {cost: _resolve(bound, cost, space, profile, request.confidence) for cost, bound in bounds}
    budget = Budget(latency_ms=budgets["latency"], flops=budgets["flops"], params=budgets["params"])
    check_possible(space, budget, profile, request.confidence)
    for cost, bound in bounds:
        if bound is not None:
            display.note(_announce(cost, bound, budgets[cost] or 0.0, request.confidence))
    gpus, concurrency = _gpus(request)
    search(
        space,
        evaluate=TrainingEvaluator(data=request.data, recipe=Recipe(epochs=request.epochs), device=request.device),
        out=request.out,
        profile=profile,
        objective=objective,
        latency_budget_ms=budget.latency_ms,
        confidence=request.confidence,
        max_flops=budget.flops,
        max_params=budget.params,
        strategy=request.strategy,
        trials=request.trials,
        time_budget_seconds=seconds,
        trial_seconds=trial_seconds,
        retries=request.retries,
        seed=request.seed,
        concurrency=concurrency,
        cpus_per_trial=request.cpus_per_trial,
        gpus_per_trial=gpus,
        early_stopping=request.early_stopping,
        baseline=request.baseline,
        replicates=request.replicates,
        address=request.address,
        on_progress=display.searching,
    )
    run = Run(request.out)
    measure_front(run, address=request.address)
    return run


def _profile(
    request: SearchRequest, space: SearchSpace, device: DeviceKind, display: ProgressDisplay
) -> LatencyProfile:
    """The profile of a search as it holds today: measured now, or its anchors measured again.

    For CUDA and a cluster's address that happens there, on a GPU that nothing else uses meanwhile.
    """
    there = request.address if device == "cuda" else None
    if there is not None:
        display.note(f"measuring on a GPU of {there} that nothing else uses meanwhile")
    asked = _Asked(execution=request.execution, dtype=request.dtype, batch=request.batch)
    if request.profile == "measure":
        work = partial(_measured, space, device, asked, request.seed)
    else:
        profile = LatencyProfile.load(request.profile)
        asked.require(profile, space, device, here=False)
        work = partial(_tied, profile, space, device, asked)
    profile, notes = work(progress=display.profiling) if there is None else run_alone(work, there)
    for note in notes:
        display.note(note)
    return profile


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The mode that a search asks for; `None` is whatever there is."""

    execution: str | None
    dtype: str | None
    batch: int | None

    def require(self, profile: LatencyProfile, space: SearchSpace, device: DeviceKind, *, here: bool) -> None:
        """Raise where a profile does not fit."""
        profile.require(space, device, execution=self.execution, dtype=self.dtype, batch=self.batch, here=here)


def _measured(
    space: SearchSpace,
    device: DeviceKind,
    asked: _Asked,
    seed: int,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[LatencyProfile, list[str]]:
    """A profile of this device, and nothing to say about it."""
    dtype, batch = "fp32" if asked.dtype is None else asked.dtype, 1 if asked.batch is None else asked.batch
    profile = profile_space(
        space,
        device=device,
        execution=asked.execution,
        dtype=dtype,
        batch=batch,
        seconds=PROFILE_SECONDS,
        seed=seed,
        progress=progress,
    )
    return profile, []


def _tied(
    profile: LatencyProfile,
    space: SearchSpace,
    device: DeviceKind,
    asked: _Asked,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[LatencyProfile, list[str]]:
    """A profile whose device is this one, tied to how it runs today, and what has changed since it was made."""
    asked.require(profile, space, device, here=True)
    tied, before = recheck(profile, progress=progress), profile.drifted(Drift())
    anchors = [anchor.architecture for anchor in profile.anchors]
    times = median(tied.predict(arch).latency_ms / before.predict(arch).latency_ms for arch in anchors)
    changes = [f"warning: the profile was made with {change}; its anchors decide" for change in profile.changes()]
    drift = f"the machine takes {times:.3f} times as long as when the profile was made; predictions follow"
    return tied, [*changes, drift]


def _resolve(
    bound: Bound | None, objective: Objective, space: SearchSpace, profile: LatencyProfile | None, confidence: float
) -> float | None:
    if bound is None or not bound.relative:
        return None if bound is None else bound.value
    largest = cost_of(space.extreme(part_cost(objective, profile), largest=True), profile, confidence)
    whole = largest.upper_ms if objective == "latency" else largest.of(objective)
    assert whole is not None
    return bound.resolve(whole)


def _gpus(request: SearchRequest) -> tuple[float, int | None]:
    """GPUs of a trial and trials at a time: a whole GPU each on CUDA, as many as there are, where nothing is said."""
    if request.device == "cpu":
        return request.gpus_per_trial or 0.0, request.concurrency
    gpus = 1.0 if request.gpus_per_trial is None else request.gpus_per_trial
    if gpus <= 0:
        raise OptionError(f"--gpus-per-trial: found {gpus:g}, allowed with --device cuda: more than 0")
    if request.concurrency is not None or request.address is not None:
        return gpus, request.concurrency
    return gpus, max(1, int(torch.cuda.device_count() // gpus))


def _announce(objective: Objective, bound: Bound, value: float, confidence: float) -> str:
    share = f", {bound.value:.0%} of the largest in the space" if bound.relative else ""
    held = f", held against the {100 * confidence:g} % bound of each prediction" if objective == "latency" else ""
    return f"{objective} budget {show_cost(value, objective)}{share}{held}"
