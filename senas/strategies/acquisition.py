"""Acquisition function: expected hypervolume improvement of architectures whose cost is known."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Vector = NDArray[np.float64]


def expected_hypervolume_improvement(
    mean: Vector, deviation: Vector, cost: Vector, front: tuple[Vector, Vector], reference: tuple[float, float]
) -> Vector:
    """Return the expected hypervolume improvement (EHVI) of points with an uncertain accuracy and a known cost.

    Accuracy is maximised, cost minimised. Let the front have costs c_1 < ... < c_k and accuracies a_1 < ... < a_k,
    and let the reference point be (a_0, c_{k+1}), with c_0 minus infinity. For costs in [c_i, c_{i+1}) the front
    reaches accuracy a_i. A point of cost c and accuracy A adds the area above the front, up to A, over all costs of
    at least c:

        improvement = sum over i of  |[c_i, c_{i+1}) with costs >= c|  *  max(A - a_i, 0)

    Only A is random, so the expectation of the sum is the sum of the expectations, and each term is the expected
    improvement of Jones et al. (1998, equation 15) over one step: if A is normal with mean m and standard deviation s,
    and z = (m - a_i) / s,

        E max(A - a_i, 0) = s * (z * Phi(z) + phi(z)).

    In general EHVI (Emmerich et al. 2006; Yang et al. 2019) both objectives are uncertain and the sum is over the cells
    of a grid; with a known cost it has k + 1 terms.

    Args:
        mean: Mean of the accuracy, (N,).
        deviation: Standard deviation of the accuracy, (N,), above 0.
        cost: Cost, (N,).
        front: Accuracies and costs of the evaluated points, (M,) each; dominated points do not change the result.
        reference: Worst accuracy and worst cost that count.

    Returns:
        Expected improvement, (N,), in units of accuracy times cost.
    """
    edges, levels = _steps(front, reference)
    total = np.zeros(len(mean))
    for left, right, level in zip(edges[:-1], edges[1:], levels, strict=True):
        width = np.clip(right - np.maximum(left, cost), 0.0, None)  # (N,), part of the step that a point reaches
        z = (mean - level) / deviation
        total += width * deviation * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))
    return total


def _steps(front: tuple[Vector, Vector], reference: tuple[float, float]) -> tuple[list[float], list[float]]:
    """Return the k + 2 costs at which the steps of the front begin or end, and the k + 1 accuracies of the steps."""
    accuracy, cost = front
    edges, levels = [-np.inf], [reference[0]]
    for index in np.lexsort((-accuracy, cost)):
        if accuracy[index] > levels[-1] and cost[index] < reference[1]:
            edges.append(float(cost[index]))
            levels.append(float(accuracy[index]))
    return [*edges, reference[1]], levels
