"""What an SE block adds to the cell it sits in: latency, as a profile measured it, beside FLOPs."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from senas.architecture import Part
from senas.cells import Cell
from senas.costs.complexity import part_complexity
from senas.errors import ProfileError
from senas.latency.profile import LatencyProfile
from senas.se import SEConfig
from senas.spaces.space import SearchSpace


@dataclass(frozen=True, kw_only=True)
class SECost:
    """What one SE block adds to the cells of one stage; medians over those cells.

    Attributes:
        stage: numbered as in the paper.
        batch: images per forward pass.
        se: the block.
        cells: distinct ones.
        latency_ms: added.
        latency_share: added, as a share of the cell without SE.
        flops: added, per image.
        flops_share: added, as a share of the cell without SE.
        measured: whether every cell was measured, none filled in.
    """

    stage: int
    batch: int
    se: SEConfig
    cells: int
    latency_ms: float
    latency_share: float
    flops: float
    flops_share: float
    measured: bool

    @property
    def way(self) -> str:
        """The block whatever its reduction: `standard`, `pre`, `identity/max`."""
        return str(self.se).partition("/")[2] or "standard"


def se_costs(space: SearchSpace, profile: LatencyProfile) -> tuple[SECost, ...]:
    """What each SE block of a space adds, stage by stage.

    Raises:
        ProfileError: the profile is of another space, or lacks a part of it.
    """
    if profile.space.digest != space.digest:
        raise ProfileError(
            f"profile of space {profile.space.name}: space.digest: found {profile.space.digest}, "
            f"space {space.name} has {space.digest}"
        )
    groups: defaultdict[tuple[int, SEConfig], list[Part]] = defaultdict(list)
    for part in space.parts:
        if isinstance(part.layer, Cell) and part.layer.se is not None:
            groups[part.layer.stage, part.layer.se].append(part)
    return tuple(_cost(profile, stage, se, parts) for (stage, se), parts in groups.items())


def _cost(profile: LatencyProfile, stage: int, se: SEConfig, parts: list[Part]) -> SECost:
    bodies = [profile.part_load(part.without_se()).entries_ms for part in parts]
    added = [profile.part_load(part).entries_ms - body for part, body in zip(parts, bodies, strict=True)]
    plain = [part_complexity(part.without_se()).flops for part in parts]
    flops = [part_complexity(part).flops - count for part, count in zip(parts, plain, strict=True)]
    return SECost(
        stage=stage,
        batch=profile.mode.batch,
        se=se,
        cells=len(parts),
        latency_ms=median(added),
        latency_share=median(more / body for more, body in zip(added, bodies, strict=True)),
        flops=median(flops),
        flops_share=median(more / count for more, count in zip(flops, plain, strict=True)),
        measured=all(profile.entries[part.key].measured is not None for part in parts),
    )


def summary(costs: Iterable[SECost]) -> str:
    """One sentence over all blocks."""
    rows = list(costs)
    latency, flops = ([getattr(row, name) for row in rows] for name in ("latency_share", "flops_share"))
    return (
        f"SE adds {min(latency):.1%} to {max(latency):.1%} to the latency of its cell (median {median(latency):.1%}), "
        f"and {min(flops):.2%} to {max(flops):.2%} to its FLOPs (median {median(flops):.2%})"
    )
