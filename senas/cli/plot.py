"""`senas plot`: a run, or what SE costs by latency profiles."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from senas.cli.printing import next_command
from senas.errors import OptionError, ProfileError


def plot(
    run: Annotated[Path | None, Argument(metavar="[RUN]", help="Folder of a run.")] = None,
    profile: Annotated[
        list[str] | None, Option(metavar="FILE", help="Profile to draw instead; may be repeated.")
    ] = None,
    space: Annotated[
        str | None, Option(metavar="SPACE", help="Space of the profile, if its name is not a shipped space's.")
    ] = None,
    out: Annotated[
        Path | None, Option(metavar="DIR", help="Folder for the pictures of a run; by default the run's.")
    ] = None,
) -> None:
    """Draw a run as PNG, SVG and an HTML page; or, of profiles of one space, what SE costs as PNG and SVG."""
    if (run is None) == (not profile):
        raise OptionError("plot: found a run and --profile or neither, expected one of them")
    if run is None and out is not None:
        raise OptionError(f"--out: found {out} with --profile, whose pictures are drawn beside the first profile")
    if run is not None and space is not None:
        raise OptionError(f"--space: found {space} with a run, which has its own space")
    if run is None:
        for path in _draw_se(profile or [], space):
            typer.echo(str(path))
        return
    from senas.analysis import summarize_run
    from senas.report import plot_run
    from senas.runs import Run

    opened = Run(run)
    for path in plot_run(opened, summarize_run(opened), out):
        typer.echo(str(path))
    if opened.front():
        next_command("senas", "retrain", str(run))


def _draw_se(profiles: Sequence[str], space: str | None) -> list[Path]:
    """Draw what SE adds, as PNG and SVG beside the first of some profiles; return the paths.

    Raises:
        SenasError: Profiles of different spaces, devices or modes other than the batch size, or of an unknown space.
    """
    from senas.costs import se_costs
    from senas.latency import LatencyProfile
    from senas.report import draw_se_costs
    from senas.spaces import load_space

    loaded = [LatencyProfile.load(name) for name in profiles]
    for name, other in zip(profiles[1:], loaded[1:], strict=True):
        if other.device != loaded[0].device or replace(other.mode, batch=0) != replace(loaded[0].mode, batch=0):
            raise ProfileError(f"{name}: device and mode: found others than in {profiles[0]}, expected the same")
    if len({other.mode.batch for other in loaded}) < len(loaded):
        raise ProfileError("mode.batch: found the same in two profiles, expected each batch size once")
    searched = load_space(space or loaded[0].space.name)
    costs = [cost for each in loaded for cost in se_costs(searched, each)]
    if not costs:
        raise ProfileError(
            f"{profiles[0]}: space {loaded[0].space.name} has no cell with SE, so there is nothing to draw"
        )
    first, mode = Path(profiles[0]), loaded[0].mode
    paths = [first.with_name(f"{first.stem}-se{ending}") for ending in (".png", ".svg")]
    draw_se_costs(costs, f"{loaded[0].space.name} on {loaded[0].device.name}, {mode.execution}, {mode.dtype}", paths)
    return paths
