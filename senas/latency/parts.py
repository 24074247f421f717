"""What of a part's latency is known without a clock: its weights, and how many operations it issues."""

from functools import lru_cache

from senas.architecture import Part
from senas.latency.calibration import Load
from senas.layers.layout import Branches, Operation
from senas.layers.operations import SE
from senas.nn.network import build_part

_SE_OPERATIONS = 6  # pooling, two layers, two activations, the product


@lru_cache(maxsize=65_536)
def load_of(part: Part, bytes_per_weight: int = 4) -> Load:
    """Weight bytes and operations of a part; its latency is not known here and 0."""
    weights = sum(weight.numel() for weight in build_part(part).parameters())
    return Load(
        entries_ms=0.0,
        weight_bytes=weights * bytes_per_weight,
        operations=sum(map(_operations, part.layout.walk())),
    )


def _operations(operation: Operation) -> int:
    if isinstance(operation, SE):
        return _SE_OPERATIONS if operation.config is not None else 0
    return int(isinstance(operation, Branches) or not operation.inner)
