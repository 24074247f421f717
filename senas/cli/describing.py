"""`senas spaces`, `senas complexity` and `senas profile`: what there is, and what it costs."""

import json
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from senas.cli.options import DeviceOption, ExecutionOption, JsonOption, SpaceArgument
from senas.cli.printing import console, next_command, progress_console


def spaces() -> None:
    """List the shipped search spaces."""
    from senas.report.tables import spaces_table
    from senas.spaces.file import load_space, shipped_spaces

    console().print(spaces_table([(name, load_space(name)) for name in shipped_spaces()]))
    next_command("senas", "search", "se-resnet-digits", "--latency-budget", "70%")


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
