"""Final accuracy of a training that was stopped early, extrapolated from trainings that finished."""

from collections.abc import Sequence
from statistics import median

from senas.runs import Trial


def extrapolated_accuracy(trial: Trial, finished: Sequence[Trial]) -> float | None:
    """Return the accuracy that a stopped trial would have reached, or the accuracy of a finished trial.

    The error after the last reported epoch is scaled by how much it shrank from that epoch to the end in the median of
    the finished trials. Otherwise a strategy would compare accuracies after a few epochs with those after all.

    Args:
        trial: Trial that ended, in whatever way.
        finished: Trials that finished before it.

    Returns:
        Accuracy in [0, 1]; `None` if the trial has none.
    """
    if trial.accuracy is None or trial.status == "finished" or not trial.epochs:
        return trial.accuracy
    epoch, _ = trial.epochs[-1]
    shrunk = [
        (1.0 - other.accuracy) / (1.0 - at)
        for other in finished
        if other.accuracy is not None and (at := dict(other.epochs).get(epoch, 1.0)) < 1.0
    ]
    return 1.0 - (1.0 - trial.accuracy) * min(median(shrunk), 1.0) if shrunk else trial.accuracy
