"""`senas complexity`: an architecture from a file or by name, and its complexity as plain data."""

from dataclasses import fields
from typing import cast

from senas.architecture import Architecture
from senas.cells import Cell
from senas.costs.complexity import Complexity, complexity, part_complexity
from senas.errors import ArchitectureError, OptionError, one_of
from senas.launch.options import check_one_of, parse_whole
from senas.references import REFERENCES, reference
from senas.se import Excitation, Integration, SEConfig, Squeeze


def architecture_from(source: str, *, se: str | None, se_stages: str | None) -> Architecture:
    """An architecture from a JSON file, or a reference by name with an SE block written as `r=16,integration=pre`.

    Raises:
        SenasError: neither, or SE arguments beside a file.
    """
    if source.endswith(".json"):
        if se is not None or se_stages is not None:
            raise OptionError(
                f"--se and --se-stages: {source} says itself where SE sits, they go with a reference name"
            )
        return Architecture.load(source)
    if source not in REFERENCES:
        raise ArchitectureError(f"architecture: {one_of(source, REFERENCES)}, or a path ending in .json")
    if se_stages is not None and se is None:
        raise OptionError("--se-stages: goes with --se, such as --se r=16")
    stages = None if se_stages is None else [parse_whole("--se-stages", item) for item in se_stages.split(",")]
    return reference(source, se=None if se is None else _parse_se(se), se_stages=stages)


def complexity_json(arch: Architecture) -> dict[str, object]:
    """Complexity as plain data: totals, then part by part with shapes and what its SE block adds."""
    bare = arch.without_se()

    def counts(whole: Complexity, plain: Complexity) -> dict[str, int]:
        return {
            "flops": whole.flops,
            "params": whole.params,
            "se_flops": whole.flops - plain.flops,
            "se_params": whole.params - plain.params,
        }

    parts = [
        {
            "part": part.key,
            "role": part.role,
            "kind": part.layer.kind,
            "stage": part.layer.stage if isinstance(part.layer, Cell) else None,
            "input": [part.inflow.channels, part.inflow.size, part.inflow.size],
            "output": [part.outflow.channels, part.outflow.size, part.outflow.size],
            **counts(part_complexity(part), part_complexity(plain)),
        }
        for part, plain in zip(arch.parts(), bare.parts(), strict=True)
    ]
    return {"digest": arch.digest, **counts(complexity(arch), complexity(bare)), "parts": parts}


def _parse_se(text: str) -> SEConfig:
    """Read `r=16,squeeze=max,bias=false`."""
    values: dict[str, str] = {}
    for item in text.split(","):
        key, equals, value = item.partition("=")
        name = {"r": "reduction"}.get(key.strip(), key.strip())
        known = [field.name for field in fields(SEConfig)]
        if name not in known or not equals:
            raise OptionError(f"--se: {one_of(item, [f'{key}=' for key in ('r', *known)])}")
        if name in values:
            raise OptionError(f"--se: found {name} twice in '{text}', allowed: once")
        values[name] = value.strip()
    if "reduction" not in values:
        raise OptionError(f"--se: found '{text}', expected at least r=, such as r=16")
    bias = check_one_of("--se bias", values.get("bias", "true"), ("true", "false")) == "true"
    return SEConfig(
        reduction=parse_whole("--se r", values["reduction"]),
        squeeze=cast(Squeeze, values.get("squeeze", "avg")),
        excitation=cast(Excitation, values.get("excitation", "sigmoid")),
        integration=cast(Integration, values.get("integration", "standard")),
        bias=bias,
        multiple=parse_whole("--se multiple", values.get("multiple", "1")),
    )
