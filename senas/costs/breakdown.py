"""Costs of a network part by part, as plain data."""

from senas.architecture import Architecture, Cell
from senas.costs.flops import Complexity, complexity, part_complexity
from senas.io import to_plain
from senas.latency import LatencyProfile, latency_breakdown


def complexity_breakdown(arch: Architecture, profile: LatencyProfile | None = None) -> dict[str, object]:
    """Return the architecture, totals, then each part with its shapes, its costs, and what its SE block adds.

    `Architecture.load` reads the architecture back from a JSON file of these data.

    Args:
        arch: Architecture to describe.
        profile: Profile that predicts the latency, which is left out without one.

    Raises:
        ProfileError: The profile does not fit the architecture.
    """
    plain = arch.without_se()
    latency = None if profile is None else latency_breakdown(arch, profile)
    timed = [{}] * len([*arch.parts()]) if latency is None else [to_plain(part) for part in latency.parts]
    parts = [
        {
            "part": part.key,
            "role": part.role,
            "kind": part.layer.kind,
            "stage": part.layer.stage if isinstance(part.layer, Cell) else None,
            "input": [part.in_shape.channels, part.in_shape.size, part.in_shape.size],
            "output": [part.out_shape.channels, part.out_shape.size, part.out_shape.size],
            **_counts(part_complexity(part), part_complexity(bare)),
            **times,
        }
        for part, bare, times in zip(arch.parts(), plain.parts(), timed, strict=True)
    ]
    whole: dict[str, object] = {"digest": arch.digest, **_counts(complexity(arch), complexity(plain))}
    if profile is not None and latency is not None:
        whole |= {name: value for name, value in to_plain(latency).items() if name != "parts"}
        whole["profile"] = {
            "digest": profile.digest,
            "device": profile.device.name,
            "mode": to_plain(profile.mode),
            "clock": profile.protocol.clock,
        }
    return {**whole, "parts": parts, "architecture": to_plain(arch)}


def _counts(whole: Complexity, bare: Complexity) -> dict[str, int]:
    return {
        "flops": whole.flops,
        "params": whole.params,
        "se_flops": whole.flops - bare.flops,
        "se_params": whole.params - bare.params,
    }
