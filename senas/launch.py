"""From what a user wrote to the calls that do the work: the part of the command line that does not print results."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast, get_args

import torch

from senas.architecture import Architecture, Excitation, Integration, SEConfig, Squeeze
from senas.costs.budget import Budget, Objective, check_possible, cost_of, part_cost, show_cost
from senas.costs.complexity import complexity, part_complexity
from senas.costs.profile import LatencyProfile
from senas.costs.profiling import profile_space
from senas.errors import ArchitectureError, OptionError, ProfileError, RunError, one_of
from senas.parsing import to_plain
from senas.references import REFERENCES, reference
from senas.retraining import RetrainResult, retrain
from senas.searching.run import Run
from senas.searching.search import SearchProgress, measure_front, search
from senas.searching.strategies import STRATEGIES
from senas.space import SearchSpace
from senas.space_file import load_space
from senas.training.evaluator import TrainingEvaluator
from senas.training.loop import Recipe
from senas.training.sources import load_data
from senas.units import Bound, parse_count, parse_duration, parse_latency

PROFILE_SECONDS = 20.0


class ProgressDisplay(Protocol):
    """What is told how far the work is; `senas.report.display.Display` is one."""

    def profiling(self, share: float) -> None:
        """A share in [0, 1] of a latency profile is measured."""
        ...

    def searching(self, progress: SearchProgress) -> None:
        """A trial started or ended."""
        ...

    def training(self, epoch: int, epochs: int, loss: float) -> None:
        """An epoch of a retraining ended."""
        ...


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """The arguments of `senas search` as they were written."""

    space: str
    latency_budget: str | None
    max_flops: str | None
    max_params: str | None
    objective: str
    profile: str
    device: str
    data: str
    strategy: str
    trials: int
    time_budget: str | None
    epochs: int
    concurrency: int | None
    cpus_per_trial: float
    gpus_per_trial: float | None
    early_stopping: bool
    seed: int
    address: str | None
    out: Path


def launch_search(request: SearchRequest, *, say: Callable[[str], None], display: ProgressDisplay) -> Run:
    """Check every argument, measure this device if asked to, search, and measure the front afresh.

    Raises:
        SenasError: wrong input; all that needs no measurement is checked before anything slow.
    """
    space = load_space(request.space)
    latency = parse_latency(request.latency_budget, "--latency-budget") if request.latency_budget else None
    flops = parse_count(request.max_flops, "--max-flops") if request.max_flops else None
    params = parse_count(request.max_params, "--max-params") if request.max_params else None
    seconds = parse_duration(request.time_budget, "--time-budget") if request.time_budget else None
    objective = cast(Objective, _one_of("--objective", request.objective, get_args(Objective)))
    _one_of("--strategy", request.strategy, STRATEGIES)
    _check_device(request.device)
    for option, value in (("--trials", request.trials), ("--epochs", request.epochs)):
        if value < 1:
            raise OptionError(f"{option}: found {value}, allowed: at least 1")
    if (request.out / "run.json").exists():
        raise RunError(f"{request.out}: holds a run already; go on with it (senas resume {request.out}) or choose "
                       "another folder with --out")  # fmt: skip
    load_data(request.data, space.input).require(space.extreme(lambda part: part.out_channels))
    profile = None
    if objective == "latency" or latency is not None:
        profile = _profile(request, space, display)
    bounds: tuple[tuple[Objective, Bound | None], ...] = (("latency", latency), ("flops", flops), ("params", params))
    budgets = {cost: _resolve(bound, cost, space, profile) for cost, bound in bounds}
    budget = Budget(latency_ms=budgets["latency"], flops=budgets["flops"], params=budgets["params"])
    check_possible(space, budget, profile)
    for cost, bound in bounds:
        if bound is not None:
            say(_announce(cost, bound, budgets[cost] or 0.0))
    gpus, concurrency = _gpus(request)
    search(
        space,
        evaluate=TrainingEvaluator(data=request.data, recipe=Recipe(epochs=request.epochs), device=request.device),
        out=request.out,
        profile=profile,
        objective=objective,
        latency_budget_ms=budget.latency_ms,
        max_flops=budget.flops,
        max_params=budget.params,
        strategy=request.strategy,
        trials=request.trials,
        time_budget_seconds=seconds,
        seed=request.seed,
        concurrency=concurrency,
        cpus_per_trial=request.cpus_per_trial,
        gpus_per_trial=gpus,
        early_stopping=request.early_stopping,
        address=request.address,
        on_progress=display.searching,
    )
    run = Run(request.out)
    measure_front(run)
    return run


def launch_retrain(
    source: Path,
    *,
    pick: str,
    epochs: int,
    data: str | None,
    device: str,
    seed: int,
    out: Path | None,
    display: ProgressDisplay,
) -> tuple[Path, RetrainResult]:
    """Retrain a trial of a run, or an architecture from a file.

    Returns:
        The folder with the weights, and the result.
    """
    _check_device(device)
    if source.suffix == ".json":
        arch, name, home = Architecture.load(source), data or "digits", Path("retrain")
    else:
        run = Run(source)
        trained = run.record.training
        if data is None and trained is None:
            raise OptionError(f"--data: {source} was searched with an evaluate function of its own, name a data set")
        arch, name, home = run.pick(pick).architecture, data or (trained.data if trained else ""), source / "retrain"
    folder = out or home / arch.digest
    result = retrain(
        arch,
        data=load_data(name, arch.input),
        recipe=Recipe(epochs=epochs),
        out=folder,
        seed=seed,
        device=device,
        on_epoch=lambda epoch, loss: display.training(epoch, epochs, loss),
    )
    return folder, result


def launch_profile(
    space: str,
    *,
    device: str,
    dtype: str,
    batch: int,
    seconds: float,
    seed: int,
    out: Path,
    display: ProgressDisplay,
) -> LatencyProfile:
    """Measure a space on this device and write the profile."""
    _check_measurable(device)
    _one_of("--dtype", dtype, ("fp32",))
    measured = profile_space(load_space(space), seconds=seconds, batch=batch, seed=seed, progress=display.profiling)
    try:
        measured.save(out)
    except OSError as error:
        raise ProfileError(f"{out}: cannot be written to ({error.strerror})") from None
    return measured


def architecture_from(source: str, *, se: str | None, se_stages: str | None) -> Architecture:
    """An architecture from a JSON file, or a reference by name with an SE block written as `r=16,integration=pre`.

    Raises:
        SenasError: neither, or SE arguments beside a file.
    """
    if source.endswith(".json"):
        if se or se_stages:
            raise OptionError(
                f"--se and --se-stages: {source} says itself where SE sits, they go with a reference name"
            )
        return Architecture.load(source)
    if source not in REFERENCES:
        raise ArchitectureError(f"architecture: {one_of(source, REFERENCES)}, or a path ending in .json")
    if se_stages and not se:
        raise OptionError("--se-stages: goes with --se, such as --se r=16")
    stages = None if se_stages is None else [_whole("--se-stages", item) for item in se_stages.split(",")]
    return reference(source, se=_parse_se(se) if se else None, se_stages=stages)


def complexity_json(arch: Architecture) -> dict[str, object]:
    """Total and per-part complexity as plain data."""
    parts = [{"part": str(part), **to_plain(part_complexity(part))} for part in arch.parts()]
    return {"digest": arch.digest, **to_plain(complexity(arch)), "parts": parts}


def _profile(request: SearchRequest, space: SearchSpace, display: ProgressDisplay) -> LatencyProfile:
    _check_measurable(request.device)
    if request.profile == "measure":
        return profile_space(space, seconds=PROFILE_SECONDS, seed=request.seed, progress=display.profiling)
    profile = LatencyProfile.load(request.profile)
    profile.require(space, request.device)
    return profile


def _resolve(
    bound: Bound | None, objective: Objective, space: SearchSpace, profile: LatencyProfile | None
) -> float | None:
    if bound is None or not bound.relative:
        return None if bound is None else bound.value
    largest = cost_of(space.extreme(part_cost(objective, profile), largest=True), profile)
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


def _announce(objective: Objective, bound: Bound, value: float) -> str:
    share = f", {bound.value:.0%} of the largest architecture's" if bound.relative else ""
    held = ", held against the 95 % bound of each prediction" if objective == "latency" else ""
    return f"{objective} budget {show_cost(value, objective)}{share}{held}"


def _check_device(device: str) -> None:
    _one_of("--device", device, ("cpu", "cuda"))
    if device == "cuda" and not torch.cuda.is_available():
        raise OptionError("--device: found cuda, but torch sees no CUDA device here, allowed: cpu")


def _check_measurable(device: str) -> None:
    _check_device(device)
    if device == "cuda":
        raise OptionError(
            "--device: found cuda, but latency is measured on CPUs alone so far; "
            "search CUDA with --objective flops and without --latency-budget"
        )


def _one_of(option: str, value: str, allowed: Collection[str]) -> str:
    if value not in allowed:
        raise OptionError(f"{option}: {one_of(value, allowed)}")
    return value


def _whole(option: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"{option}: found '{text}', expected whole numbers such as 2,3,4") from None


def _parse_se(text: str) -> SEConfig:
    """Read `r=16,squeeze=max,bias=false`."""
    values: dict[str, str] = {}
    for item in text.split(","):
        key, equals, value = item.partition("=")
        name = {"r": "reduction"}.get(key.strip(), key.strip())
        known = ("reduction", "squeeze", "excitation", "integration", "bias")
        if name not in known or not equals:
            raise OptionError(f"--se: {one_of(item, [f'{key}=' for key in ('r', *known)])}")
        values[name] = value.strip()
    if "reduction" not in values:
        raise OptionError(f"--se: found '{text}', expected at least r=, such as r=16")
    bias = _one_of("--se bias", values.get("bias", "true"), ("true", "false")) == "true"
    return SEConfig(
        reduction=_whole("--se r", values["reduction"]),
        squeeze=cast(Squeeze, values.get("squeeze", "avg")),
        excitation=cast(Excitation, values.get("excitation", "sigmoid")),
        integration=cast(Integration, values.get("integration", "standard")),
        bias=bias,
    )
