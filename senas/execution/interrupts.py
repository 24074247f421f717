"""Interrupts of a search: Ctrl-C, SIGTERM, and a terminal that closes."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from senas.execution.ray_searcher import StrategySearcher

_INTERRUPT_GRACE_SECONDS = 5.0  # time after an interrupt in which further ones are ignored


@contextmanager
def interruptible(searcher: StrategySearcher) -> Iterator[None]:
    """End a search on Ctrl-C, SIGTERM, or the SIGHUP of a closed terminal, whatever Ray is doing.

    Ray would end the process at once on SIGTERM, and an exception raised inside one of its finalizers is lost.
    Therefore the interrupt is also stored in the searcher, which raises it again at its next call. A SIGHUP that the
    process ignores, as under `nohup`, stays ignored.
    """
    last: list[float] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        if last and time.monotonic() - last[0] < _INTERRUPT_GRACE_SECONDS:
            return  # the search is ending already, which must not be interrupted
        last[:] = [time.monotonic()]
        searcher.broken = KeyboardInterrupt()
        caller = before[number]
        if callable(caller):
            caller(number, frame)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
    numbers += [] if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN else [hangup]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def hangups_blocked() -> Iterator[None]:
    """Block SIGHUP in this thread, so that processes that are started here are not ended by it.

    A terminal that closes sends it to Ray's processes as well, and a search ends properly only while they live.
    """
    if not hasattr(signal, "SIGHUP"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
