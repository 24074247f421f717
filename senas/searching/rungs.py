"""Early stopping: ASHA, whose rungs hold what the journal says of every trial, whichever session ran it."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from senas.searching.trial import Trial
from senas.searching.worker import MAX_EPOCH

_GRACE, _REDUCTION = 2, 3


class EarlyStopping(ASHAScheduler):
    """Asynchronous successive halving: rungs at epochs 2, 6, 18, ..., each lets the better third go on.

    There is no last epoch, and what no strategy has asked for is left alone: a baseline and replicates are trained in
    full.

    Args:
        trials: of earlier sessions, with the reports of their latest attempts.

    Source: Li et al., A System for Massively Parallel Hyperparameter Tuning (MLSys 2020), section 3.2; Ray Tune's
        implementation, which keeps on a rung the first accuracy that a trial reports at its epoch or later.
    """

    def __init__(self, trials: Iterable[Trial]):
        super().__init__(
            time_attr="epoch",
            metric="accuracy",
            mode="max",
            max_t=10 * MAX_EPOCH,
            grace_period=_GRACE,
            reduction_factor=_REDUCTION,
        )
        nobody: Any = None  # controls trials that have ended
        for trial in trials:
            if trial.purpose == "search":
                known = _known_as(trial.number)
                super().on_trial_add(nobody, known)
                for epoch, accuracy in trial.epochs:
                    super().on_trial_result(nobody, known, {"epoch": epoch, "accuracy": accuracy})
                super().on_trial_remove(nobody, known)

    def on_trial_add(self, tune_controller: Any, trial: RayTrial) -> None:
        """An attempt is about to start."""
        super().on_trial_add(tune_controller, _known_as(trial.config["number"]))

    def on_trial_result(self, tune_controller: Any, trial: RayTrial, result: dict) -> str:
        """Whether an attempt goes on after a report."""
        if trial.config["purpose"] != "search":
            return TrialScheduler.CONTINUE
        return super().on_trial_result(tune_controller, _known_as(trial.config["number"]), result)

    def on_trial_complete(self, tune_controller: Any, trial: RayTrial, result: dict) -> None:  # noqa: ARG002
        """An attempt has ended; its last report has been dealt with before."""
        super().on_trial_remove(tune_controller, _known_as(trial.config["number"]))

    def on_trial_remove(self, tune_controller: Any, trial: RayTrial) -> None:
        """An attempt was given up before it ended."""
        super().on_trial_remove(tune_controller, _known_as(trial.config["number"]))


def _known_as(number: int) -> Any:
    """A trial as ASHA sees it, which looks at nothing but this: the same for every attempt, in whatever session."""
    return SimpleNamespace(trial_id=str(number))
