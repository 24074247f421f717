"""Costs of architectures, and whether a space has any architecture that keeps a budget."""

from collections.abc import Callable
from typing import get_args

from senas.architecture import Architecture, Cell, Part
from senas.costs.budget import Budget, Cost, Objective, show_cost
from senas.costs.flops import complexity, part_complexity
from senas.errors import BudgetError
from senas.io import Bound
from senas.latency import CONFIDENCE, LatencyProfile
from senas.spaces import SearchSpace


def cost_of(arch: Architecture, profile: LatencyProfile | None, confidence: float = CONFIDENCE) -> Cost:
    """Return the cost of an architecture; without a profile its latency stays unknown.

    Args:
        arch: Architecture to cost.
        profile: Profile that predicts the latency.
        confidence: Confidence of the upper bound of the latency.

    Raises:
        ProfileError: A part of the architecture is not in the profile, or it cannot give this confidence.
    """
    counted = complexity(arch)
    if profile is None:
        return Cost(flops=counted.flops, params=counted.params)
    latency = profile.predict(arch, confidence)
    return Cost(flops=counted.flops, params=counted.params, latency_ms=latency.latency_ms, upper_ms=latency.upper_ms)


def part_cost(objective: Objective, profile: LatencyProfile | None) -> Callable[[Part], float]:
    """Return a function that gives the cost of a part, for `SearchSpace.cheapest`.

    Raises:
        BudgetError: The cost is the latency, and there is no profile.
    """
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
    """Check that some architecture of the space keeps each bound.

    Raises:
        BudgetError: An impossible bound; the message gives the smallest achievable cost, the architecture that has it,
            and where most of that cost lies.
    """
    for objective in get_args(Objective):
        bound = budget.of(objective)
        if bound is None:
            continue
        cheapest = space.cheapest(part_cost(objective, profile))
        cost = cost_of(cheapest, profile, confidence)
        least = cost.upper_ms if objective == "latency" else cost.of(objective)
        assert least is not None
        if least > bound:
            raise BudgetError(
                f"{objective} budget of space {space.name}: found {show_cost(bound, objective)}, the smallest "
                f"achievable is {show_cost(least, objective, up=True)} by architecture {cheapest.digest} "
                f"({len(cheapest.cells)} cells, SE {cheapest.describe_se()}), "
                f"{_largest_share(cheapest, objective, profile)}"
            )


def _largest_share(arch: Architecture, objective: Objective, profile: LatencyProfile | None) -> str:
    """Return the stage, stem or head that costs most, such as `of which stage 2 takes 48%`."""
    cost, shares = part_cost(objective, profile), dict[str, float]()
    for part in arch.parts():
        name = f"stage {part.layer.stage}" if isinstance(part.layer, Cell) else f"the {part.role}"
        shares[name] = shares.get(name, 0.0) + cost(part)
    worst = max(shares, key=lambda name: shares[name])
    return f"of which {worst} takes {shares[worst] / sum(shares.values()):.0%}"


def resolve_bound(
    bound: Bound | None, objective: Objective, space: SearchSpace, profile: LatencyProfile | None, confidence: float
) -> float | None:
    """Return a bound in the unit of its cost; a relative one is a share of the largest cost in the space.

    Raises:
        BudgetError: A share of the largest latency, and there is no profile.
    """
    if bound is None:
        return None
    if not bound.relative:
        return bound.value
    largest = cost_of(space.costliest(part_cost(objective, profile)), profile, confidence)
    whole = largest.upper_ms if objective == "latency" else largest.of(objective)
    assert whole is not None  # part_cost has checked that there is a profile
    return bound.value * whole
