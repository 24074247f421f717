"""Pareto front and hypervolume of trials: accuracy maximised, a cost minimised."""

from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import NDArray

from senas.costs import Objective
from senas.runs.trial import Trial, averaged


def pareto_front(trials: Sequence[Trial], objective: Objective) -> list[Trial]:
    """Return the non-dominated architectures, best accuracy first; among equal ones, the one that started first.

    Args:
        trials: Trials in any state; only finished ones count, those of the same architecture by their mean
            (`averaged`).
        objective: Cost that is minimised.
    """
    finished = averaged(trials)
    if not finished:
        return []
    keep = moocore.is_nondominated(_points(finished, objective), keep_weakly=False)
    front = [trial for trial, kept in zip(finished, keep, strict=True) if kept]
    return sorted(front, key=lambda trial: (-_accuracy(trial), trial.number))


def hypervolume(trials: Sequence[Trial], objective: Objective, reference_cost: float) -> float:
    """Return the share of the accuracy-cost rectangle that the front dominates.

    The rectangle extends from (accuracy 0, reference cost) to (accuracy 1, cost 0).

    Args:
        trials: Trials in any state; only finished ones count, those of the same architecture by their mean.
        objective: Cost that is minimised.
        reference_cost: Cost that counts as worst: the budget, or the largest cost of the space.
    """
    finished = averaged(trials)
    if not finished:
        return 0.0
    accuracy = np.array([_accuracy(trial) for trial in finished])
    return dominated(accuracy, np.array([trial.cost.of(objective) for trial in finished]), reference_cost)


def dominated(accuracy: NDArray[np.float64], cost: NDArray[np.float64], reference_cost: float) -> float:
    """Return the share of the accuracy-cost rectangle that points dominate; the rectangle is that of `hypervolume`.

    Args:
        accuracy: Accuracies, (N,), maximised, in [0, 1].
        cost: Costs, (N,), minimised.
        reference_cost: Cost that counts as worst.
    """
    return float(moocore.hypervolume(np.column_stack([1.0 - accuracy, cost / reference_cost]), ref=(1.0, 1.0)))


def knee(front: Sequence[Trial], objective: Objective) -> Trial:
    """Return the trial of a front farthest from the line between its ends (Das 1999), both axes scaled to [0, 1].

    With fewer than three trials, or if all are equal in one coordinate, that is the first one.

    Args:
        front: Trials of the front, at least one, best accuracy first.
        objective: Cost that is minimised.
    """
    points = _points(front, objective)
    span = np.ptp(points, axis=0)
    if len(front) < 3 or not span.all():
        return front[0]
    scaled = (points - points.min(axis=0)) / span  # the ends are at (0, 1) and (1, 0)
    return front[int(scaled.sum(axis=1).argmin())]


def _points(trials: Sequence[Trial], objective: Objective) -> np.ndarray:
    """Return errors and costs, both minimised, (N, 2)."""
    return np.array([(1.0 - _accuracy(trial), trial.cost.of(objective)) for trial in trials])


def _accuracy(trial: Trial) -> float:
    assert trial.accuracy is not None
    return trial.accuracy
