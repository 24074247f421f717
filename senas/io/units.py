"""Parsers of amounts with units: `5ms`, `300M`, `2h`, `70%`."""

import math
import re
from dataclasses import dataclass

from senas.errors import BudgetError, OptionError, SenasError

_AMOUNT = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([a-zA-Zµ%]*)\s*", re.ASCII)
_MILLISECONDS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_COUNTS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9}
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """An upper bound, absolute or relative.

    Attributes:
        value: Bound in the unit of the cost, or as a share of the largest cost in the space.
        relative: Whether the value is such a share.
    """

    value: float
    relative: bool = False


def parse_latency(text: str, option: str) -> Bound:
    """Parse a latency such as `5ms`, `800us`, `0.1s`, or `70%` of the largest architecture's.

    Args:
        text: Amount to parse.
        option: Name of the option in error messages.

    Returns:
        The bound in milliseconds, or as a share.

    Raises:
        BudgetError: The text is not a positive latency.
    """
    return _bound(text, option, _MILLISECONDS, "a positive latency such as 5ms, 800us or 70%")


def parse_count(text: str, option: str) -> Bound:
    """Parse a count such as `300M`, `1.2G`, `50000`, or `70%` of the largest architecture's.

    Args:
        text: Amount to parse.
        option: Name of the option in error messages.

    Raises:
        BudgetError: The text is not a positive count.
    """
    return _bound(text, option, _COUNTS, "a positive count such as 300M, 50000 or 70%")


def parse_duration(text: str, option: str) -> float:
    """Parse a duration such as `90s`, `30m`, `2h` or `1d`.

    Args:
        text: Amount to parse.
        option: Name of the option in error messages.

    Returns:
        The duration in seconds.

    Raises:
        OptionError: The text is not a positive duration.
    """
    return _parse(text, option, _SECONDS, "a positive time such as 90s, 30m or 2h", OptionError)


def _bound(text: str, option: str, units: dict[str, float], expected: str) -> Bound:
    if text.strip().endswith("%"):
        share = _parse(text, option, {"%": 0.01}, expected, BudgetError)
        return Bound(value=share, relative=True)
    return Bound(value=_parse(text, option, units, expected, BudgetError))


def _parse(text: str, option: str, units: dict[str, float], expected: str, error: type[SenasError]) -> float:
    match = _AMOUNT.fullmatch(text)
    if match and match[2] in units:
        value = float(match[1]) * units[match[2]]
        if 0 < value < math.inf:
            return value
    raise error(f"{option}: found '{text}', expected {expected}")
