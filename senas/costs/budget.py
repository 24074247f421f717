"""Costs of architectures and the budgets that are hard constraints on them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from senas.architecture import Architecture, Part
from senas.cells import Cell
from senas.costs.complexity import complexity, part_complexity
from senas.errors import BudgetError
from senas.latency.calibration import CONFIDENCE
from senas.latency.profile import LatencyProfile
from senas.spaces.space import SearchSpace

Objective = Literal["latency", "flops", "params"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one architecture costs, known before it is trained.

    Attributes:
        flops: multiply-adds at batch 1.
        params: trainable parameters.
        latency_ms: predicted latency; `None` without a profile.
        upper_ms: its one-sided upper bound, 95 % by default; `None` without a profile.
    """

    flops: int
    params: int
    latency_ms: float | None = None
    upper_ms: float | None = None

    def of(self, objective: Objective) -> float:
        """The cost that an objective minimises.

        Raises:
            BudgetError: latency is asked for and was not predicted.
        """
        value = {"latency": self.latency_ms, "flops": self.flops, "params": self.params}[objective]
        if value is None:
            raise BudgetError("objective: found latency, but there is no profile to predict it, allowed: flops, params")
        return float(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Upper bounds on costs; `None` is no bound.

    Attributes:
        latency_ms: holds the upper bound of the predicted latency, not the prediction itself.
        flops: multiply-adds.
        params: trainable parameters.

    Raises:
        BudgetError: a bound that is not positive and finite.
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
        """Whether an architecture of this cost is feasible."""
        return all(
            bound is None or (value is not None and value <= bound)
            for value, bound in ((cost.upper_ms, self.latency_ms), (cost.flops, self.flops), (cost.params, self.params))
        )

    def of(self, objective: Objective) -> float | None:
        """The bound on the cost that an objective minimises."""
        return {"latency": self.latency_ms, "flops": self.flops, "params": self.params}[objective]


def cost_of(arch: Architecture, profile: LatencyProfile | None, confidence: float = CONFIDENCE) -> Cost:
    """The cost of an architecture; without a profile its latency stays unknown.

    Args:
        arch: of what.
        profile: predicts latency.
        confidence: of the upper bound of the latency.

    Raises:
        ProfileError: a part of the architecture is not in the profile, or not a confidence that it can give.
    """
    counted = complexity(arch)
    if profile is None:
        return Cost(flops=counted.flops, params=counted.params)
    latency = profile.predict(arch, confidence)
    return Cost(flops=counted.flops, params=counted.params, latency_ms=latency.latency_ms, upper_ms=latency.upper_ms)


def part_cost(objective: Objective, profile: LatencyProfile | None) -> Callable[[Part], float]:
    """What one part adds to a cost, as a function for `SearchSpace.extreme`."""
    match objective:
        case "flops":
            return lambda part: part_complexity(part).flops
        case "params":
            return lambda part: part_complexity(part).params
        case "latency":
            if profile is None:
                raise BudgetError("latency: there is no profile to predict it")
            return profile.part_ms


def check_possible(
    space: SearchSpace, budget: Budget, profile: LatencyProfile | None, confidence: float = CONFIDENCE
) -> None:
    """Raise where some bound is below what every architecture of the space costs.

    Raises:
        BudgetError: an impossible bound; the message says the smallest achievable cost, which architecture has it, and
            where in it most of that cost lies.
    """
    for objective in get_args(Objective):
        bound = budget.of(objective)
        if bound is None:
            continue
        cheapest = space.extreme(part_cost(objective, profile))
        cost = cost_of(cheapest, profile, confidence)
        least = cost.upper_ms if objective == "latency" else cost.of(objective)
        assert least is not None
        if least > bound:
            raise BudgetError(
                f"{objective} budget of space {space.name}: found {show_cost(bound, objective)}, the smallest "
                f"achievable is {show_cost(least, objective, up=True)} by architecture {cheapest.digest} "
                f"({len(cheapest.cells)} cells, SE {cheapest.describe_se()}), "
                f"{_most_of_it(cheapest, objective, profile)}"
            )


def _most_of_it(arch: Architecture, objective: Objective, profile: LatencyProfile | None) -> str:
    """The stage, stem or head that costs most, such as `of which stage 2 takes 48 %`."""
    cost, shares = part_cost(objective, profile), dict[str, float]()
    for part in arch.parts():
        name = f"stage {part.layer.stage}" if isinstance(part.layer, Cell) else f"the {part.role}"
        shares[name] = shares.get(name, 0.0) + cost(part)
    worst = max(shares, key=lambda name: shares[name])
    return f"of which {worst} takes {shares[worst] / sum(shares.values()):.0%}"


def show_cost(value: float, objective: Objective, *, up: bool = False) -> str:
    """A cost for people: `1.52 ms`, `40.6M`; with `up` never rounded below the value, so that it works as a budget."""
    if objective == "latency":
        return f"{value + (0.0005 if up else 0):.3f} ms"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size + (0.0005 if up else 0):.3f}{unit}"
    return f"{value:.0f}"
