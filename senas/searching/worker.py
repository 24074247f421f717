"""What runs in a Ray worker: one trial, every outcome reported as data."""

import ctypes
import math
import numbers
import socket
import traceback
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from senas.architecture import Architecture
from senas.errors import TrainingDivergedError
from senas.searching.identity import source_of_this
from senas.searching.trial import Reason
from senas.training.evaluator import Evaluate
from senas.version import __version__

MAX_EPOCH = 1_000_000


class InvalidResultError(ValueError):
    """An evaluation gave something that is no accuracy."""


class TrialReport:
    """What a trial's evaluation reports to.

    Attributes:
        folder: of the trial's own, which outlives this worker: what is kept there is there again when the trial has to
            be run again, wherever the folder of the run can be seen. `None` where it cannot.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self.ended = False  # by Ray, as early stopping does
        self._latest = -1

    def __call__(self, epoch: int, accuracy: float) -> None:
        """Report a validation accuracy in [0, 1] after an epoch, each later than the one before."""
        if not isinstance(epoch, numbers.Integral) or not self._latest < epoch <= MAX_EPOCH:
            allowed = f"allowed: whole numbers above {self._latest}, up to {MAX_EPOCH}"
            raise InvalidResultError(f"report: found epoch {epoch!r}, {allowed}")
        told = {"epoch": int(epoch), "accuracy": _checked(accuracy, f"report of epoch {epoch}")}
        self._latest = int(epoch)
        try:
            tune.report(told)
        except BaseException:
            self.ended = True
            raise


def run_trial(config: dict[str, Any], evaluate: "ray.ObjectRef[Evaluate]") -> None:
    """Evaluate one architecture.

    Reports `{"epoch", "accuracy"}` as the evaluation does, and at the end `{"final"}` or `{"failure", "reason"}`. A
    failure is data, not an exception, so that the worker stays in use; unless it may have left the worker unusable.
    Where this node has other code than the search, `{"refused"}` is all it reports.

    Args:
        config: `architecture` (JSON), `seed`, `folder` to keep things in, `source` of the code that asks for it;
            `number` and `purpose` are the scheduler's business.
        evaluate: where Ray keeps the function that `senas.search` was given.

    Raises:
        MemoryError: or another failure after which a new worker is needed.
    """
    if config["source"] != source_of_this():
        found = f"found senas {__version__} of source {source_of_this()}, expected source {config['source']}"
        tune.report({"refused": f"node {socket.gethostname()}: {found}, as where the search was started"})
        return
    report = TrialReport(_usable(config["folder"]))
    try:
        function = _fetch(evaluate)  # first: its module may register the kinds of cells in the architecture
        arch = Architecture.from_json(config["architecture"])
        accuracy = _checked(function(arch, config["seed"], report), "evaluate")
    except BaseException as error:  # whatever an evaluation raises, `sys.exit` included, is a failure of the trial
        text, reason = traceback.format_exc(), _reason(error)
        traceback.clear_frames(error.__traceback__)  # they would keep what the trial needed
        if report.ended or reason == "memory" or "CUDA error" in _said(error):
            raise
        tune.report({"failure": text, "reason": reason})
    else:
        tune.report({"final": accuracy})
    finally:
        _give_memory_back()


def _give_memory_back() -> None:
    """Return what a trial needed. Allocators keep it, in every thread anew, and each trial of Ray Tune has its own."""
    with suppress(RuntimeError):  # a broken GPU says so to the trial that needs it
        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def _said(error: BaseException) -> str:
    """The message of an error, which may be unable to tell it."""
    try:
        return str(error)
    except Exception:
        return ""


def _reason(error: BaseException) -> Reason:
    torch_is_out = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in _said(error)  # GPU's, CPU's
    if isinstance(error, MemoryError) or torch_is_out:
        return "memory"
    if isinstance(error, TrainingDivergedError):
        return "diverged"
    return "invalid" if isinstance(error, InvalidResultError) else "exception"


def _usable(folder: str | None) -> Path | None:
    """The folder of a trial, made where the folder of the run is there: on another machine it may not be."""
    if folder is None or not Path(folder).parent.parent.is_dir():
        return None
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError:  # on a full disk, or where the run may only be read, an attempt has nowhere to keep anything
        return None
    return Path(folder)


@lru_cache(maxsize=1)
def _fetch(evaluate: "ray.ObjectRef[Evaluate]") -> Evaluate:
    """Once per worker process, so that what an evaluate function loads stays loaded."""
    return ray.get(evaluate)


def _checked(accuracy: object, source: str) -> float:
    if isinstance(accuracy, numbers.Real) and not isinstance(accuracy, bool):
        value = float(accuracy)
        if math.isfinite(value) and 0 <= value <= 1:
            return value
    hint = ", a number: .item() makes one of a tensor" if hasattr(accuracy, "item") else ""
    raise InvalidResultError(f"{source}: found {accuracy!r}, expected a top-1 accuracy in [0, 1]{hint}")
