"""Predictor features of a part that need no measurement: weight bytes and number of operations."""

from functools import lru_cache

from senas.architecture import SE, Branches, Operation, Part
from senas.latency.prediction.calibration import PredictorFeatures

_SE_OPERATIONS = 6  # pooling, two layers, two activations, the multiplication


@lru_cache(maxsize=65_536)
def structural_features(part: Part, bytes_per_weight: int = 4) -> PredictorFeatures:
    """Return the weight bytes and operations of a part, with a latency of 0."""
    return PredictorFeatures(
        entries_ms=0.0,
        weight_bytes=part.network_size.weights * bytes_per_weight,
        operations=sum(map(_operations, part.layout.walk())),
    )


def _operations(operation: Operation) -> int:
    """Return the number of operations that one node of a layout issues itself."""
    if isinstance(operation, SE):
        return _SE_OPERATIONS if operation.config is not None else 0
    return int(isinstance(operation, Branches) or not operation.inner)
