"""What runs in a Ray worker: one trial, every outcome reported as data."""

import math
import numbers
import traceback
from typing import Any

from ray import tune

from senas.architecture import Architecture
from senas.training.evaluator import Evaluate


def run_trial(config: dict[str, Any], evaluate: Evaluate) -> None:
    """Evaluate one architecture.

    Reports `{"epoch", "accuracy"}` as the evaluation does, and at the end either `{"final"}` or `{"failure"}`. A
    failure is data, not an exception, so that the worker stays in use.

    Args:
        config: `architecture` (JSON) and `seed`.
        evaluate: as `senas.search` takes it.
    """

    def report(epoch: int, accuracy: float) -> None:
        tune.report({"epoch": int(epoch), "accuracy": float(accuracy)})

    try:
        accuracy = evaluate(Architecture.from_json(config["architecture"]), config["seed"], report)
    except Exception:  # whatever a user's evaluation raises is a failed trial, not a failed search
        tune.report({"failure": traceback.format_exc()})
        return
    if isinstance(accuracy, numbers.Real) and math.isfinite(accuracy) and 0 <= accuracy <= 1:
        tune.report({"final": float(accuracy)})
    else:
        tune.report({"failure": f"evaluate returned {accuracy!r}, expected a top-1 accuracy in [0, 1]"})
