"""Evaluation of one trial, whose outcome is always returned as data, for any executor."""

import math
import numbers
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from senas.architecture import Architecture
from senas.errors import TrainingDivergedError
from senas.runs import Reason, senas_source_digest
from senas.training import Evaluate
from senas.version import __version__

MAX_EPOCH = 1_000_000  # largest epoch that an evaluation may report

Outcome = dict[str, Any]


class InvalidResultError(ValueError):
    """A value that an evaluation returned or reported and that is not an accuracy or not an epoch."""


class TrialReport:
    """Function that a trial's evaluation calls to report its epochs.

    Args:
        folder: Folder of the trial.
        send: Function that is given `{"epoch", "accuracy"}`; it may end the trial by raising.

    Attributes:
        folder: The trial's own folder, which outlives the worker: a later attempt at the trial finds the files in
            it, on every machine that can access the folder of the run. `None` if this machine cannot.
        ended: Whether `send` has ended the trial, as early stopping does.
    """

    def __init__(self, folder: Path | None, send: Callable[[Outcome], object]):
        self.folder = folder
        self.ended = False
        self._send = send
        self._last_epoch = -1

    def __call__(self, epoch: int, accuracy: float) -> None:
        """Report a validation accuracy in [0, 1] after an epoch; each epoch must be larger than the one before."""
        if not isinstance(epoch, numbers.Integral) or not self._last_epoch < epoch <= MAX_EPOCH:
            allowed = f"allowed: whole numbers above {self._last_epoch}, up to {MAX_EPOCH}"
            raise InvalidResultError(f"report: found epoch {epoch!r}, {allowed}")
        report = {"epoch": int(epoch), "accuracy": checked_accuracy(accuracy, f"report of epoch {epoch}")}
        self._last_epoch = int(epoch)
        try:
            self._send(report)
        except BaseException:
            self.ended = True
            raise


def evaluate_trial(config: dict[str, Any], fetch: Callable[[], Evaluate], send: Callable[[Outcome], object]) -> Outcome:
    """Evaluate one architecture and return the outcome.

    Args:
        config: Trial as the searcher describes it: `architecture` (JSON), `seed`, `folder` for files of the trial, and
            `source` of the code that started the search.
        fetch: Function that returns the evaluate function. It is called first, since importing the function's module
            may register the kinds of cells in the architecture.
        send: Function that is given `{"epoch", "accuracy"}` after each reported epoch.

    Returns:
        `{"final": accuracy}`, `{"failure": text, "reason": reason}`, or `{"refused": text}` if this process has other
        code than the search.

    Raises:
        BaseException: The exception with which `send` ended the trial, or a failure that leaves the process unusable.
    """
    if config["source"] != senas_source_digest():
        found = f"found senas {__version__} of source {senas_source_digest()}, expected source {config['source']}"
        return {"refused": f"node {socket.gethostname()}: {found}, as where the search was started"}
    report = TrialReport(_make_folder(config["folder"]), send)
    try:
        function = fetch()
        arch = Architecture.from_json(config["architecture"])
        return {"final": checked_accuracy(function(arch, config["seed"], report), "evaluate")}
    except BaseException as error:  # any exception of an evaluation, `sys.exit` included, is a failure of the trial
        text, reason = traceback.format_exc(), failure_reason(error)
        traceback.clear_frames(error.__traceback__)  # its frames would keep the trial's objects alive
        if report.ended or reason == "memory" or "CUDA error" in _message(error):
            raise
        return {"failure": text, "reason": reason}


def failure_reason(error: BaseException) -> Reason:
    """Return the reason of a failure from the exception of an evaluation."""
    gpu_is_full = type(error).__name__ == "OutOfMemoryError"  # torch's exception for a GPU
    cpu_is_full = isinstance(error, MemoryError) or "can't allocate memory" in _message(error)  # torch's on the CPU
    if gpu_is_full or cpu_is_full:
        return "memory"
    if isinstance(error, TrainingDivergedError):
        return "diverged"
    return "invalid" if isinstance(error, InvalidResultError) else "exception"


def checked_accuracy(accuracy: object, source: str) -> float:
    """Return an accuracy as a float.

    Args:
        accuracy: Value that an evaluation gave.
        source: Origin of the value, for the message.

    Raises:
        InvalidResultError: A value that is not a number in [0, 1].
    """
    if isinstance(accuracy, numbers.Real) and not isinstance(accuracy, bool):
        value = float(accuracy)
        if math.isfinite(value) and 0 <= value <= 1:
            return value
    hint = ", a number: .item() makes one of a tensor" if hasattr(accuracy, "item") else ""
    raise InvalidResultError(f"{source}: found {accuracy!r}, expected a top-1 accuracy in [0, 1]{hint}")


def _message(error: BaseException) -> str:
    """Return the message of an error; empty if the error cannot be turned into text."""
    try:
        return str(error)
    except Exception:
        return ""


def _make_folder(folder: str | None) -> Path | None:
    """Make and return the folder of a trial; `None` if this machine cannot access the run's folder or write to it."""
    if folder is None or not Path(folder).parent.parent.is_dir():
        return None
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError:  # on a full disk or in a read-only run, an attempt keeps no files
        return None
    return Path(folder)
