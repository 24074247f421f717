"""Which code a run is searched with."""

from collections.abc import Iterator
from dataclasses import fields
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

from senas.latency.identity import source_digest
from senas.searching.record import Code
from senas.training.evaluator import Evaluate
from senas.version import __version__

_ROOMS = ("cells", "costs", "layers", "nn", "searching", "spaces", "strategies", "training")  # propose and train


def this_code(evaluate: Evaluate) -> Code:
    """The code of this process, with the function that evaluates an architecture."""
    return Code(
        senas=__version__,
        source=source_of_this(),
        nni=version("nni"),
        torch=version("torch"),
        evaluate=_name_of(evaluate),
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
    return source_digest(*sorted(path for room in _ROOMS for path in (package / room).glob("*.py")))


def _name_of(evaluate: Evaluate) -> str:
    while isinstance(evaluate, partial):
        evaluate = evaluate.func
    named = evaluate if hasattr(evaluate, "__qualname__") else type(evaluate)
    return f"{named.__module__}.{named.__qualname__}"
