"""Validation of predictions against measurements."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_MEAN_ERROR = 0.05  # a profile whose predictions have a larger mean error is refused


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Comparison of predictions with measurements on networks that no fit has seen.

    Attributes:
        networks: Number of networks.
        mean_error: Mean of abs(predicted / measured - 1), the MAPE.
        worst_error: Largest abs(predicted / measured - 1).
        within_5: Share of networks predicted within 5 %.
        within_10: Share of networks predicted within 10 %.
        spearman: Spearman rank correlation.
        kendall: Kendall rank correlation, tau-a.
        repeat_error: Mean of abs(measured again / measured - 1), each measured in one session; the noise floor.
        limit: Mean error above which the profile is refused.
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
    """Compare predictions with measurements of the same networks.

    Args:
        predicted_ms: Predicted latencies (n,), n at least 2.
        measured_ms: Measured latencies (n,).
        repeat_error: Noise floor, see `repeat_error`.
        limit: Mean error above which the profile is refused.
    """
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
    """Return the mean of abs(measured again / measured - 1) over networks.

    Args:
        times_ms: Latencies of each network, measured at least twice.
    """
    return float(np.mean([abs(again / first - 1) for first, *others in times_ms for again in others]))


def spearman(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return the Spearman correlation; ties, which measured times do not have, are ranked in order of appearance."""
    ranks = [values.argsort(kind="stable").argsort(kind="stable") for values in (one, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def kendall(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return Kendall's tau-a: pairs in the same order minus pairs in opposite order, as a share of all pairs."""
    signs = [np.sign(values[:, None] - values[None, :]) for values in (one, other)]
    count = len(one)
    return float((signs[0] * signs[1]).sum() / (count * (count - 1)))
