"""FLOPs and parameters, counted by fvcore once per distinct part and summed.

FLOPs are multiply-adds as fvcore counts them for convolutions and linear layers, plus one per input element of a global
pooling, average and max alike, in evaluation mode at batch 1; batch norm and element-wise operations are excluded. This
count reproduces the tables of Hu et al. 2018.

torch and fvcore are imported by the functions that count: importing them takes seconds, and costs that were counted
before are read without them.
"""

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from senas.architecture import Architecture, Part

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True, slots=True)
class Complexity:
    """Exact complexity.

    Attributes:
        flops: Multiply-adds of one forward pass at batch 1.
        params: Number of trainable parameters.
    """

    flops: int
    params: int

    def __add__(self, other: "Complexity") -> "Complexity":
        return Complexity(flops=self.flops + other.flops, params=self.params + other.params)


def complexity(arch: Architecture) -> Complexity:
    """Return the FLOPs and parameters of an architecture.

    They are a sum over its parts, each distinct part counted once per process.
    """
    total = Complexity(flops=0, params=0)
    for part in arch.parts():
        total += part_complexity(part)
    return total


@lru_cache(maxsize=65_536)
def part_complexity(part: Part) -> Complexity:
    """Return the FLOPs and parameters of one part."""
    from senas.nn import build_part

    return count_module(build_part(part), part.in_shape.batch(1))


def whole_network_complexity(arch: Architecture) -> Complexity:
    """Return FLOPs and parameters by tracing the whole network, which is slow; tests hold `complexity` against it."""
    from senas.nn import build_network

    return count_module(build_network(arch), arch.input.shape.batch(1))


def count_module(module: "nn.Module", input_shape: tuple[int, ...]) -> Complexity:
    """Return the FLOPs and parameters of any torch module.

    Args:
        module: Module to count; it is put into evaluation mode.
        input_shape: Shape of its one input, batch included.
    """
    import torch
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(module.eval(), torch.zeros(input_shape))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    analysis.set_op_handle(
        **{
            "aten::batch_norm": _nothing,  # `None` would leave fvcore's own handle in place
            "aten::adaptive_avg_pool2d": _input_elements,
            "aten::adaptive_max_pool2d": _input_elements,
        }
    )
    params = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    return Complexity(flops=int(analysis.total()), params=params)


def _nothing(inputs: list[Any], outputs: list[Any]) -> Counter[str]:  # noqa: ARG001  # fvcore's signature
    return Counter()


def _input_elements(inputs: list[Any], outputs: list[Any]) -> Counter[str]:  # noqa: ARG001  # fvcore's signature
    return Counter({"global_pool": math.prod(inputs[0].type().sizes())})
