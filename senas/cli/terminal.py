"""A terminal that closes, and the signals that end a command as Ctrl-C does."""

import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on SIGTERM, and on the SIGHUP of a closed terminal unless `nohup` has it ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: object) -> None:
        release_closed_terminal()
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    replaced = [number for number in numbers if before[number] is not signal.SIG_IGN]
    for number in replaced:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in replaced:
            signal.signal(number, before[number])


class LastingStream:
    """Stream to a terminal that may be closed: what is written afterwards goes nowhere and raises no error."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text."""
        try:
            return self._stream.write(text)
        except OSError:
            if not release_closed_terminal():
                raise
            return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            self._stream.flush()
        except OSError:
            if not release_closed_terminal():
                raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def release_closed_terminal() -> bool:
    """Let standard output and error go nowhere if they are a terminal that has closed; return whether one was."""
    closed = [descriptor for descriptor in (1, 2) if _is_closed_terminal(descriptor)]
    for descriptor in closed:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
    return bool(closed)


def _is_closed_terminal(descriptor: int) -> bool:
    """Return whether a descriptor is a character device that is no terminal any more, or the null device."""
    with suppress(OSError):
        return stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor)
    return False
