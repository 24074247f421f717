"""`senas search`: every argument is checked before anything slow; then profile, search, measure the front again."""

import itertools
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from senas.cli.data_loading import load_and_tell
from senas.cli.options import (
    AddressOption,
    ClassesOption,
    DataOption,
    DeviceOption,
    EpochsOption,
    ExecutionOption,
    SkipDamagedOption,
    SpaceArgument,
    StreamOption,
    check_device,
    check_one_of,
    parsed_options,
    with_options,
)
from senas.cli.printing import interrupted, progress_console, show_run
from senas.errors import OptionError
from senas.io import Bound, parse_count, parse_latency
from senas.runs import SearchOptions

if TYPE_CHECKING:
    from senas.costs import Objective
    from senas.execution import SearchProgress
    from senas.latency import DeviceKind, LatencyProfile
    from senas.report import Display
    from senas.runs import Run
    from senas.spaces import SearchSpace
    from senas.training import TrainingEvaluator


@with_options(SearchOptions, chosen=lambda _name, _info: True)
def search(
    space: SpaceArgument,
    latency_budget: Annotated[
        str | None, Option(metavar="5ms", help="Latency budget: 5ms, 800us, or 70% of the space's largest latency.")
    ] = None,
    max_flops: Annotated[
        str | None, Option(metavar="300M", help="Budget of FLOPs: 300M, or 70% of the space's largest count.")
    ] = None,
    max_params: Annotated[
        str | None, Option(metavar="5M", help="Budget of parameters: 5M, or 70% of the space's largest count.")
    ] = None,
    profile: Annotated[
        str | None,
        Option(
            metavar="FILE",
            help="Latency profile to use; 'measure', the default if latency is needed, profiles this device first.",
        ),
    ] = None,
    device: DeviceOption = "cpu",
    execution: ExecutionOption = None,
    dtype: Annotated[
        str | None,
        Option(metavar="NAME", help="Number format of the measured networks: fp32, bf16, on CUDA tf32, fp16."),
    ] = None,
    batch: Annotated[int | None, Option(metavar="N", help="Batch size of the measured networks.")] = None,
    data: DataOption = "digits",
    epochs: EpochsOption = 10,
    classes: ClassesOption = None,
    stream: StreamOption = None,
    skip_damaged: SkipDamagedOption = 0,
    address: AddressOption = None,
    out: Annotated[Path | None, Option(metavar="DIR", help="Folder of the run; by default runs/SPACE-N.")] = None,
    **options: Any,
) -> None:
    """Find the Pareto front within hard budgets."""
    from senas.execution import check_address
    from senas.latency import DTYPES, make_mode
    from senas.runs import check_unused
    from senas.spaces import load_space
    from senas.strategies import STRATEGIES

    loaded = load_space(space, classes=classes)
    bounds: dict[Objective, Bound | None] = {
        "latency": None if latency_budget is None else parse_latency(latency_budget, "--latency-budget"),
        "flops": None if max_flops is None else parse_count(max_flops, "--max-flops"),
        "params": None if max_params is None else parse_count(max_params, "--max-params"),
    }
    given = parsed_options(SearchOptions, options)
    given.setdefault("objective", "latency")
    check_one_of("--strategy", given["strategy"], STRATEGIES)
    timed = given["objective"] == "latency" or bounds["latency"] is not None or profile is not None
    asked = {"execution": execution, "dtype": dtype, "batch": batch}
    if not timed and any(value is not None for value in asked.values()):
        option = next(name for name, value in asked.items() if value is not None)
        raise OptionError(f"--{option}: needs a latency objective, a latency budget or a profile")
    kind = check_device(device, here=False)
    if given["elsewhere"]:
        if profile in (None, "measure"):
            raise OptionError("--elsewhere: needs --profile FILE, the profile of another machine")
    else:
        make_mode(
            kind, loaded.input, execution=execution, dtype=dtype or DTYPES[kind][0], batch=1 if batch is None else batch
        )
    check_address(address)
    request = _Request(
        space=loaded,
        bounds=bounds,
        options=given,
        profile=profile or ("measure" if timed else None),
        device=kind,
        mode=asked,
        data=data,
        epochs=epochs,
        stream=stream,
        skip_damaged=skip_damaged,
        address=address,
    )
    folder = out or _new_folder(space)
    try:
        check_unused(folder)
        run = _search(request, folder)
    except KeyboardInterrupt:
        interrupted(folder)
    else:
        show_run(run)
    finally:
        if out is None:
            with suppress(OSError):  # unless there is a run in it
                folder.rmdir()
                folder.parent.rmdir()


