"""Complexity of a network part by part, as plain data."""

from senas.architecture import Architecture, Cell
from senas.costs.flops import Complexity, complexity, part_complexity


def complexity_breakdown(arch: Architecture) -> dict[str, object]:
    """Return totals, then each part with its shapes, its complexity, and what its SE block adds."""
    plain = arch.without_se()
    parts = [
        {
            "part": part.key,
            "role": part.role,
            "kind": part.layer.kind,
            "stage": part.layer.stage if isinstance(part.layer, Cell) else None,
            "input": [part.in_shape.channels, part.in_shape.size, part.in_shape.size],
            "output": [part.out_shape.channels, part.out_shape.size, part.out_shape.size],
            **_counts(part_complexity(part), part_complexity(bare)),
        }
        for part, bare in zip(arch.parts(), plain.parts(), strict=True)
    ]
    return {"digest": arch.digest, **_counts(complexity(arch), complexity(plain)), "parts": parts}


def _counts(whole: Complexity, bare: Complexity) -> dict[str, int]:
    return {
        "flops": whole.flops,
        "params": whole.params,
        "se_flops": whole.flops - bare.flops,
        "se_params": whole.params - bare.params,
    }
