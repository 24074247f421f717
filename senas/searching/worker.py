"""What runs in a Ray worker: one trial, every outcome reported as data."""

import math
import numbers
import traceback
from functools import lru_cache
from typing import Any

import ray
from ray import tune

from senas.architecture import Architecture
from senas.training.evaluator import Evaluate

MAX_EPOCH = 1_000_000


def run_trial(config: dict[str, Any], evaluate: "ray.ObjectRef[Evaluate]") -> None:
    """Evaluate one architecture.

    Reports `{"epoch", "accuracy"}` as the evaluation does, and at the end either `{"final"}` or `{"failure"}`. A
    failure is data, not an exception, so that the worker stays in use.

    Args:
        config: `architecture` (JSON), `seed`, and `purpose`, which is the scheduler's business.
        evaluate: where Ray keeps the function that `senas.search` was given.
    """

    def report(epoch: int, accuracy: float) -> None:
        if not 0 <= epoch <= MAX_EPOCH:
            raise ValueError(f"report: found epoch {epoch}, allowed: 0 to {MAX_EPOCH}")
        tune.report({"epoch": int(epoch), "accuracy": _checked(accuracy, f"report of epoch {epoch}")})

    try:
        function = _fetch(evaluate)  # first: its module may register the kinds of cells in the architecture
        arch = Architecture.from_json(config["architecture"])
        accuracy = _checked(function(arch, config["seed"], report), "evaluate")
    except Exception:  # whatever a user's evaluation raises is a failed trial, not a failed search
        tune.report({"failure": traceback.format_exc()})
    else:
        tune.report({"final": accuracy})


@lru_cache(maxsize=1)
def _fetch(evaluate: "ray.ObjectRef[Evaluate]") -> Evaluate:
    """Once per worker process, so that what an evaluate function loads stays loaded."""
    return ray.get(evaluate)


def _checked(accuracy: object, source: str) -> float:
    if isinstance(accuracy, numbers.Real) and not isinstance(accuracy, bool):
        value = float(accuracy)
        if math.isfinite(value) and 0 <= value <= 1:
            return value
    raise ValueError(f"{source}: found {accuracy!r}, expected a top-1 accuracy in [0, 1]")