@dataclass(frozen=True, kw_only=True)
class _Request:
    """Arguments of the command.

    Attributes:
        space: Space to search.
        bounds: Budget of each cost, if any.
        options: Options of the search by name, without the budget.
        profile: Profile, `measure`, or `None` for a search without latency.
        device: Kind of device that trials train on and that latency is measured on.
        mode: Execution, number format and batch size that a profile must have; `None` for any.
        data: Name of the data set.
        epochs: Number of epochs of each training.
        stream: Whether images are read while training; `None` for what memory allows.
        skip_damaged: Number of damaged images to leave out.
        address: Address of a cluster, if any.
    """

    space: "SearchSpace"
    bounds: "dict[Objective, Bound | None]"
    options: dict[str, Any]
    profile: str | None
    device: "DeviceKind"
    mode: dict[str, Any]
    data: str
    epochs: int
    stream: bool | None
    skip_damaged: int
    address: str | None


def _search(request: _Request, folder: Path) -> "Run":
    """Profile this device if that is asked for, search, and measure the front again; return the run."""
    evaluate = _make_evaluator(request)
    from senas.execution import measure_front
    from senas.execution import search as search_space
    from senas.report import Display

    with Display(progress_console()) as display:
        profile = _open_profile(request, display)
        budgets, notes = _budgets(request, profile)

        def report(progress: "SearchProgress") -> None:
            while notes:  # once the search has checked its budget
                display.note(notes.pop(0))
            display.searching(progress)

        run = search_space(
            request.space,
            evaluate=evaluate,
            out=folder,
            profile=profile,
            address=request.address,
            on_progress=report,
            latency_budget_ms=budgets["latency"],
            max_flops=budgets["flops"],
            max_params=budgets["params"],
            **request.options,
        )
        measure_front(run, address=request.address)
    return run


def _make_evaluator(request: _Request) -> "TrainingEvaluator":
    """Return the evaluator of the trials; raise a `SenasError` if the device, recipe or data cannot be trained with."""
    from senas.training import Recipe

    check_device(request.device, here=request.address is None)
    if request.device == "cuda" and request.options.get("gpus_per_trial") == 0:
        raise OptionError("--gpus-per-trial: found 0, allowed with --device cuda: more than 0")
    recipe = Recipe(epochs=request.epochs)
    largest = request.space.costliest(lambda part: part.out_shape.channels)
    data, loading = load_and_tell(
        request.data, request.space.input, stream=request.stream, skip_damaged=request.skip_damaged
    )
    data.require(largest)
    from senas.training import TrainingEvaluator  # after the checks, since torch is slow to import

    return TrainingEvaluator(data=request.data, recipe=recipe, device=request.device, loading=loading)


def _open_profile(request: _Request, display: "Display") -> "LatencyProfile | None":
    """Return the profile of the search, measured or adjusted now; `None` for a search without latency."""
    if request.profile is None:
        return None
    from senas.execution import profile_for_search, profile_of_elsewhere

    if request.options["elsewhere"]:
        profile, notes = profile_of_elsewhere(request.space, source=request.profile, **request.mode)
    else:
        profile, notes = profile_for_search(
            request.space,
            request.device,
            source=request.profile,
            seed=request.options["seed"],
            address=request.address,
            progress=display.profiling,
            on_estimate=lambda least, most: display.note(
                f"measuring this device first takes about {least:.0f} to {most:.0f} s, longer if the machine is busy"
            ),
            **request.mode,
        )
    for note in notes:
        display.note(note)
    profile.bound(request.options["confidence"])  # raises if it cannot give that confidence
    return profile


def _budgets(request: _Request, profile: "LatencyProfile | None") -> "tuple[dict[Objective, float | None], list[str]]":
    """Return the budget of each cost in its unit, and a note on each that there is."""
    from senas.costs import resolve_bound

    confidence = request.options["confidence"]
    budgets: dict[Objective, float | None] = {}
    notes = []
    for objective, bound in request.bounds.items():
        budgets[objective] = resolve_bound(bound, objective, request.space, profile, confidence)
        if bound is not None:
            notes.append(_budget_note(objective, bound, budgets[objective] or 0.0, confidence))
    return budgets, notes


def _budget_note(objective: "Objective", bound: Bound, value: float, confidence: float) -> str:
    from senas.costs import show_cost

    share = f", {bound.value:.0%} of the largest in the space" if bound.relative else ""
    held = f", kept by the {100 * confidence:g} % bound of each prediction" if objective == "latency" else ""
    return f"{objective} budget {show_cost(value, objective)}{share}{held}"


def _new_folder(space: str) -> Path:
    """Make a new folder at once, so that a second search beside this one takes the next number."""
    for number in itertools.count(1):
        folder = Path("runs") / f"{Path(space).stem}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError("numbers never end")
