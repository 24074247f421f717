"""`senas front`, `senas plot` and `senas retrain`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from senas.cli.options import DeviceOption, EpochsOption, JsonOption, RunArgument
from senas.cli.printing import next_command, print_front, progress_console
from senas.errors import OptionError


def front(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show the Pareto front of a run."""
    from senas.searching.claim import is_claimed
    from senas.searching.run import Run, front_row

    opened = Run(run)
    trials = opened.front()
    if as_json:
        findings = opened.findings()
        rows = [front_row(trial, findings.of[trial.digest] if findings else None) for trial in trials]
        typer.echo(json.dumps(rows, indent=1))
    elif not trials:
        typer.echo(f"no trial of {run} has finished yet")
        if not is_claimed(opened.folder):
            next_command("senas", "resume", str(run))
    else:
        print_front(opened, opened.findings())
        next_command("senas", *(["retrain"] if (run / "pareto.html").exists() else ["plot"]), str(run))


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
        if opened.front():
            next_command("senas", "retrain", str(run))


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
