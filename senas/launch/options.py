"""Checks that several commands make of their options, and what they report progress to."""

from collections.abc import Collection
from typing import Protocol, cast, get_args

import torch

from senas.errors import OptionError, one_of
from senas.latency.identity import DeviceKind
from senas.searching.loop import SearchProgress
from senas.units import parse_duration


class ProgressDisplay(Protocol):
    """What is told how far the work is; `senas.report.display.Display` is one."""

    def note(self, line: str) -> None:
        """Something worth knowing, on a line of its own."""
        ...

    def profiling(self, share: float) -> None:
        """A share in [0, 1] of a latency profile is measured."""
        ...

    def searching(self, progress: SearchProgress) -> None:
        """A trial started or ended."""
        ...

    def training(self, epoch: int, epochs: int, loss: float) -> None:
        """An epoch of a retraining ended."""
        ...


def check_one_of(option: str, value: str, allowed: Collection[str]) -> str:
    """The value, or an `OptionError` that names the option and what is allowed."""
    if value not in allowed:
        raise OptionError(f"{option}: {one_of(value, allowed)}")
    return value


def parse_whole(option: str, text: str) -> int:
    """A whole number, or an `OptionError` that names the option."""
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"{option}: found '{text}', expected whole numbers such as 2,3,4") from None


def optional_duration(option: str, text: str | None) -> float | None:
    """Seconds from `90s`, `30m` or `2h`, `None` where nothing was said; an `OptionError` that names the option."""
    return None if text is None else parse_duration(text, option)


def check_device(device: str, *, here: bool = True) -> DeviceKind:
    """The device as a kind, or an `OptionError` for one that does not exist or, where it has to be, is not here."""
    check_one_of("--device", device, get_args(DeviceKind))
    if here and device == "cuda" and not torch.cuda.is_available():
        raise OptionError("--device: found cuda, but torch sees no CUDA device here, allowed: cpu")
    return cast(DeviceKind, device)
