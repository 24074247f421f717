"""What evaluating an architecture is expected to add to the hypervolume, where its cost is known."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Vector = NDArray[np.float64]


def expected_hypervolume_improvement(
    mean: Vector, deviation: Vector, cost: Vector, front: tuple[Vector, Vector], reference: tuple[float, float]
) -> Vector:
    """The expected hypervolume improvement (EHVI) of points whose accuracy is uncertain and whose cost is not.

    Accuracy is maximised, cost minimised. Let the front have costs c_1 < ... < c_k and accuracies a_1 < ... < a_k,
    and let the reference point be (a_0, c_{k+1}), with c_0 minus infinity. Over costs in [c_i, c_{i+1}) the front
    stands at a_i. A point of cost c and accuracy A adds, wherever its own cost is reached, what it has above the
    front:

        improvement = sum over i of  |[c_i, c_{i+1}) with costs >= c|  *  max(A - a_i, 0)

    Only A is random, so the expectation goes inside the sum, and each term is the expected improvement of Jones et al.
    (1998, equation 15) over a step: with A normal of mean m and deviation s, and z = (m - a_i) / s,

        E max(A - a_i, 0) = s * (z * Phi(z) + phi(z)).

    In general EHVI (Emmerich et al. 2006; Yang et al. 2019) both objectives are uncertain and cells of a grid are
    summed; a known cost leaves one sum of k + 1 terms.

    Args:
        mean: (N,) of the accuracy.
        deviation: (N,) its standard deviation, above 0.
        cost: (N,).
        front: accuracies and costs of what has been evaluated, (M,) each; dominated points do no harm.
        reference: the worst accuracy and the worst cost that count.

    Returns:
        (N,), in units of accuracy times cost.
    """
    edges, levels = _steps(front, reference)
    total = np.zeros(len(mean))
    for left, right, level in zip(edges[:-1], edges[1:], levels, strict=True):
        width = np.clip(right - np.maximum(left, cost), 0.0, None)  # (N,) of the step that the point reaches
        z = (mean - level) / deviation
        total += width * deviation * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))
    return total


def _steps(front: tuple[Vector, Vector], reference: tuple[float, float]) -> tuple[list[float], list[float]]:
    """Where the staircase of the front rises, k + 2 costs, and how high it stands in between, k + 1 accuracies."""
    accuracy, cost = front
    edges, levels = [-np.inf], [reference[0]]
    for at in np.lexsort((-accuracy, cost)):
        if accuracy[at] > levels[-1] and cost[at] < reference[1]:
            edges.append(float(cost[at]))
            levels.append(float(accuracy[at]))
    return [*edges, reference[1]], levels
