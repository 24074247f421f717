"""One network as plain data: stem, cells, head. It needs no search space to be built, stored or compared."""

import dataclasses
import functools
import json
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path

from senas.cells import Cell
from senas.demand import MAX_ELEMENTS, NOTHING, Demand, demand_of
from senas.errors import ArchitectureError
from senas.layers.heads import Head
from senas.layers.layer import MAX_CHANNELS
from senas.layers.layout import Operation, Shape
from senas.layers.stems import Stem
from senas.parsing import canonical, digest_of, from_plain, load_json, read_json, to_plain, write_json
from senas.text import show

MAX_SIZE = 4_096
MAX_CELLS = 1_024  # three times those of ResNet-1001


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """What flows into the network: (B, channels, size, size)."""

    channels: int
    size: int

    def __post_init__(self) -> None:
        _check_range("input channels", self.channels, MAX_CHANNELS)
        _check_range("input size", self.size, MAX_SIZE)
        elements = self.channels * self.size**2
        if elements > MAX_ELEMENTS:
            raise ArchitectureError(f"input: found {elements} elements, allowed: at most {MAX_ELEMENTS}")

    @property
    def shape(self) -> Shape:
        """What flows into the stem."""
        return Shape(self.channels, self.size)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A layer together with what flows into it: all that its cost depends on, and so the key of every cost table.

    Attributes:
        layer: the stem, a cell, or the head.
        inflow: what flows in.
    """

    layer: Stem | Cell | Head
    inflow: Shape

    @property
    def layout(self) -> Operation:
        """The operations of the layer."""
        return self.layer.layout(self.inflow)

    @property
    def outflow(self) -> Shape:
        """What flows out; (classes, 1) for the head.

        Raises:
            ArchitectureError: the layer cannot take what flows in, or has no place for its SE block.
        """
        return _flow(self)[0]

    @property
    def demand(self) -> Demand:
        """What the layer asks of a device.

        Raises:
            ArchitectureError: as for `outflow`.
        """
        return _flow(self)[1]

    @property
    def key(self) -> str:
        """The name of the part in tables: every field that its cost can depend on, so not its stage.

        Such as `cell(channels=32, stride=2, se=(reduction=4)) on 16x32x32`; fields at their default are left out.
        """
        fields = canonical(self.layer)
        fields.pop("stage", None)
        if "se" in fields:
            fields["se"] = fields.pop("se")  # last, where the eye looks for it
        return f"{self.role}{_words(fields)} on {self.inflow}"

    def without_se(self) -> "Part":
        """The same part with no SE."""
        if not isinstance(self.layer, Cell):
            return self
        return dataclasses.replace(self, layer=dataclasses.replace(self.layer, se=None))

    @property
    def role(self) -> str:
        """`stem`, `cell` or `head`."""
        return next(family.__name__.lower() for family in (Stem, Cell, Head) if isinstance(self.layer, family))


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One network, described completely. Immutable, hashable, with a JSON round trip.

    Attributes:
        input: what flows in.
        stem: the first layers.
        cells: in order; stages never go back.
        head: the last layers.

    Raises:
        ArchitectureError: a layer cannot take what flows into it; the message names the stage. Or the network is larger
            than `senas.demand` allows.
    """

    input: Input
    stem: Stem
    cells: tuple[Cell, ...]
    head: Head

    def __post_init__(self) -> None:
        self._check_layers()
        if not 1 <= len(self.cells) <= MAX_CELLS:
            raise ArchitectureError(f"cells: found {len(self.cells)}, allowed: 1 to {MAX_CELLS}")
        stages = [cell.stage for cell in self.cells]
        if stages != sorted(stages):
            raise ArchitectureError(f"cells: stages must not go back, found {show(stages)}")
        self.demand.check()

    def _check_layers(self) -> None:
        """Every layer must be of a registered kind: what a JSON text says of it has to mean the same layer."""
        if not isinstance(self.cells, tuple):
            raise ArchitectureError(f"cells: found a {type(self.cells).__name__}, expected a tuple")
        for family, layers in ((Stem, (self.stem,)), (Cell, self.cells), (Head, (self.head,))):
            for layer in layers:
                if not isinstance(layer, family) or family.kinds.get(layer.kind) is not type(layer):
                    name = family.__name__
                    raise ArchitectureError(
                        f"{name.lower()}: found a {type(layer).__name__}, expected a registered kind of {name}, "
                        f"see {name}.register"
                    )

    def parts(self) -> Iterator[Part]:
        """Yield stem, cells and head in order, each with what flows into it."""
        flow = self.input.shape
        for layer in (self.stem, *self.cells, self.head):
            part = Part(layer=layer, inflow=flow)
            yield part
            flow = part.outflow

    @property
    def demand(self) -> Demand:
        """What the network asks of a device."""
        return functools.reduce(operator.or_, (part.demand for part in self.parts()), NOTHING)

    @property
    def stages(self) -> tuple[int, ...]:
        """The numbers of the stages, in order."""
        return tuple(dict.fromkeys(cell.stage for cell in self.cells))

    def stage(self, number: int) -> tuple[Cell, ...]:
        """The cells of one stage."""
        return tuple(cell for cell in self.cells if cell.stage == number)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that name this architecture, see `senas.parsing.digest_of`."""
        return digest_of(self)

    def without_se(self) -> "Architecture":
        """The same network with no SE anywhere."""
        return dataclasses.replace(self, cells=tuple(dataclasses.replace(cell, se=None) for cell in self.cells))

    def describe_se(self) -> str:
        """Where SE sits, one group per stage: `2[r4 -] 3[r8/pre - -] 4[6x r8]`; `-` is a cell without SE."""

        def words(number: int) -> str:
            runs = [(text, len(list(run))) for text, run in groupby(str(cell.se or "-") for cell in self.stage(number))]
            return " ".join(f"{count}x {text}" if count > 3 else " ".join([text] * count) for text, count in runs)

        return " ".join(f"{number}[{words(number)}]" for number in self.stages)

    def to_json(self) -> str:
        """The architecture as one JSON text; `from_json` reads it back."""
        return json.dumps(to_plain(self))

    @classmethod
    def from_json(cls, text: str) -> "Architecture":
        """Read what `to_json` wrote.

        Raises:
            SenasError: not JSON, an unknown key, or a network that cannot be built.
        """
        try:
            data = load_json(text)
        except (ValueError, RecursionError) as error:
            raise ArchitectureError(f"architecture: not JSON ({error})") from None
        return from_plain(cls, data, "architecture")

    def save(self, path: Path | str) -> None:
        """Write the architecture as a JSON file."""
        write_json(Path(path), self)

    @classmethod
    def load(cls, path: Path | str) -> "Architecture":
        """Read an architecture from a JSON file.

        Raises:
            SenasError: the file is missing or does not hold an architecture.
        """
        return read_json(Path(path), cls)


@lru_cache(maxsize=65_536)
def _flow(part: Part) -> tuple[Shape, Demand]:
    """What flows out of a part, and what it asks of a device."""
    layer = part.layer
    try:
        layout = part.layout
        if isinstance(layer, Cell):
            layer.check_place(layout)
        outflow = layout.shape(part.inflow)
        if isinstance(layer, Head) and outflow != (layer.classes, 1):
            raise ArchitectureError(f"classes: found a layout that gives {outflow.channels}, expected {layer.classes}")
        return outflow, demand_of(layout, part.inflow)
    except ArchitectureError as error:
        where = f"stage {layer.stage}: {layer.kind} cell" if isinstance(layer, Cell) else part.role
        raise ArchitectureError(f"{where}: {error}") from None


def _words(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    return f"({', '.join(f'{name}={_words(item)}' for name, item in value.items())})"


def _check_range(name: str, value: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ArchitectureError(f"{name}: found {value!r}, allowed: 1 to {most}")
