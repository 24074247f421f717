"""`senas complexity`: FLOPs, parameters and latency of one network, cell by cell."""

import json
from typing import Annotated

import typer
from typer import Argument, Option

from senas.cli.networks import network_named, profile_at_hand
from senas.cli.options import JsonOption, PickOption, ProfileOption
from senas.cli.printing import console


def complexity(
    source: Annotated[
        str,
        Argument(
            metavar="FOLDER|ARCH.json|RUN|REFERENCE",
            help="Folder of a retrained network, architecture file, folder of a run, or name of a reference.",
        ),
    ],
    se: Annotated[
        str | None, Option(metavar="r=16", help="SE block for a reference: r=16,integration=standard.")
    ] = None,
    se_stages: Annotated[
        str | None, Option(metavar="2,3,4", help="Stages of a reference that get it: 2,3,4,5.")
    ] = None,
    pick: PickOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count FLOPs and parameters and, with a profile, predict the latency, cell by cell.

    What --json prints is an architecture file as well, which retrain takes.
    """
    arch, run = network_named(source, pick=pick, se=se, se_stages=se_stages)
    profiled, problem = profile_at_hand(arch, profile, run)
    if as_json:
        from senas.costs import complexity_breakdown

        typer.echo(json.dumps(complexity_breakdown(arch, profiled), indent=1))
        return
    from senas.latency import latency_breakdown
    from senas.report import complexity_table, latency_lines

    target, latency = console(), None if profiled is None else latency_breakdown(arch, profiled)
    target.print(complexity_table(arch, latency=latency, width=target.width))
    if profiled is not None and latency is not None:
        for line in latency_lines(latency, profiled):
            typer.echo(line)
    elif problem is not None:
        typer.echo(problem)
