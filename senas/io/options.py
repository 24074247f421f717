"""Options that are defined once: fields of a data class with their help, limits, and names on the command line."""

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from typing import Any

from senas.errors import OptionError, one_of


@dataclass(frozen=True, kw_only=True)
class OptionInfo:
    """Description of an option beside its name, type and default.

    Attributes:
        help: Noun phrase for the command line's help.
        least: Smallest allowed value, or `None` for no limit.
        most: Largest allowed value, or `None` for no limit.
        allowed: Allowed strings, or an empty tuple for any.
        metavar: Name of the value in the command line's help, such as `N`; a flag has none.
        flag: Name on the command line without the leading dashes; by default the field's name.
        parse: Function from the text on the command line and the option's name to the value; `None` if the command
            line has the same type.
        resumable: Whether the option may be changed when a run is resumed.
    """

    help: str
    least: float | None = None
    most: float | None = None
    allowed: tuple[str, ...] = ()
    metavar: str | None = None
    flag: str | None = None
    parse: Callable[[str, str], Any] | None = None
    resumable: bool = False


def option(default: Any = MISSING, **info: Any) -> Any:
    """Declare a field of a data class as an option; see `OptionInfo` for the keywords."""
    return field(default=default, metadata={"option": OptionInfo(**info)})


def options_of(kind: Any) -> dict[str, OptionInfo]:
    """Return the options of a data class by field name."""
    return {each.name: each.metadata["option"] for each in dataclasses.fields(kind) if "option" in each.metadata}


def flag_of(name: str, info: OptionInfo) -> str:
    """Return the name of an option on the command line, such as `--time-budget`."""
    return f"--{info.flag or name.replace('_', '-')}"


def check_option(label: str, value: Any, info: OptionInfo) -> None:
    """Raise `OptionError` if a value is outside the limits of an option; `None` is always allowed."""
    if value is None:
        return
    if info.allowed and value not in info.allowed:
        raise OptionError(f"{label}: {one_of(str(value), info.allowed)}")
    too_low = info.least is not None and not value >= info.least  # NaN fails every comparison
    too_high = info.most is not None and not value <= info.most
    if too_low or too_high:
        allowed = f"at least {info.least}" if info.most is None else f"{info.least} to {info.most}"
        found = f"{value:g}" if isinstance(value, float) else value
        raise OptionError(f"{label}: found {found}, allowed: {allowed}")
