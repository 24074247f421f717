"""The accuracy of an unfinished training as a cheaper look at what it would have become."""

from collections.abc import Sequence
from statistics import median

from senas.searching.trial import Trial


def promised_accuracy(trial: Trial, finished: Sequence[Trial]) -> float | None:
    """What a trial that ended would have reached, as far as other trials tell; of a finished one its accuracy.

    The error after the last reported epoch is scaled as it shrank from that epoch to the end in the median of the
    finished trials. Without it, a strategy would compare the accuracies of few epochs with those of all.

    Args:
        trial: that ended, however it did.
        finished: those that finished before it.

    Returns:
        In [0, 1]; `None` where there is no accuracy.
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
