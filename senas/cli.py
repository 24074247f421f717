"""The command line: reads arguments, calls one function, prints what came of it and the next command."""

import itertools
import json
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from typer import Argument, Option

from senas.errors import FailedError, OptionError, SenasError
from senas.version import __version__

if TYPE_CHECKING:
    from senas.searching.findings import Findings
    from senas.searching.run import Run

app = typer.Typer(
    name="senas",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

SpaceArgument = Annotated[str, Argument(metavar="SPACE", help="A shipped space (see: senas spaces) or a TOML file.")]
RunArgument = Annotated[Path, Argument(metavar="RUN", help="The folder of a run.")]
EpochsOption = Annotated[int, Option(help="Passes over the training set.")]
DataOption = Annotated[str, Option(help="digits, cifar10, cifar100, npz:FILE or imagefolder:DIR.")]
DeviceOption = Annotated[str, Option(help="cpu or cuda.")]
ExecutionOption = Annotated[
    str | None, Option(help="How latency is measured: eager or compiled; on CUDA graph or eager.")
]
AddressOption = Annotated[str | None, Option(help="HOST:PORT of a running Ray cluster's head to join, or auto.")]
BaselineOption = Annotated[
    bool, Option("--baseline", help="Then train the plain and the all-SE template, and random search of the same size.")
]
TrialLimitOption = Annotated[str | None, Option(help="A trial that takes longer has failed: 90s, 30m, 2h.")]
JsonOption = Annotated[bool, Option("--json", help="Print JSON for machines.")]

_RETRIES_HELP = "More attempts at a trial that raised, ran out of memory or lost its worker."
_REPLICATE_HELP = "At last, more trainings where it is least certain what is on the front."


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"senas {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hardware-aware neural architecture search with the Squeeze-and-Excitation block as a searchable primitive."""


@app.command()
def spaces() -> None:
    """List the shipped search spaces."""
    from senas.report.tables import spaces_table
    from senas.spaces.file import load_space, shipped_spaces

    console().print(spaces_table([(name, load_space(name)) for name in shipped_spaces()]))
    next_command("senas", "search", "se-resnet-digits", "--latency-budget", "70%")


@app.command()
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
    time_budget: Annotated[str | None, Option(help="For all trials: 90s, 30m, 2h; what runs then is kept.")] = None,
    trial_limit: TrialLimitOption = None,
    retries: Annotated[int, Option(help=_RETRIES_HELP)] = 1,
    epochs: EpochsOption = 10,
    concurrency: Annotated[int | None, Option(help="Trials at a time; as many as fit by default.")] = None,
    cpus_per_trial: Annotated[float, Option(help="CPU cores, and threads, of a trial.")] = 1,
    gpus_per_trial: Annotated[float | None, Option(help="GPUs of a trial, a fraction shares one; 1 on CUDA.")] = None,
    early_stopping: Annotated[bool, Option("--early-stopping", help="Let ASHA stop the worse trials early.")] = False,
    baseline: BaselineOption = False,
    replicate: Annotated[int, Option(help=_REPLICATE_HELP)] = 0,
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
    _show_run(request.out)


@app.command()
def resume(
    run: RunArgument,
    trials: Annotated[int | None, Option(help="Architectures to train in all; as many as first asked for.")] = None,
    time_budget: Annotated[str | None, Option(help="For all trials, earlier ones too; as first asked for.")] = None,
    trial_limit: TrialLimitOption = None,
    retries: Annotated[int | None, Option(help=f"{_RETRIES_HELP} As first asked for.")] = None,
    baseline: BaselineOption = False,
    replicate: Annotated[int | None, Option(help=f"{_REPLICATE_HELP} In all; as many as first asked for.")] = None,
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
    _show_run(run)


@app.command()
def front(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show the Pareto front of a run."""
    from senas.searching.run import Run, front_row

    opened = Run(run)
    trials = opened.front()
    if as_json:
        findings = opened.findings()
        rows = [front_row(trial, findings.of[trial.digest] if findings else None) for trial in trials]
        typer.echo(json.dumps(rows, indent=1))
    elif not trials:
        typer.echo(f"no trial of {run} has finished yet")
        next_command("senas", "resume", str(run))
    else:
        _print_front(opened, opened.findings())
        next_command("senas", *(["retrain"] if (run / "pareto.html").exists() else ["plot"]), str(run))


@app.command()
def plot(
    run: Annotated[Path | None, Argument(metavar="[RUN]", help="The folder of a run.")] = None,
    profile: Annotated[list[str] | None, Option(help="Draw what SE costs instead; may be repeated.")] = None,
    space: Annotated[str | None, Option(help="Of the profile, where its name is not a shipped space's.")] = None,
    out: Annotated[Path | None, Option(help="Of a run: folder of the pictures; its own by default.")] = None,
) -> None:
    """Draw a run as PNG, SVG and an HTML page; or, of profiles of one space, what SE costs as PNG and SVG."""
    from senas.launch.profiling import draw_se
    from senas.report.figure import plot_run
    from senas.searching.run import Run

    if (run is None) == (not profile):
        raise OptionError("plot: found a run and --profile or neither, expected one of them")
    if run is None:
        for path in draw_se(profile or [], space):
            typer.echo(str(path))
    else:
        opened = Run(run)
        for path in plot_run(opened, opened.findings(), out):
            typer.echo(str(path))
        next_command("senas", "retrain", str(run))


@app.command()
def retrain(
    source: Annotated[Path, Argument(metavar="RUN|ARCH.json", help="The folder of a run, or an architecture.")],
    pick: Annotated[str, Option(help="Of a run: best, knee (where the front bends), or a digest.")] = "best",
    epochs: EpochsOption = 60,
    data: Annotated[str | None, Option(help="As for search; the run's own by default.")] = None,
    device: DeviceOption = "cpu",
    seed: Annotated[int, Option(help="Of weights, order and augmentation.")] = 0,
    out: Annotated[Path | None, Option(help="RUN/retrain/DIGEST or retrain/DIGEST by default.")] = None,
) -> None:
    """Train one architecture longer and test it.

    On all training data, judged on the test set at the end. Repeated after an interrupt, it goes on.
    """
    from senas.launch.retraining import launch_retrain
    from senas.report.display import Display

    try:
        with Display(progress_console()) as display:
            folder, result = launch_retrain(
                source, pick=pick, epochs=epochs, data=data, device=device, seed=seed, out=out, display=display
            )
    except KeyboardInterrupt:
        progress_console().print("interrupted; the same command goes on after the last finished epoch")
        raise typer.Exit(130) from None
    typer.echo(f"test accuracy {result.test_accuracy:.2%} after {epochs} epochs")
    for name in ("architecture.json", "weights.safetensors", "result.json"):
        typer.echo(str(folder / name))
    next_command("python", "-c", f'import senas; print(senas.load_network("{folder}"))')


@app.command()
def profile(
    space: SpaceArgument,
    device: DeviceOption = "cpu",
    execution: ExecutionOption = None,
    dtype: Annotated[str, Option(help="fp32 or bf16; on CUDA also tf32 and fp16.")] = "fp32",
    batch: Annotated[list[int] | None, Option(help="Images per forward pass; 1 by default, may be repeated.")] = None,
    memory_format: Annotated[str, Option(help="contiguous or channels_last.")] = "contiguous",
    seconds: Annotated[float, Option(help="Limit of the measuring, per batch size.")] = 120.0,
    share: Annotated[float, Option(help="Of the cells with SE to measure; the others are filled in.")] = 1.0,
    seed: Annotated[int, Option(help="Of images, networks and order.")] = 0,
    out: Annotated[Path | None, Option(help="profiles/SPACE-DEVICE-EXECUTION-DTYPE-bBATCH.json by default.")] = None,
) -> None:
    """Measure what a space costs on this device, and show what SE adds.

    Repeated after an interrupt, it goes on.
    """
    from senas.launch.profiling import ProfileRequest, explain_se, launch_profile
    from senas.report.display import Display
    from senas.report.tables import profile_lines, se_cost_table

    request = ProfileRequest(
        space=space,
        device=device,
        execution=execution,
        dtype=dtype,
        batches=tuple(batch or (1,)),
        memory_format=memory_format,
        seconds=seconds,
        share=share,
        seed=seed,
        out=out,
    )
    try:
        with Display(progress_console()) as display:
            measured = launch_profile(request, display=display)
    except KeyboardInterrupt:
        progress_console().print("interrupted; the same command goes on after the last sitting that was complete")
        raise typer.Exit(130) from None
    for _, found in measured:
        for line in profile_lines(found):
            typer.echo(line)
    costs, said = explain_se([found for _, found in measured], space)
    if costs:
        console().print(se_cost_table(costs))
        typer.echo(said)
    for path, _ in measured:
        typer.echo(str(path))
    next_command("senas", "search", space, "--profile", str(measured[0][0]), "--latency-budget", "70%")


@app.command()
def complexity(
    source: Annotated[str, Argument(metavar="ARCH.json|REFERENCE", help="An architecture file or a reference name.")],
    se: Annotated[str | None, Option(help="For a reference: r=16,integration=standard.")] = None,
    se_stages: Annotated[str | None, Option(help="For a reference: 2,3,4,5.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Count FLOPs and parameters, cell by cell."""
    from senas.launch.describing import architecture_from, complexity_json
    from senas.report.tables import complexity_table

    arch = architecture_from(source, se=se, se_stages=se_stages)
    if as_json:
        typer.echo(json.dumps(complexity_json(arch), indent=1))
    else:
        console().print(complexity_table(arch))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; exit with 0 done, 1 failed, 2 wrong usage or input, 130 interrupted."""
    try:
        status = app(arguments, standalone_mode=False)
    except SenasError as error:
        _fail(str(error), 2)
    except FailedError as error:
        _fail(str(error), 1)
    except typer.TyperException as error:  # wrong usage: a missing argument, an unknown option
        format_message = getattr(error, "format_message", None)
        _fail(format_message() if format_message else str(error), 2)
    except OSError as error:  # a path that cannot be used as it was asked to
        _fail(f"{error.filename or 'file system'}: {(error.strerror or str(error)).lower()}", 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    else:
        sys.exit(status if isinstance(status, int) else 0)


def console() -> Console:
    """For results: standard output, wide enough for a table where it is not a terminal."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=140)


def progress_console() -> Console:
    """For progress and notes: standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def next_command(*words: str) -> None:
    """Print the command that a user would run next."""
    typer.echo(f"next: {shlex.join(words)}")


def _show_run(folder: Path) -> None:
    from senas.report.figure import plot_run
    from senas.searching.run import Run

    run = Run(folder)
    findings = run.findings()
    _print_front(run, findings)
    for path in plot_run(run, findings):
        typer.echo(str(path))
    next_command("senas", "retrain", str(folder))


def _print_front(run: "Run", findings: "Findings | None") -> None:
    from senas.report.tables import findings_caption, front_caption, front_table

    target, budget, trials = console(), run.record.options.budget, run.front()
    wide = target.width >= 120
    target.print(front_table(trials, findings=findings, with_se=wide))
    if not wide:
        for trial in trials:
            typer.echo(f"trial {trial.number}: SE {trial.architecture.describe_se()}")
    for line in [*findings_caption(findings, run.objective), *front_caption(trials, budget)]:
        typer.echo(line)


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


def _fail(message: str, status: int) -> None:
    """Print one line and leave."""
    typer.echo(f"senas: {' '.join(message.split())}", err=True)
    sys.exit(status)
