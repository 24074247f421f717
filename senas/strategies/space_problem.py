"""A search space with known costs and budgets, as the problem that strategies see."""

import numpy as np
from numpy.typing import NDArray

from senas.costs import Budget, CostModel, Objective
from senas.latency import LatencyModel, LatencyProfile
from senas.spaces import SearchSpace
from senas.strategies.problem import Problem, Rows


def make_problem(
    space: SearchSpace,
    *,
    objective: Objective,
    budget: Budget,
    worst_cost: float,
    profile: LatencyProfile | None,
    confidence: float,
    cost_model: CostModel | None = None,
) -> Problem:
    """Return a search space as strategies see it; its costs are FLOPs, parameters and, with a profile, latency.

    Args:
        space: Space of the search.
        objective: Cost that is minimised.
        budget: Hard upper bounds.
        worst_cost: Largest value of that cost that counts.
        profile: Profile that predicts the latency.
        confidence: Confidence of the upper bound of the latency, which its budget must keep.
        cost_model: FLOPs and parameters of the space; counted by default.
    """
    counts = CostModel(space) if cost_model is None else cost_model
    timed = None if profile is None else LatencyModel(space, profile, confidence=confidence)
    order = {"flops": (0, 1, 2), "params": (1, 0, 2), "latency": (2, 0, 1)}[objective]

    def costs(rows: Rows) -> NDArray[np.float64]:
        indices = np.maximum(rows, 0)
        columns = [*counts.complexities(indices), *([] if timed is None else timed.latencies(indices)[:1])]
        return np.column_stack([columns[number] for number in order if number < len(columns)]).astype(np.float64)

    def feasible(rows: Rows) -> NDArray[np.bool_]:
        indices = np.maximum(rows, 0)
        flops, params = counts.complexities(indices)
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
