"""`senas search` and `senas resume`."""

import itertools
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from senas.cli.options import (
    REPLICATE_HELP,
    RETRIES_HELP,
    AddressOption,
    BaselineOption,
    DataOption,
    DeviceOption,
    EpochsOption,
    ExecutionOption,
    RunArgument,
    SpaceArgument,
    TrialLimitOption,
)
from senas.cli.printing import next_command, progress_console, show_run


def search(
    space: SpaceArgument,
    latency_budget: Annotated[str | None, Option(help="5ms, 800us, or 70% of the space's largest latency.")] = None,
    confidence: Annotated[float, Option(help="Share of networks that keep their upper bound of the latency.")] = 0.95,
    max_flops: Annotated[str | None, Option(help="300M, or 70% of the space's largest count.")] = None,
    max_params: Annotated[str | None, Option(help="5M, or 70% of the space's largest count.")] = None,
    objective: Annotated[str, Option(help="The cost of the front: latency, flops or params.")] = "latency",
    profile: Annotated[str, Option(help="A latency profile, or measure: this device, first.")] = "measure",
    device: DeviceOption = "cpu",
    execution: ExecutionOption = None,
    dtype: Annotated[str | None, Option(help="Of the latency: fp32, bf16, on CUDA also tf32, fp16.")] = None,
    batch: Annotated[int | None, Option(help="Of the latency: images per forward pass.")] = None,
    data: DataOption = "digits",
    strategy: Annotated[
        str, Option(help="ehvi, pareto-evolution, regularized-evolution, tpe, random or grid.")
    ] = "ehvi",
    trials: Annotated[int, Option(help="Architectures to train.")] = 24,
    time_budget: Annotated[str | None, Option(help="For all trials: 90s, 30m, 2h; then resume goes on.")] = None,
    trial_limit: TrialLimitOption = None,
    retries: Annotated[int, Option(help=RETRIES_HELP)] = 1,
    epochs: EpochsOption = 10,
    concurrency: Annotated[int | None, Option(help="Trials at a time; as many as fit by default.")] = None,
    cpus_per_trial: Annotated[float, Option(help="CPU cores, and threads, of a trial.")] = 1,
    gpus_per_trial: Annotated[float | None, Option(help="GPUs of a trial, a fraction shares one; 1 on CUDA.")] = None,
    early_stopping: Annotated[bool, Option("--early-stopping", help="Let ASHA stop the worse trials early.")] = False,
    baseline: BaselineOption = False,
    replicate: Annotated[int, Option(help=REPLICATE_HELP)] = 0,
    seed: Annotated[int, Option(help="Of everything random; repeats a search exactly with --concurrency 1.")] = 0,
    address: AddressOption = None,
    out: Annotated[Path | None, Option(help="Folder of the run; runs/SPACE-N by default.")] = None,
) -> None:
    """Find the Pareto front within hard budgets."""
    from senas.launch.searching import SearchRequest, launch_search
    from senas.report.display import Display

    request = SearchRequest(
        space=space,
        latency_budget=latency_budget,
        confidence=confidence,
        max_flops=max_flops,
        max_params=max_params,
        objective=objective,
        profile=profile,
        execution=execution,
        dtype=dtype,
        batch=batch,
        device=device,
        data=data,
        strategy=strategy,
        trials=trials,
        time_budget=time_budget,
        trial_limit=trial_limit,
        retries=retries,
        epochs=epochs,
        concurrency=concurrency,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        early_stopping=early_stopping,
        baseline=baseline,
        replicates=replicate,
        seed=seed,
        address=address,
        out=out or _new_folder(space),
    )
    try:
        with Display(progress_console()) as display:
            launch_search(request, display=display)
    except KeyboardInterrupt:
        _interrupted(request.out)
    finally:
        if out is None:
            with suppress(OSError):  # unless there is a run in it
                request.out.rmdir()
                request.out.parent.rmdir()
    show_run(request.out)


def resume(
    run: RunArgument,
    trials: Annotated[int | None, Option(help="Architectures to train in all; as many as first asked for.")] = None,
    time_budget: Annotated[str | None, Option(help="For all trials, earlier ones too; as first asked for.")] = None,
    trial_limit: TrialLimitOption = None,
    retries: Annotated[int | None, Option(help=f"{RETRIES_HELP} As first asked for.")] = None,
    baseline: BaselineOption = False,
    replicate: Annotated[int | None, Option(help=f"{REPLICATE_HELP} In all; as many as first asked for.")] = None,
    force: Annotated[bool, Option("--force", help="Go on with other code than the run was searched with.")] = False,
    address: AddressOption = None,
) -> None:
    """Go on where a run stopped, whatever stopped it; or, with options, train more."""
    from senas.launch.options import optional_duration
    from senas.report.display import Display
    from senas.searching.search import measure_front
    from senas.searching.search import resume as resume_search

    try:
        with Display(progress_console()) as display:
            resumed = resume_search(
                run,
                trials=trials,
                time_budget_seconds=optional_duration("--time-budget", time_budget),
                trial_seconds=optional_duration("--trial-limit", trial_limit),
                retries=retries,
                baseline=baseline or None,
                replicates=replicate,
                force=force,
                address=address,
                on_progress=display.searching,
            )
            measure_front(resumed, address=address)
    except KeyboardInterrupt:
        _interrupted(run)
    show_run(run)


def _interrupted(folder: Path) -> None:
    """Say what an interrupted search has kept, and leave."""
    from senas.searching.run import JOURNAL_FILE, Run

    if (folder / JOURNAL_FILE).exists():
        run = Run(folder)
        ended = Counter(trial.purpose for trial in run.trials() if trial.status != "running")
        counts = [f"{ended['search']} of {run.record.trials} trials"]
        counts += [f"{ended['baseline']} of the baseline"] if ended["baseline"] else []
        counts += [f"{ended['replicate']} replicates"] if ended["replicate"] else []
        counted = ", ".join(counts)
        said = f"interrupted; {counted} have ended and are kept"
        progress_console().print(said)
        next_command("senas", "resume", str(folder))
    else:
        progress_console().print("interrupted before the first trial; there is nothing to keep")
    raise typer.Exit(130)


def _new_folder(space: str) -> Path:
    """A folder that was not there, made at once: a second search beside this one takes the next."""
    for number in itertools.count(1):
        folder = Path("runs") / f"{Path(space).stem}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError("numbers never end")
