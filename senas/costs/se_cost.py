"""Latency (from a profile) and FLOPs that an SE block adds to its cell."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from senas.architecture import Cell, Part, SEConfig
from senas.costs.flops import part_complexity
from senas.errors import ProfileError
from senas.latency import LatencyProfile
from senas.spaces import SearchSpace


@dataclass(frozen=True, kw_only=True)
class SECost:
    """Cost that one SE block adds to the cells of one stage, as medians over those cells.

    Attributes:
        stage: Number of the stage, as in the paper.
        batch: Images per forward pass.
        se: SE block.
        cells: Number of distinct cells.
        latency_ms: Added latency.
        latency_share: Added latency, as a share of the latency of the cell without SE.
        flops: Added FLOPs per image.
        flops_share: Added FLOPs, as a share of the FLOPs of the cell without SE.
        measured: Whether the latency of every cell was measured and none was imputed.
        noise_ms: Half the 95 % interval of the added latency of a cell; `None` if it was not measured.
        noise_share: The same as a share of the latency of the cell without SE.
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
    noise_ms: float | None = None
    noise_share: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the added latency exceeds its noise, in milliseconds and as a share, and both have the same sign.

        Each is a median over cells of its own, so that little more than noise can have two signs.
        """
        if self.noise_ms is None or self.noise_share is None:
            return False
        exceeds = abs(self.latency_ms) > self.noise_ms and abs(self.latency_share) > self.noise_share
        return exceeds and (self.latency_ms > 0) == (self.latency_share > 0)

    @property
    def variant(self) -> str:
        """Description of the block without its reduction, such as `standard`, `pre` or `identity/max`."""
        return str(self.se).partition("/")[2] or "standard"


def se_costs(space: SearchSpace, profile: LatencyProfile) -> tuple[SECost, ...]:
    """Return what each SE block of a space adds, stage by stage.

    Raises:
        ProfileError: The profile is of another space, or lacks a part of the space.
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
    """Return the medians of what an SE block adds to `parts`, the cells of one stage."""
    bodies_ms = [profile.part_features(part.without_se()).entries_ms for part in parts]
    added_ms = [profile.part_features(part).entries_ms - body for part, body in zip(parts, bodies_ms, strict=True)]
    bodies_flops = [part_complexity(part.without_se()).flops for part in parts]
    added_flops = [part_complexity(part).flops - body for part, body in zip(parts, bodies_flops, strict=True)]
    noises_ms = [_noise_ms(profile, part) for part in parts]
    known = [(noise, noise / body) for noise, body in zip(noises_ms, bodies_ms, strict=True) if noise is not None]
    measured = len(known) == len(parts)
    return SECost(
        stage=stage,
        batch=profile.mode.batch,
        se=se,
        cells=len(parts),
        latency_ms=median(added_ms),
        latency_share=median(added / body for added, body in zip(added_ms, bodies_ms, strict=True)),
        flops=median(added_flops),
        flops_share=median(added / body for added, body in zip(added_flops, bodies_flops, strict=True)),
        measured=measured,
        noise_ms=median(noise for noise, _ in known) if measured else None,
        noise_share=median(share for _, share in known) if measured else None,
    )


def _noise_ms(profile: LatencyProfile, part: Part) -> float | None:
    """Return half the 95 % interval of what SE adds to a part, whose two measurements have independent errors."""
    measured = [profile.entries[each.key].measured for each in (part, part.without_se())]
    widths = [each.interval * each.estimate_ms for each in measured if each is not None]
    return math.hypot(*widths) / 2 if len(widths) == len(measured) else None


def summarize_se_costs(costs: Iterable[SECost]) -> str:
    """Return one sentence with the range and the median over all blocks, and how many are only noise."""
    rows = list(costs)
    latency, flops = ([getattr(row, name) for row in rows] for name in ("latency_share", "flops_share"))
    unclear = sum(row.measured and not row.is_clear for row in rows)
    return (
        f"SE adds {min(latency):.1%} to {max(latency):.1%} to the latency of its cell (median {median(latency):.1%}"
        f"{f', {unclear} of {len(rows)} within their noise' if unclear else ''}), "
        f"and {min(flops):.2%} to {max(flops):.2%} to its FLOPs (median {median(flops):.2%})"
    )
