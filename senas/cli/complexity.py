"""`senas complexity`: FLOPs and parameters of one network, cell by cell."""

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer import Argument, Option

from senas.cli.options import JsonOption, check_one_of, parse_whole
from senas.cli.printing import console
from senas.errors import ArchitectureError, OptionError, one_of

if TYPE_CHECKING:
    from senas.architecture import Architecture, SEConfig


def complexity(
    source: Annotated[str, Argument(metavar="ARCH.json|REFERENCE", help="Architecture file or name of a reference.")],
    se: Annotated[
        str | None, Option(metavar="r=16", help="SE block for a reference: r=16,integration=standard.")
    ] = None,
    se_stages: Annotated[
        str | None, Option(metavar="2,3,4", help="Stages of a reference that get it: 2,3,4,5.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Count FLOPs and parameters, cell by cell."""
    arch = _architecture_from(source, se=se, se_stages=se_stages)
    if as_json:
        from senas.costs import complexity_breakdown

        typer.echo(json.dumps(complexity_breakdown(arch), indent=1))
    else:
        from senas.report import complexity_table

        console().print(complexity_table(arch))


def _architecture_from(source: str, *, se: str | None, se_stages: str | None) -> "Architecture":
    """Return the architecture of a JSON file, or a reference by name with an SE block such as `r=16,integration=pre`.

    Raises:
        SenasError: Neither of them, or SE arguments beside a file.
    """
    from senas.architecture import REFERENCES, Architecture, reference

    if source.endswith(".json"):
        if se is not None or se_stages is not None:
            raise OptionError(
                f"--se, --se-stages: found them beside {source}, which has its own SE, expected a reference name"
            )
        return Architecture.load(source)
    if source not in REFERENCES:
        raise ArchitectureError(f"architecture: {one_of(source, REFERENCES)}, or a path ending in .json")
    if se_stages is not None and se is None:
        raise OptionError("--se-stages: needs --se, such as --se r=16")
    stages = None if se_stages is None else [parse_whole("--se-stages", item) for item in se_stages.split(",")]
    return reference(source, se=None if se is None else _parse_se(se), se_stages=stages)


def _parse_se(text: str) -> "SEConfig":
    """Return the SE block of a text such as `r=16,squeeze=max,bias=false`."""
    from senas.architecture import SEConfig

    values: dict[str, str] = {}
    for item in text.split(","):
        key, equals, value = item.partition("=")
        name = {"r": "reduction"}.get(key.strip(), key.strip())
        known = [field.name for field in fields(SEConfig)]
        if name not in known or not equals:
            raise OptionError(f"--se: {one_of(item, [f'{key}=' for key in ('r', *known)])}")
        if name in values:
            raise OptionError(f"--se: found {name} twice in '{text}', allowed: once")
        values[name] = value.strip()
    if "reduction" not in values:
        raise OptionError(f"--se: found '{text}', expected at least r=, such as r=16")
    bias = check_one_of("--se bias", values.get("bias", "true"), ("true", "false")) == "true"
    return SEConfig(
        reduction=parse_whole("--se r", values["reduction"]),
        squeeze=cast(Any, values.get("squeeze", "avg")),
        excitation=cast(Any, values.get("excitation", "sigmoid")),
        integration=cast(Any, values.get("integration", "standard")),
        bias=bias,
        multiple=parse_whole("--se multiple", values.get("multiple", "1")),
    )
