"""Code that a Ray worker runs: one trial, whose reports and outcome go to Ray Tune."""

import ctypes
from contextlib import suppress
from functools import lru_cache
from typing import Any

import ray
import torch
from ray import tune

from senas.execution.evaluation import evaluate_trial
from senas.training import Evaluate


def run_trial(config: dict[str, Any], evaluate: "ray.ObjectRef[Evaluate]") -> None:
    """Evaluate one architecture, as described at `evaluate_trial`, and report the outcome to Ray Tune.

    A failure is reported as data, not raised, so that the worker can be used again, unless the failure may have left
    the worker unusable.

    Args:
        config: Trial as the searcher describes it.
        evaluate: Reference to the function that `senas.search` was given.

    Raises:
        BaseException: The exception of a failure after which a new worker is needed, such as too little memory, or the
            one by which Ray ends the trial.
    """
    try:
        tune.report(evaluate_trial(config, lambda: _fetch(evaluate), tune.report))
    finally:
        release_memory()


def release_memory() -> None:
    """Return a trial's memory to the system; allocators would keep it per thread, and each trial has a new thread."""
    with suppress(RuntimeError):  # a broken GPU is reported by the trial that needs it
        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only glibc has it
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _fetch(evaluate: "ray.ObjectRef[Evaluate]") -> Evaluate:
    """Return the evaluate function, fetched once per worker process so that data it has loaded stays loaded."""
    return ray.get(evaluate)
