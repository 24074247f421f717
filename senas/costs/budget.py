"""Costs of architectures, and the budgets that are hard constraints on them."""

from dataclasses import dataclass
from typing import Literal

from senas.errors import BudgetError

Objective = Literal["latency", "flops", "params"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Cost of one architecture, known before it is trained.

    Attributes:
        flops: Multiply-adds at batch 1.
        params: Number of trainable parameters.
        latency_ms: Predicted latency; `None` without a profile.
        upper_ms: One-sided upper bound of the latency, 95 % by default; `None` without a profile.
    """

    flops: int
    params: int
    latency_ms: float | None = None
    upper_ms: float | None = None

    def of(self, objective: Objective) -> float:
        """Return the cost that an objective minimises.

        Raises:
            BudgetError: The objective is latency, and there was no profile to predict it.
        """
        value = {"latency": self.latency_ms, "flops": self.flops, "params": self.params}[objective]
        if value is None:
            raise BudgetError("objective: found latency, but there is no profile to predict it, allowed: flops, params")
        return float(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Upper bounds on costs; `None` is no bound.

    Attributes:
        latency_ms: Bound that the upper bound of the predicted latency must keep, not the prediction itself.
        flops: Bound on multiply-adds.
        params: Bound on trainable parameters.

    Raises:
        BudgetError: A bound that is not positive and finite.
    """

    latency_ms: float | None = None
    flops: float | None = None
    params: float | None = None

    def __post_init__(self) -> None:
        for name in ("latency_ms", "flops", "params"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise BudgetError(f"budget of {name}: found {value}, expected a positive number")

    def keeps(self, cost: Cost) -> bool:
        """Return whether an architecture of this cost keeps every bound."""
        return all(
            bound is None or (value is not None and value <= bound)
            for value, bound in ((cost.upper_ms, self.latency_ms), (cost.flops, self.flops), (cost.params, self.params))
        )

    def of(self, objective: Objective) -> float | None:
        """Return the bound on the cost that an objective minimises."""
        return {"latency": self.latency_ms, "flops": self.flops, "params": self.params}[objective]


def show_cost(value: float, objective: Objective, *, up: bool = False) -> str:
    """Return a cost as text, such as `1.520 ms` or `40.600M`; with `up`, never rounded down, to serve as a budget."""
    if objective == "latency":
        return f"{value + (0.0005 if up else 0):.3f} ms"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size + (0.0005 if up else 0):.3f}{unit}"
    return f"{value:.0f}"
