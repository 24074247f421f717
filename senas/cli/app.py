"""Commands by name, and their exit codes."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer import Option
from typer.main import get_command

from senas.cli.complexity import complexity
from senas.cli.data import data
from senas.cli.export import export
from senas.cli.front import front
from senas.cli.help import HelpCommand, where_described
from senas.cli.plot import plot
from senas.cli.predict import predict
from senas.cli.profile import profile
from senas.cli.resume import resume
from senas.cli.retrain import retrain
from senas.cli.search import search
from senas.cli.spaces import spaces
from senas.cli.terminal import signals_interrupt
from senas.errors import FailedError, SenasError
from senas.version import __version__

app = typer.Typer(
    name="senas",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"senas {__version__}")
        raise typer.Exit


@app.callback(epilog=where_described())
def options(
    version: Annotated[
        bool, Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hardware-aware neural architecture search with the Squeeze-and-Excitation block as a searchable primitive."""


_COMMANDS = {  # each with what does the same in Python
    spaces: "senas.load_space",
    data: "senas.load_data",
    search: "senas.search",
    resume: "senas.resume",
    front: "senas.Run",
    plot: "senas.Run",
    retrain: "senas.retrain",
    predict: "senas.load_network",
    export: "senas.export_network",
    profile: "senas.profile_space",
    complexity: "senas.complexity",
}
for command, name in _COMMANDS.items():
    app.command(cls=HelpCommand, epilog=where_described(name))(command)


def run(arguments: Sequence[str]) -> int:
    """Run a command; return its exit code: 0 done, 1 failed, 2 wrong usage or input, 130 interrupted.

    Raises:
        KeyboardInterrupt: An interrupt that the command has said nothing about.
    """
    command = get_command(app)
    try:
        with signals_interrupt(), command.make_context("senas", list(arguments) or ["--help"]) as context:
            command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SenasError as error:
        return _fail(str(error), 2)
    except FailedError as error:
        return _fail(str(error), 1)
    except typer.TyperException as error:  # wrong usage: a missing argument, an unknown option
        format_message = getattr(error, "format_message", None)
        return _fail(format_message() if format_message else str(error), 2)
    except BrokenPipeError:  # whoever read the output has what it wanted, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered goes nowhere
        return 0
    except OSError as error:  # a path that cannot be used as it was asked to
        return _fail(f"{error.filename or 'file system'}: {(error.strerror or str(error)).lower()}", 2)
    return 0


def _fail(message: str, status: int) -> int:
    """Print one line; return the exit code."""
    typer.echo(f"senas: {' '.join(message.split())}", err=True)
    return status
