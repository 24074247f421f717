"""What commands print: results, progress and notes, the next command."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from senas.errors import RunError

if TYPE_CHECKING:
    from senas.searching.findings import Findings
    from senas.searching.run import Run


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


def show_run(folder: Path) -> None:
    """The front of a run as a table, its pictures drawn, and what to do next."""
    from senas.report.figure import plot_run
    from senas.searching.run import Run

    run = Run(folder)
    findings = run.findings()
    print_front(run, findings)
    try:
        paths = plot_run(run, findings)
    except RunError as error:  # a full disk: the search is done all the same
        progress_console().print(f"no pictures: {error}", markup=False)
        next_command("senas", "plot", str(folder), "--out", "DIR")
        return
    for path in paths:
        typer.echo(str(path))
    next_command("senas", "retrain", str(folder))


def print_front(run: "Run", findings: "Findings | None") -> None:
    """The front as a table, with what is to be believed of it."""
    from senas.report.tables import findings_caption, front_caption, front_table

    target, budget, trials = console(), run.record.options.budget, run.front()
    wide = target.width >= 120
    target.print(front_table(trials, findings=findings, with_se=wide))
    if not wide:
        for trial in trials:
            typer.echo(f"trial {trial.number}: SE {trial.architecture.describe_se()}")
    for line in [*findings_caption(findings, run.objective), *front_caption(trials, budget)]:
        typer.echo(line)
