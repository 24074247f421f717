"""Command line: one file a command, which reads arguments, calls one function, and prints the result."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; exit with 0 done, 1 failed, 2 wrong usage or input, 130 interrupted."""
    try:
        from senas.cli.app import run  # here, so that Ctrl-C while it is imported is one line as well

        status = run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        print("senas: interrupted", file=sys.stderr)  # noqa: T201  # typer may not be imported yet
        status = 130
    sys.exit(status)
