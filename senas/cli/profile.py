"""`senas profile`: measures a latency profile of a space on this device."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from senas.cli.options import ClassesOption, DeviceOption, ExecutionOption, SpaceArgument, check_device
from senas.cli.printing import console, next_command, progress_console
from senas.errors import OptionError


def profile(
    space: SpaceArgument,
    device: DeviceOption = "cpu",
    execution: ExecutionOption = None,
    dtype: Annotated[
        str, Option(metavar="NAME", help="Number format: fp32 or bf16; on CUDA also tf32 and fp16.")
    ] = "fp32",
    batch: Annotated[
        list[int] | None, Option(metavar="N", help="Images per forward pass; 1 by default, may be repeated.")
    ] = None,
    memory_format: Annotated[
        str, Option(metavar="NAME", help="Memory format: contiguous or channels_last.")
    ] = "contiguous",
    seconds: Annotated[float, Option(metavar="SECONDS", help="Time limit of the measurement, per batch size.")] = 120.0,
    share: Annotated[
        float, Option(metavar="SHARE", help="Share of the cells with SE to measure; the others are imputed.")
    ] = 1.0,
    seed: Annotated[int, Option(metavar="N", help="Random seed for images, networks and order.")] = 0,
    classes: ClassesOption = None,
    out: Annotated[
        Path | None,
        Option(metavar="FILE", help="File to write; by default profiles/SPACE-DEVICE-EXECUTION-DTYPE-bBATCH.json."),
    ] = None,
) -> None:
    """Measure what a space costs on this device, and show what SE adds.

    After an interrupt, repeat the command to continue.
    """
    from senas.latency import make_mode
    from senas.spaces import load_space
    from senas.training import DIGITS

    loaded, batches = load_space(space, classes=classes), tuple(batch or (1,))
    if out is not None and len(batches) > 1:
        raise OptionError(f"--out: found one file for {len(batches)} batch sizes, allowed: none or one --batch")
    if len(set(batches)) < len(batches):
        raise OptionError(f"--batch: found {', '.join(map(str, batches))}, allowed: each size once")
    kind = check_device(device)
    modes = [
        make_mode(kind, loaded.input, execution=execution, dtype=dtype, batch=size, memory_format=memory_format)
        for size in batches
    ]
    if not 0 < share <= 1 or not 0 < seconds < float("inf"):
        raise OptionError(f"--share, --seconds: found {share:g} and {seconds:g}, allowed: 0 < share <= 1, 0 < seconds")
    from senas.costs import se_costs, summarize_se_costs
    from senas.latency import profile_name, write_profile
    from senas.report import Display, profile_lines, se_cost_table

    measured = []
    try:
        with Display(progress_console()) as display:
            for mode in modes:
                path = out or Path("profiles") / f"{profile_name(loaded.name, kind, mode)}.json"

                def announce(least: float, most: float, name: str = path.name) -> None:
                    display.note(
                        f"{name}: measuring takes about {least:.0f} to {most:.0f} s, longer if the machine is busy; "
                        f"its rounds are limited to {seconds:g} s, preparing them takes the rest"
                    )

                found = write_profile(
                    path,
                    loaded,
                    kind,
                    mode,
                    seconds=seconds,
                    share=share,
                    seed=seed,
                    progress=display.profiling,
                    on_estimate=announce,
                )
                measured.append((path, found))
    except KeyboardInterrupt:
        progress_console().print("interrupted; repeat the command to continue after the last complete session")
        raise typer.Exit(130) from None
    for _, found in measured:
        for line in profile_lines(found):
            typer.echo(line)
    costs = [cost for _, found in measured for cost in se_costs(loaded, found)]
    if costs:
        target = console()
        target.print(se_cost_table(costs, width=target.width))
        typer.echo(summarize_se_costs(costs))
    for path, _ in measured:
        typer.echo(str(path))
    data = [] if loaded.input == DIGITS else ["--data", "DATA"]
    head = [] if classes is None else ["--classes", str(classes)]
    next_command("senas", "search", space, *head, *data, "--profile", str(measured[0][0]), "--latency-budget", "70%")
