"""Costs of an architecture, known before training, and the budgets that bound them."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.costs.breakdown import complexity_breakdown as complexity_breakdown
    from senas.costs.budget import Budget as Budget
    from senas.costs.budget import Cost as Cost
    from senas.costs.budget import Objective as Objective
    from senas.costs.budget import show_cost as show_cost
    from senas.costs.cost_model import CostModel as CostModel
    from senas.costs.feasibility import check_possible as check_possible
    from senas.costs.feasibility import cost_of as cost_of
    from senas.costs.feasibility import part_cost as part_cost
    from senas.costs.feasibility import resolve_bound as resolve_bound
    from senas.costs.flops import Complexity as Complexity
    from senas.costs.flops import complexity as complexity
    from senas.costs.flops import count_module as count_module
    from senas.costs.flops import part_complexity as part_complexity
    from senas.costs.flops import whole_network_complexity as whole_network_complexity
    from senas.costs.se_cost import SECost as SECost
    from senas.costs.se_cost import se_costs as se_costs
    from senas.costs.se_cost import summarize_se_costs as summarize_se_costs

export_lazily(globals())
