"""What is known of a search space before a search: costs and budgets as a strategy's problem."""

import numpy as np
from numpy.typing import NDArray

from senas.costs.budget import Budget, Objective
from senas.costs.model import CostModel
from senas.latency.model import LatencyModel
from senas.latency.profile import LatencyProfile
from senas.spaces.space import SearchSpace
from senas.strategies.problem import Problem, Rows


def problem_of(
    space: SearchSpace,
    *,
    objective: Objective,
    budget: Budget,
    worst_cost: float,
    profile: LatencyProfile | None,
    confidence: float,
) -> Problem:
    """A search space as strategies know it; its costs are FLOPs, parameters and, with a profile, latency.

    Args:
        space: of the search.
        objective: the cost that is minimised.
        budget: hard upper bounds.
        worst_cost: the largest of that cost that counts.
        profile: predicts latency.
        confidence: of the upper bound of the latency, which is what its budget holds.
    """
    counted = CostModel(space)
    timed = None if profile is None else LatencyModel(space, profile, confidence=confidence)
    order = {"flops": (0, 1, 2), "params": (1, 0, 2), "latency": (2, 0, 1)}[objective]

    def costs(rows: Rows) -> NDArray[np.float64]:
        indices = np.maximum(rows, 0)
        columns = [*counted.complexities(indices), *([] if timed is None else timed.latencies(indices)[:1])]
        return np.column_stack([columns[number] for number in order if number < len(columns)]).astype(np.float64)

    def feasible(rows: Rows) -> NDArray[np.bool_]:
        indices = np.maximum(rows, 0)
        flops, params = counted.complexities(indices)
        keeps = (flops <= (budget.flops or np.inf)) & (params <= (budget.params or np.inf))
        if timed is not None and budget.latency_ms is not None:
            keeps &= timed.latencies(indices)[1] <= budget.latency_ms
        return keeps

    return Problem(
        labels=tuple(choice.label for choice in space.choices),
        options=tuple(choice.options for choice in space.choices),
        costs=costs,
        feasible=feasible,
        worst_cost=worst_cost,
        canonical=space.canonical,
    )
