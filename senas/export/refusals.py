"""Errors of exporters and runtimes as one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from senas.errors import ExportFailedError


@contextmanager
def refused_as(what: str) -> Iterator[None]:
    """Turn whatever a library raises within into an `ExportFailedError` that begins with `what`.

    An `OSError`, as of a full disk, is left alone.
    """
    try:
        yield
    except (ExportFailedError, OSError):
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ExportFailedError(f"{what} ({reason}); the file was not written") from error
