"""`senas export`: a retrained network as a file that a runtime reads, checked before it is kept."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from senas.cli.networks import trained_folder
from senas.cli.options import DATA_HELP, PickOption, SkipDamagedOption

_ROUNDING = 1e-3  # difference of accuracies that the number format of the training explains


def export(
    source: Annotated[
        Path, Argument(metavar="FOLDER|RUN", help="Folder of a retrained network, or of a run with one in it.")
    ],
    pick: PickOption = None,
    format_name: Annotated[str, Option("--format", metavar="NAME", help="Format: onnx or torch.")] = "onnx",
    data: Annotated[
        str | None,
        Option(
            metavar="DATA", help=f"{DATA_HELP} Its test images check the file; by default those of the training's data."
        ),
    ] = None,
    skip_damaged: SkipDamagedOption = 0,
    out: Annotated[Path | None, Option(metavar="DIR", help="Folder to write; by default that of the network.")] = None,
) -> None:
    """Write a network to a file, run it in its runtime, and compare it with PyTorch."""
    from senas.export import require_format
    from senas.training import export_network

    require_format(format_name)
    folder = trained_folder(source, pick)

    report = export_network(folder, format=format_name, out=out, data=data, skip_damaged=skip_damaged)
    found = report.agreement
    taken = f"{found.images:,}" if found.images == report.test_images else f"{found.images:,} of {report.test_images:,}"
    typer.echo(f"checked in {report.runtime} on {taken} test images of {report.data}")
    typer.echo(f"largest relative difference of logits {found.largest_relative_difference:.1e}")
    typer.echo(f"equal predictions {found.equal_predictions:.2%}")
    typer.echo(f"accuracy {found.accuracy_pytorch:.2%} in PyTorch, {found.accuracy_file:.2%} in the file")
    told = report.accuracy_told
    if told is not None and abs(told - found.accuracy_pytorch) > _ROUNDING:
        typer.echo(f"warning: network.json says {told:.2%}; the data or that file has changed since")
    typer.echo(str(report.path))
    typer.echo("to run it on an image file, without senas:")
    for line in report.usage:
        typer.echo(line)
