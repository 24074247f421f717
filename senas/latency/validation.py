"""How well predictions meet measurements."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_MEAN_ERROR = 0.05  # a profile that is off by more on average is refused


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Prediction against measurement on networks that no fit has seen.

    Attributes:
        networks: how many.
        mean_error: mean of abs(predicted / measured - 1), the MAPE.
        worst_error: the largest of them.
        within_5: share of networks predicted within 5 %.
        within_10: within 10 %.
        spearman: rank correlation.
        kendall: rank correlation, tau-a.
        repeat_error: mean of abs(measured again / measured - 1), each time in one sitting: the noise floor.
        limit: of the mean error, beyond which the profile is refused.
    """

    networks: int
    mean_error: float
    worst_error: float
    within_5: float
    within_10: float
    spearman: float
    kendall: float
    repeat_error: float
    limit: float = MAX_MEAN_ERROR


def validate(
    predicted_ms: Sequence[float], measured_ms: Sequence[float], *, repeat_error: float, limit: float = MAX_MEAN_ERROR
) -> Validation:
    """Compare predictions with measurements of the same networks, at least two."""
    predicted, measured = np.asarray(predicted_ms, dtype=float), np.asarray(measured_ms, dtype=float)
    errors = np.abs(predicted / measured - 1)
    return Validation(
        networks=len(errors),
        mean_error=float(errors.mean()),
        worst_error=float(errors.max()),
        within_5=float((errors <= 0.05).mean()),
        within_10=float((errors <= 0.10).mean()),
        spearman=spearman(predicted, measured),
        kendall=kendall(predicted, measured),
        repeat_error=repeat_error,
        limit=limit,
    )


def repeat_error(times_ms: Sequence[Sequence[float]]) -> float:
    """Mean of abs(measured again / measured - 1) over networks measured twice or more often."""
    return float(np.mean([abs(again / first - 1) for first, *others in times_ms for again in others]))


def spearman(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Correlation of the ranks; ties are ranked in order of appearance, which measured times do not have."""
    ranks = [values.argsort(kind="stable").argsort(kind="stable") for values in (one, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def kendall(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Pairs in the same order less pairs in opposite order, as a share of all pairs."""
    signs = [np.sign(values[:, None] - values[None, :]) for values in (one, other)]
    count = len(one)
    return float((signs[0] * signs[1]).sum() / (count * (count - 1)))
