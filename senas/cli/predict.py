"""`senas predict`: classes of images by a retrained network."""

import json
import warnings
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from senas.cli.networks import trained_folder
from senas.cli.options import JsonOption, PickOption
from senas.errors import OptionError
from senas.io import brief


def predict(
    source: Annotated[
        Path, Argument(metavar="FOLDER|RUN", help="Folder of a retrained network, or of a run with one in it.")
    ],
    images: Annotated[list[Path], Argument(metavar="IMAGE...", help="Image files.")],
    pick: PickOption = None,
    top: Annotated[int, Option(metavar="N", help="Number of classes to print for each image; --json prints all.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Print the most probable classes of images."""
    if top < 1:
        raise OptionError(f"--top: found {top}, allowed: at least 1")
    folder = trained_folder(source, pick)
    from senas.training import load_network

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a folder of an earlier version lacks is an error below
        network = load_network(folder)
    found = {str(path): network.predict(path) for path in images}
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for path, probabilities in found.items():
        chosen = list(probabilities.items())[:top]
        shown = ", ".join(f"{brief(name)} {probability:.1%}" for name, probability in chosen)
        typer.echo(f"{brief(path)}: {shown}")
