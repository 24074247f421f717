"""Identity of the code that a run is searched with."""

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from senas.io import name_of, source_digest
from senas.runs.config import SearchCode
from senas.version import __version__

T = TypeVar("T")

_NOT_DECISIVE = ("cli", "report")  # packages whose code has no influence on what is proposed and trained


def search_code(evaluate: object) -> SearchCode:
    """Return the code of this process, with the name of the function that evaluates an architecture."""
    return SearchCode(
        senas=__version__,
        source=senas_source_digest(),
        nni=version("nni"),
        torch=version("torch"),
        evaluate=name_of(evaluate),
    )


def differences(before: T, now: T) -> Iterator[str]:
    """Yield the differences between two data classes of one kind, such as `nni 3.0, found 3.1`."""
    for name in (field.name for field in fields(before)):  # type: ignore[arg-type]
        if getattr(before, name) != getattr(now, name):
            yield f"{name} {getattr(before, name)}, found {getattr(now, name)}"


@cache
def senas_source_digest() -> str:
    """Return the digest of this process's senas, without the packages that only read arguments and show results."""
    package = Path(__file__).parent.parent
    return source_digest(
        *sorted(path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in _NOT_DECISIVE)
    )
