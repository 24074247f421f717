"""The base class of stems, cells and heads: checked fields and a layout."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

from senas.architecture.layers.layout import Operation, Shape
from senas.errors import ArchitectureError
from senas.io import KindRegistry, check_types

MAX_CHANNELS = 8_192

# smallest and largest value of a field by its name, in every kind of layer
_LIMITS: dict[str, tuple[int, int]] = {
    "stage": (1, 99),
    "channels": (1, MAX_CHANNELS),
    "stride": (1, 4),
    "kernel": (1, 31),
    "groups": (1, MAX_CHANNELS),
    "expansion": (1, 64),
    "features": (1, MAX_CHANNELS),
    "hidden": (1, MAX_CHANNELS),
    "classes": (1, MAX_CHANNELS),
    "pointwise": (0, MAX_CHANNELS),
    "pooled": (0, MAX_CHANNELS),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer(KindRegistry, ABC):
    """A layer of an architecture. Every field is checked against its declared type and the limits of its name.

    Raises:
        SenasError: A field has another type or is outside its limits.
    """

    def __post_init__(self) -> None:
        check_types(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _LIMITS and isinstance(value, (int, float)):
                least, most = _LIMITS[field.name]
                if not least <= value <= most:
                    raise ArchitectureError(f"{self.kind}: {field.name}: found {value}, allowed: {least} to {most}")

    @abstractmethod
    def layout(self, in_shape: Shape) -> Operation:
        """Return the operations of the layer.

        Args:
            in_shape: Shape of the layer's input.
        """
