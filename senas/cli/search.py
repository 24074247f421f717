"""`senas search`: every argument is checked before anything slow; then profile, search, measure the front again."""

import itertools
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from senas.cli.options import (
    AddressOption,
    DataOption,
    DeviceOption,
    EpochsOption,
    ExecutionOption,
    SpaceArgument,
    check_device,
    check_one_of,
    parsed_options,
    with_options,
)
from senas.cli.printing import interrupted, progress_console, show_run
from senas.errors import OptionError
from senas.io import Bound, parse_count, parse_latency
from senas.runs import SearchOptions


@with_options(SearchOptions, chosen=lambda _name, _info: True)
def search(
    space: SpaceArgument,
    latency_budget: Annotated[
        str | None, Option(help="Latency budget: 5ms, 800us, or 70% of the space's largest latency.")
    ] = None,
    max_flops: Annotated[str | None, Option(help="Budget of FLOPs: 300M, or 70% of the space's largest count.")] = None,
    max_params: Annotated[
        str | None, Option(help="Budget of parameters: 5M, or 70% of the space's largest count.")
    ] = None,
    profile: Annotated[
        str | None,
        Option(help="Latency profile to use, or 'measure' to profile this device first, the default if it is needed."),
    ] = None,
    device: DeviceOption = "cpu",
    execution: ExecutionOption = None,
    dtype: Annotated[
        str | None, Option(help="Number format of the measured networks: fp32, bf16, on CUDA tf32, fp16.")
    ] = None,
    batch: Annotated[int | None, Option(help="Batch size of the measured networks.")] = None,
    data: DataOption = "digits",
    epochs: EpochsOption = 10,
    address: AddressOption = None,
    out: Annotated[Path | None, Option(help="Folder of the run; by default runs/SPACE-N.")] = None,
    **options: Any,
) -> None:
    """Find the Pareto front within hard budgets."""
    from senas.execution import check_address
    from senas.latency import DTYPES, make_mode
    from senas.runs import check_unused
    from senas.spaces import load_space
    from senas.strategies import STRATEGIES

    loaded = load_space(space)
    bounds = {
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
    make_mode(
        kind, loaded.input, execution=execution, dtype=dtype or DTYPES[kind][0], batch=1 if batch is None else batch
    )
    check_address(address)
    folder = out or _new_folder(space)
    try:
        check_unused(folder)
        run = _search(loaded, bounds, given, profile or "measure", timed, kind, asked, data, epochs, address, folder)
    except KeyboardInterrupt:
        interrupted(folder)
    else:
        show_run(run)
    finally:
        if out is None:
            with suppress(OSError):  # unless there is a run in it
                folder.rmdir()
                folder.parent.rmdir()


def _search(
    space: Any,
    bounds: dict[Any, Bound | None],
    options: dict[str, Any],
    profile_source: str,
    timed: bool,
    device: Any,
    mode: dict[str, Any],
    data: str,
    epochs: int,
    address: str | None,
    folder: Path,
) -> Any:
    """Profile this device if that is asked for, search, and measure the front again; return the run."""
    from senas.training import Recipe, load_data

    check_device(device, here=address is None)
    if device == "cuda" and options.get("gpus_per_trial") == 0:
        raise OptionError("--gpus-per-trial: found 0, allowed with --device cuda: more than 0")
    recipe = Recipe(epochs=epochs)
    load_data(data, space.input).require(space.costliest(lambda part: part.out_shape.channels))

    from senas.costs import resolve_bound
    from senas.execution import measure_front, profile_for_search
    from senas.execution import search as search_space
    from senas.report import Display
    from senas.training import TrainingEvaluator

    with Display(progress_console()) as display:
        profile = None
        if timed:
            profile, notes = profile_for_search(
                space,
                device,
                source=profile_source,
                seed=options["seed"],
                address=address,
                progress=display.profiling,
                **mode,
            )
            for note in notes:
                display.note(note)
            profile.bound(options["confidence"])  # raises if it cannot give that confidence
        confidence = options["confidence"]
        budgets = {cost: resolve_bound(bound, cost, space, profile, confidence) for cost, bound in bounds.items()}
        notes = [
            _budget_note(cost, bound, budgets[cost] or 0.0, confidence)
            for cost, bound in bounds.items()
            if bound is not None
        ]

        def report(progress: Any) -> None:
            while notes:  # once the search has checked its budget
                display.note(notes.pop(0))
            display.searching(progress)

        run = search_space(
            space,
            evaluate=TrainingEvaluator(data=data, recipe=recipe, device=device),
            out=folder,
            profile=profile,
            address=address,
            on_progress=report,
            latency_budget_ms=budgets["latency"],
            max_flops=budgets["flops"],
            max_params=budgets["params"],
            **options,
        )
        measure_front(run, address=address)
    return run


def _budget_note(objective: Any, bound: Bound, value: float, confidence: float) -> str:
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
