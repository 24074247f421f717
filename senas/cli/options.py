"""Arguments and options that several commands have, and options made from the data class that declares them."""

import inspect
from collections.abc import Callable, Collection
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from typer import Argument, Option

from senas.errors import OptionError, one_of
from senas.io import OptionInfo, check_option, flag_of, options_of

Command = TypeVar("Command", bound=Callable[..., None])

SpaceArgument = Annotated[str, Argument(metavar="SPACE", help="Shipped space (see: senas spaces) or TOML file.")]
ClassesOption = Annotated[
    int | None, Option(metavar="N", help="Number of classes; by default that of the space's file.")
]
RunArgument = Annotated[Path, Argument(metavar="RUN", help="Folder of a run.")]
EpochsOption = Annotated[int, Option(metavar="N", help="Passes over the training set.")]
DATA_HELP = "Data set: digits, cifar10, cifar100, npz:FILE or imagefolder:DIR."
DataArgument = Annotated[str, Argument(metavar="DATA", help=DATA_HELP)]
DataOption = Annotated[str, Option(metavar="DATA", help=DATA_HELP)]
StreamOption = Annotated[
    bool | None,
    Option(
        "--stream/--no-stream",
        help="Read the images of a folder from their files while training, or decode all into memory first; by "
        "default, whichever the available memory allows.",
    ),
]
SkipDamagedOption = Annotated[int, Option(min=0, metavar="N", help="Damaged images of a folder to leave out and list.")]
DeviceOption = Annotated[str, Option(metavar="KIND", help="Device: cpu or cuda.")]
ExecutionOption = Annotated[
    str | None,
    Option(metavar="NAME", help="Execution of the measured networks: eager or compiled; on CUDA graph or eager."),
]
PickOption = Annotated[
    str | None,
    Option(
        metavar="TRIAL",
        help="Trial of a run: best (the default), knee (where the front bends), its number, or a digest.",
    ),
]
ProfileOption = Annotated[
    str | None,
    Option(metavar="FILE", help="Latency profile to predict the latency with; by default that of the run, if any."),
]
AddressOption = Annotated[
    str | None, Option(metavar="HOST:PORT", help="Head of a running Ray cluster to join, or auto.")
]
JsonOption = Annotated[bool, Option("--json", help="Print JSON.")]


def with_options(
    kind: Any, *, chosen: Callable[[str, OptionInfo], bool], optional: bool = False
) -> Callable[[Command], Command]:
    """Return a decorator that adds options of a data class to a command, which takes them as `**options`.

    Args:
        kind: Data class whose fields are declared with `senas.io.option`.
        chosen: Function of a field's name and its option that returns whether the command has it.
        optional: Whether every option is `None` unless it is given, as in a resumption.
    """
    names, hints = options_of(kind), get_type_hints(kind)
    defaults = {each.name: None if each.default is MISSING else each.default for each in fields(kind)}

    def parameter(name: str, info: OptionInfo) -> inspect.Parameter:
        types = [each for each in get_args(hints[name]) if each is not type(None)] or [hints[name]]
        plain = str if info.parse is not None or types[0] not in (int, float, bool) else types[0]
        default = None if optional and plain is not bool else defaults[name]
        annotation = plain if default is not None else plain | None
        return inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[annotation, Option(flag_of(name, info), metavar=info.metavar, help=info.help)],
        )

    added = [parameter(name, info) for name, info in names.items() if chosen(name, info)]

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own] + added
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # what Typer reads
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return decorate


def parsed_options(kind: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return the values of options that a command was given, without those that are `None`.

    Raises:
        SenasError: A text that is not a value of its option, or a value outside its limits; the message names the flag.
    """
    known, values = options_of(kind), {}
    for name, given in options.items():
        if given is not None:
            info = known[name]
            flag = flag_of(name, info)
            values[name] = given if info.parse is None else info.parse(given, flag)
            check_option(flag, values[name], info)
    return values


def check_one_of(option: str, value: str, allowed: Collection[str]) -> str:
    """Return a value that is one of `allowed`, or raise an `OptionError` that names the option."""
    if value not in allowed:
        raise OptionError(f"{option}: {one_of(value, allowed)}")
    return value


def parse_whole(option: str, text: str) -> int:
    """Return a whole number, or raise an `OptionError` that names the option."""
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"{option}: found '{text}', expected whole numbers such as 2,3,4") from None


def check_device(device: str, *, here: bool = True) -> Any:
    """Return a kind of device.

    Raises:
        OptionError: An unknown kind or, with `here`, one that this machine does not have.
    """
    from senas.latency import DeviceKind

    check_one_of("--device", device, get_args(DeviceKind))
    if here and device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise OptionError("--device: found cuda, but torch sees no CUDA device here, allowed: cpu")
    return device
