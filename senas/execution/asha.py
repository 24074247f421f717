"""Early stopping by ASHA, with rungs rebuilt from the journal's trials of all sessions."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from senas.execution.evaluation import MAX_EPOCH
from senas.runs import Trial

_GRACE_EPOCHS, _REDUCTION_FACTOR = 2, 3


class EarlyStopping(ASHAScheduler):
    """Asynchronous successive halving: rungs at epochs 2, 6, 18, ..., at each of which the best third continues.

    There is no last epoch. Trials that no strategy has proposed are never stopped: a baseline and replicates are
    trained in full.

    Args:
        trials: Trials of earlier sessions, with the reports of their latest attempts.

    Source: Li et al., A System for Massively Parallel Hyperparameter Tuning (MLSys 2020), section 3.2; Ray Tune's
        implementation, which keeps on a rung the first accuracy that a trial reports at its epoch or later.
    """

    def __init__(self, trials: Iterable[Trial]):
        super().__init__(
            time_attr="epoch",
            metric="accuracy",
            mode="max",
            max_t=10 * MAX_EPOCH,
            grace_period=_GRACE_EPOCHS,
            reduction_factor=_REDUCTION_FACTOR,
        )
        no_controller: Any = None  # the trials have ended, so there is nothing to control
        for trial in trials:
            if trial.purpose == "search":
                asha_trial = _asha_trial(trial.number)
                super().on_trial_add(no_controller, asha_trial)
                for epoch, accuracy in trial.epochs:
                    super().on_trial_result(no_controller, asha_trial, {"epoch": epoch, "accuracy": accuracy})
                super().on_trial_remove(no_controller, asha_trial)

    def on_trial_add(self, tune_controller: Any, trial: RayTrial) -> None:
        """Add a trial whose attempt is about to start."""
        super().on_trial_add(tune_controller, _asha_trial(trial.config["number"]))

    def on_trial_result(self, tune_controller: Any, trial: RayTrial, result: dict) -> str:
        """Return whether an attempt continues or stops after a report."""
        if trial.config["purpose"] != "search":
            return TrialScheduler.CONTINUE
        return super().on_trial_result(tune_controller, _asha_trial(trial.config["number"]), result)

    def on_trial_complete(self, tune_controller: Any, trial: RayTrial, result: dict) -> None:  # noqa: ARG002
        """Remove a trial whose attempt has ended; `on_trial_result` has handled its last report."""
        super().on_trial_remove(tune_controller, _asha_trial(trial.config["number"]))

    def on_trial_remove(self, tune_controller: Any, trial: RayTrial) -> None:
        """Remove a trial whose attempt was terminated before it ended."""
        super().on_trial_remove(tune_controller, _asha_trial(trial.config["number"]))


def _asha_trial(number: int) -> Any:
    """Return a stand-in for a trial with the one attribute that ASHA reads, equal for every attempt and session."""
    return SimpleNamespace(trial_id=str(number))
