"""`senas front`: the Pareto front of a run, as a table or JSON."""

import json

import typer

from senas.cli.options import JsonOption, RunArgument
from senas.cli.printing import next_command, print_front


def front(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show the Pareto front of a run."""
    from senas.runs import Run, front_row, is_locked

    opened = Run(run)
    from senas.analysis import summarize_run  # after the check, since SciPy is slow to import

    trials = opened.front()
    if as_json:
        summary, rows = summarize_run(opened), []
        for trial in trials:
            estimate = summary.estimates[trial.digest] if summary else None
            added = {"expected_accuracy": estimate.accuracy, "on_front": estimate.on_front} if estimate else {}
            rows.append(front_row(trial, added))
        typer.echo(json.dumps(rows, indent=1))
    elif not trials:
        typer.echo(f"no trial of {run} has finished yet")
        if not is_locked(opened.folder):
            next_command("senas", "resume", str(run))
    else:
        print_front(opened, trials, summarize_run(opened))
        next_command("senas", *(["retrain"] if (run / "pareto.html").exists() else ["plot"]), str(run))
