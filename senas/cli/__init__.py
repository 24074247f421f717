"""Command line: one file a command, which reads arguments, calls one function, and prints the result."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer import Option

from senas.cli.complexity import complexity
from senas.cli.data import data
from senas.cli.export import export
from senas.cli.front import front
from senas.cli.plot import plot
from senas.cli.predict import predict
from senas.cli.profile import profile
from senas.cli.resume import resume
from senas.cli.retrain import retrain
from senas.cli.search import search
from senas.cli.spaces import spaces
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


@app.callback()
def options(
    version: Annotated[
        bool, Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hardware-aware neural architecture search with the Squeeze-and-Excitation block as a searchable primitive.

    The Python API is described in the documentation and by help(senas).
    """


for command in (spaces, data, search, resume, front, plot, retrain, predict, export, profile, complexity):
    app.command()(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; exit with 0 done, 1 failed, 2 wrong usage or input, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        status = app(given or ["--help"], standalone_mode=False)
    except SenasError as error:
        _fail(str(error), 2)
    except FailedError as error:
        _fail(str(error), 1)
    except typer.TyperException as error:  # wrong usage: a missing argument, an unknown option
        format_message = getattr(error, "format_message", None)
        _fail(format_message() if format_message else str(error), 2)
    except OSError as error:  # a path that cannot be used as it was asked to
        _fail(f"{error.filename or 'file system'}: {(error.strerror or str(error)).lower()}", 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    else:
        sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> None:
    """Print one line and exit."""
    typer.echo(f"senas: {' '.join(message.split())}", err=True)
    sys.exit(status)
