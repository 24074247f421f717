"""The front: accuracy maximised, a cost minimised."""

from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import NDArray

from senas.costs.budget import Objective
from senas.searching.trial import Trial, averaged


def pareto_front(trials: Sequence[Trial], objective: Objective) -> list[Trial]:
    """The non-dominated architectures, best accuracy first; of equals the one that started first.

    Args:
        trials: in any state; only finished ones count, those of the same architecture by their mean (`averaged`).
        objective: the cost that is minimised.
    """
    finished = averaged(trials)
    if not finished:
        return []
    keep = moocore.is_nondominated(_points(finished, objective), keep_weakly=False)
    front = [trial for trial, kept in zip(finished, keep, strict=True) if kept]
    return sorted(front, key=lambda trial: (-_accuracy(trial), trial.number))


def hypervolume(trials: Sequence[Trial], objective: Objective, reference_cost: float) -> float:
    """Share of the rectangle from (accuracy 0, reference cost) to (accuracy 1, cost 0) that the front dominates.

    Args:
        trials: in any state; only finished ones count, those of the same architecture by their mean.
        objective: the cost that is minimised.
        reference_cost: the cost that counts as worst: the budget, or the largest of the space.
    """
    finished = averaged(trials)
    if not finished:
        return 0.0
    accuracy = np.array([_accuracy(trial) for trial in finished])
    return dominated(accuracy, np.array([trial.cost.of(objective) for trial in finished]), reference_cost)


def dominated(accuracy: NDArray[np.float64], cost: NDArray[np.float64], reference_cost: float) -> float:
    """Share of the rectangle from (accuracy 0, reference cost) to (accuracy 1, cost 0) that points dominate.

    Args:
        accuracy: (N,) maximised, in [0, 1].
        cost: (N,) minimised.
        reference_cost: the cost that counts as worst.
    """
    return float(moocore.hypervolume(np.column_stack([1.0 - accuracy, cost / reference_cost]), ref=(1.0, 1.0)))


def knee(front: Sequence[Trial], objective: Objective) -> Trial:
    """The trial of a front farthest from the line between its ends (Das 1999), both axes scaled to [0, 1].

    Args:
        front: at least one trial, best accuracy first.
        objective: the cost that is minimised.
    """
    points = _points(front, objective)
    span = np.ptp(points, axis=0)
    if len(front) < 3 or not span.all():
        return front[0]
    scaled = (points - points.min(axis=0)) / span  # ends at (0, 1) and (1, 0)
    return front[int(scaled.sum(axis=1).argmin())]


def _points(trials: Sequence[Trial], objective: Objective) -> np.ndarray:
    """Error and cost, both minimised: (N, 2)."""
    return np.array([(1.0 - _accuracy(trial), trial.cost.of(objective)) for trial in trials])


def _accuracy(trial: Trial) -> float:
    assert trial.accuracy is not None
    return trial.accuracy
