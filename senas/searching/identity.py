"""Which code a run is searched with."""

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib.metadata import version
from pathlib import Path

from senas.latency.identity import source_digest
from senas.searching.record import Code
from senas.training.evaluator import Evaluate, name_of
from senas.version import __version__

_ROOMS = ("cells", "costs", "latency", "layers", "nn", "spaces", "strategies", "training")
_SEARCHING = [
    "baseline",
    "course",
    "driver",
    "engine",
    "extras",
    "fidelity",
    "findings",
    "known",
    "rungs",
    "trial",
    "worker",
]
_ALONE = ["architecture", "arrays", "conversion", "demand", "parsing", "se"]


def this_code(evaluate: Evaluate) -> Code:
    """The code of this process, with the function that evaluates an architecture."""
    return Code(
        senas=__version__,
        source=source_of_this(),
        nni=version("nni"),
        torch=version("torch"),
        evaluate=name_of(evaluate),
    )


def differences(before: Code, now: Code) -> Iterator[str]:
    """What differs, such as `nni 3.0, found 3.1`."""
    for name in (field.name for field in fields(Code)):
        if getattr(before, name) != getattr(now, name):
            yield f"{name} {getattr(before, name)}, found {getattr(now, name)}"


@cache
def source_of_this() -> str:
    """A digest of what of this process's senas proposes and trains."""
    package = Path(__file__).parent.parent
    rooms = [path for room in _ROOMS for path in (package / room).glob("*.py")]
    searching = [package / "searching" / f"{name}.py" for name in _SEARCHING]
    return source_digest(*sorted([*rooms, *searching, *(package / f"{name}.py" for name in _ALONE)]))
