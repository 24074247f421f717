"""Output of the commands: results, progress and notes, the next command."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import typer

from senas.cli.terminal import LastingStream
from senas.errors import RunError

if TYPE_CHECKING:  # rich is imported when something is printed with it, which a refusal need not wait for
    from rich.console import Console

    from senas.analysis import RunSummary
    from senas.runs import Run, Trial


def console() -> "Console":
    """Return the console for results: standard output, wide enough for a table if it is not a terminal."""
    from rich.console import Console

    plain = Console()
    return plain if plain.is_terminal else Console(width=140)


def progress_console() -> "Console":
    """Return the console for progress and notes: standard error."""
    from rich.console import Console

    return Console(file=cast(TextIO, LastingStream(sys.stderr)), highlight=False, soft_wrap=True)


def next_command(*words: str) -> None:
    """Print the command that a user would run next."""
    typer.echo(f"next: {shlex.join(words)}")


def show_run(run: "Run") -> None:
    """Print the front of a run, draw its pictures, and print the next command."""
    from senas.analysis import summarize_run
    from senas.report import plot_run

    front, summary = run.front(), summarize_run(run)
    print_front(run, front, summary)
    try:
        paths = plot_run(run, summary)
    except RunError as error:  # on a full disk: the search is complete without the pictures
        progress_console().print(f"no pictures: {error}", markup=False)
        next_command("senas", "plot", str(run.folder), "--out", "DIR")
        return
    for path in paths:
        typer.echo(str(path))
    next_command("senas", "retrain", str(run.folder))


def print_front(run: "Run", trials: "list[Trial]", summary: "RunSummary | None") -> None:
    """Print the front of a run as a table, with lines on its estimates and its latest measurements.

    Args:
        run: Run that the front is of.
        trials: Front, read before the summary: another process may add trials meanwhile, and each needs its estimate.
        summary: Summary of the run, if there is one.
    """
    from senas.report import SE_COLUMN, front_caption, front_table, latency_unit, no_summary_reason, summary_caption

    target, budget = console(), run.record.options.budget
    table = front_table(trials, summary=summary, width=target.width)
    target.print(table)
    if SE_COLUMN not in {str(column.header).replace("\n", " ") for column in table.columns}:
        for trial in trials:
            typer.echo(f"trial {trial.number}: SE {trial.architecture.describe_se()}")
    if run.profile is not None:
        typer.echo(f"ms: {latency_unit(run.profile)}")
    if summary is None:
        typer.echo(no_summary_reason(run.trials()))
    for line in [*summary_caption(summary, run.objective), *front_caption(trials, budget)]:
        typer.echo(line)


def interrupted(folder: Path) -> None:
    """Print what an interrupted search has kept, and exit."""
    from collections import Counter

    from senas.runs import JOURNAL_FILE, Run

    if (folder / JOURNAL_FILE).exists():
        run = Run(folder)
        ended = Counter(trial.purpose for trial in run.trials() if trial.status != "running")
        counts = [f"{ended['search']} of {run.record.trials} trials"]
        counts += [f"{ended['baseline']} of the baseline"] if ended["baseline"] else []
        counts += [f"{ended['replicate']} replicates"] if ended["replicate"] else []
        progress_console().print(f"interrupted; {', '.join(counts)} have ended and are kept")
        next_command("senas", "resume", str(folder))
    else:
        progress_console().print("interrupted before the first trial; there is nothing to keep")
    raise typer.Exit(130)
