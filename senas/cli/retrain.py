"""`senas retrain`: trains one architecture longer and tests it."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from senas.cli.data_loading import load_and_tell
from senas.cli.networks import profile_at_hand
from senas.cli.options import (
    DeviceOption,
    EpochsOption,
    PickOption,
    ProfileOption,
    SkipDamagedOption,
    StreamOption,
    check_device,
)
from senas.cli.printing import next_command, progress_console
from senas.errors import OptionError


def retrain(
    source: Annotated[
        Path,
        Argument(
            metavar="RUN|ARCH.json", help="Folder of a run, or an architecture file (complexity --json makes one)."
        ),
    ],
    pick: PickOption = None,
    epochs: EpochsOption = 60,
    data: Annotated[
        str | None,
        Option(
            metavar="DATA", help="Data set as for search; by default the run's, or digits for an architecture file."
        ),
    ] = None,
    stream: StreamOption = None,
    skip_damaged: SkipDamagedOption = 0,
    profile: ProfileOption = None,
    device: DeviceOption = "cpu",
    seed: Annotated[int, Option(metavar="N", help="Random seed for weights, order and augmentation.")] = 0,
    out: Annotated[
        Path | None, Option(metavar="DIR", help="Folder to write; by default RUN/retrain/DIGEST or retrain/DIGEST.")
    ] = None,
) -> None:
    """Train one architecture longer, on all training data, and test it once at the end.

    With a latency profile, its latency is predicted and measured as well.
    After an interrupt, repeat the command to continue.
    """
    from senas.architecture import Architecture
    from senas.runs import Run
    from senas.training import Recipe

    if source.suffix == ".json":
        if pick is not None:
            raise OptionError(f"--pick: found {pick} beside {source}, which is one architecture, expected a run")
        arch, name, home, recipe = Architecture.load(source), data or "digits", Path("retrain"), Recipe(epochs=epochs)
        run = before = None
    else:
        run = Run(source)
        trained = run.record.training
        if data is None and trained is None:
            raise OptionError(f"--data: {source} was searched with an evaluate function of its own, name a data set")
        arch, name, home = (
            run.pick(pick or "best").architecture,
            data or (trained.data if trained else ""),
            source / "retrain",
        )
        recipe = replace(trained.recipe, epochs=epochs) if trained else Recipe(epochs=epochs)
        before = trained.loading if trained and data is None else None
    folder = out or home / arch.digest
    profiled, problem = profile_at_hand(arch, profile, run)
    check_device(device)
    loaded, _ = load_and_tell(name, arch.input, stream=stream, skip_damaged=skip_damaged, before=before)
    from senas.latency import compare_latency
    from senas.report import Display, comparison_lines
    from senas.training import CHECKPOINT_FILE, load_network
    from senas.training import retrain as train_again  # after the checks, since torch is slow to import

    try:
        with Display(progress_console()) as display:
            result = train_again(
                arch,
                data=loaded,
                recipe=recipe,
                out=folder,
                seed=seed,
                device=device,
                on_epoch=lambda epoch, loss: display.trained(epoch, epochs, loss),
                on_step=lambda position, speed: display.training(position, epochs, speed),
            )
    except KeyboardInterrupt:
        kept = (folder / CHECKPOINT_FILE).exists()
        what = "continue after the last checkpoint" if kept else "start again, since nothing has been kept yet"
        progress_console().print(f"interrupted; repeat the command to {what}")
        raise typer.Exit(130) from None
    typer.echo(f"test accuracy {result.test_accuracy:.2%} after {epochs} epochs")
    if profiled is not None:
        for line in comparison_lines(compare_latency(load_network(folder), arch, profiled), profiled):
            typer.echo(line)
    elif problem is not None:
        typer.echo(problem)
    for file in ("architecture.json", "weights.safetensors", "network.json", "result.json"):
        typer.echo(str(folder / file))
    next_command("senas", "predict", str(folder), "IMAGE")
    next_command("senas", "export", str(folder))
