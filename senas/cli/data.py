"""`senas data`: what a data set holds, before anything is trained on it."""

import json

import typer

from senas.cli.options import DataArgument, JsonOption
from senas.cli.printing import console
from senas.io import to_plain


def data(data: DataArgument, as_json: JsonOption = False) -> None:
    """Describe a data set: splits, classes, sizes, statistics, and what is odd."""
    from senas.training import describe_data

    found = describe_data(data)
    if as_json:
        typer.echo(json.dumps(to_plain(found), indent=1))
        return
    from senas.report import data_lines, data_table

    console().print(data_table(found))
    for line in data_lines(found):
        typer.echo(line)
