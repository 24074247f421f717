"""A network as plain data: input, stem, cells, head. It can be built, stored and compared without a search space."""

import dataclasses
import functools
import json
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path

from senas.architecture.cells import Cell
from senas.architecture.layers import MAX_CHANNELS, Head, Operation, Shape, Stem
from senas.architecture.limits import MAX_ELEMENTS, NO_SIZE, NetworkSize, size_of
from senas.errors import ArchitectureError
from senas.io import canonical, digest_of, from_plain, load_json, read_plain, show, to_plain, write_json

MAX_SIZE = 4_096
MAX_CELLS = 1_024  # three times the cells of ResNet-1001


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """Shape of the network's input: (B, channels, size, size).

    Attributes:
        channels: Number of channels.
        size: Height = width in pixels.

    Raises:
        ArchitectureError: A number is outside its limits.
    """

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
        """Input shape of the stem."""
        return Shape(self.channels, self.size)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A layer together with its input shape: all that its cost depends on, and therefore the key of every cost table.

    Attributes:
        layer: Stem, cell or head.
        in_shape: Input shape of the layer.
    """

    layer: Stem | Cell | Head
    in_shape: Shape

    @property
    def layout(self) -> Operation:
        """Operations of the layer."""
        return self.layer.layout(self.in_shape)

    @property
    def out_shape(self) -> Shape:
        """Output shape of the layer; (classes, 1) for the head.

        Raises:
            ArchitectureError: The layer cannot take an input of that shape, or has no place for its SE block.
        """
        return _shape_and_size(self)[0]

    @property
    def network_size(self) -> NetworkSize:
        """Number of weights, multiply-adds and elements of the layer.

        Raises:
            ArchitectureError: As for `out_shape`.
        """
        return _shape_and_size(self)[1]

    @property
    def key(self) -> str:
        """Name of the part in tables: every field that its cost can depend on, and therefore not its stage.

        An example is `cell(channels=32, stride=2, se=(reduction=4)) on 16x32x32`; fields at their default are left out.
        """
        fields = canonical(self.layer)
        fields.pop("stage", None)
        if "se" in fields:
            fields["se"] = fields.pop("se")  # moved to the end, where it is easy to find
        return f"{self.role}{_format_fields(fields)} on {self.in_shape}"

    def without_se(self) -> "Part":
        """Return the same part without SE."""
        if not isinstance(self.layer, Cell):
            return self
        return dataclasses.replace(self, layer=dataclasses.replace(self.layer, se=None))

    @property
    def role(self) -> str:
        """Role of the layer: `stem`, `cell` or `head`."""
        return next(family.__name__.lower() for family in (Stem, Cell, Head) if isinstance(self.layer, family))


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One network, described completely. Immutable, hashable, with a JSON round trip.

    Attributes:
        input: Shape of the input.
        stem: First layers.
        cells: Cells in order, with stages in ascending order.
        head: Last layers.

    Raises:
        ArchitectureError: A layer cannot take its input, in which case the message names the stage; or the network
            exceeds the limits of `senas.architecture.limits`.
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
            raise ArchitectureError(f"cells: stages: found {show(stages)}, expected ascending order")
        self.network_size.check()

    def _check_layers(self) -> None:
        """Raise `ArchitectureError` for a layer of an unregistered kind, which JSON could not be read back to."""
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
        """Yield stem, cells and head in order, each with its input shape."""
        in_shape = self.input.shape
        for layer in (self.stem, *self.cells, self.head):
            part = Part(layer=layer, in_shape=in_shape)
            yield part
            in_shape = part.out_shape

    @property
    def network_size(self) -> NetworkSize:
        """Number of weights, multiply-adds and elements of the network."""
        return functools.reduce(operator.add, (part.network_size for part in self.parts()), NO_SIZE)

    @property
    def stages(self) -> tuple[int, ...]:
        """Numbers of the stages, in order."""
        return tuple(dict.fromkeys(cell.stage for cell in self.cells))

    def stage(self, number: int) -> tuple[Cell, ...]:
        """Return the cells of one stage."""
        return tuple(cell for cell in self.cells if cell.stage == number)

    @cached_property
    def digest(self) -> str:
        """Digest of 16 hexadecimal digits that identifies this architecture, see `senas.io.digest_of`."""
        return digest_of(self)

    def without_se(self) -> "Architecture":
        """Return the same network without SE in any cell."""
        return dataclasses.replace(self, cells=tuple(dataclasses.replace(cell, se=None) for cell in self.cells))

    def describe_se(self) -> str:
        """Return the SE choices, one group per stage: `2[r4 -] 3[r8/pre - -] 4[6x r8]`; `-` is a cell without SE."""

        def describe(number: int) -> str:
            runs = [(text, len(list(run))) for text, run in groupby(str(cell.se or "-") for cell in self.stage(number))]
            return " ".join(f"{count}x {text}" if count > 3 else " ".join([text] * count) for text, count in runs)

        return " ".join(f"{number}[{describe(number)}]" for number in self.stages)

    def to_json(self) -> str:
        """Return the architecture as JSON text, which `from_json` reads back."""
        return json.dumps(to_plain(self))

    @classmethod
    def from_json(cls, text: str) -> "Architecture":
        """Return the architecture of a JSON text that `to_json` wrote.

        Raises:
            SenasError: The text is not JSON, has an unknown key, or describes a network that cannot be built.
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
        """Read an architecture from a JSON file, its own or one of `senas complexity --json`.

        Of the latter the architecture alone is read, and the digest beside it is checked.

        Raises:
            SenasError: The file is missing, does not contain an architecture, or says another digest of it.
        """
        data = read_plain(Path(path))
        if not (isinstance(data, dict) and {"architecture", "digest"} <= data.keys()):
            return from_plain(cls, data, str(path))
        arch = from_plain(cls, data["architecture"], f"{path}: architecture")
        if data["digest"] != arch.digest:
            raise ArchitectureError(f"{path}: digest: found {show(data['digest'])}, its architecture has {arch.digest}")
        return arch


@lru_cache(maxsize=65_536)
def _shape_and_size(part: Part) -> tuple[Shape, NetworkSize]:
    """Return the output shape and the size of a part."""
    layer = part.layer
    try:
        layout = part.layout
        if isinstance(layer, Cell):
            layer.check_place(layout)
        out_shape = layout.shape(part.in_shape)
        if isinstance(layer, Head) and out_shape != (layer.classes, 1):
            raise ArchitectureError(
                f"classes: found a layout that gives {out_shape.channels}, expected {layer.classes}"
            )
        return out_shape, size_of(layout, part.in_shape)
    except ArchitectureError as error:
        where = f"stage {layer.stage}: {layer.kind} cell" if isinstance(layer, Cell) else part.role
        raise ArchitectureError(f"{where}: {error}") from None


def _format_fields(value: object) -> str:
    """Return a value as text, and a dictionary as `(name=value, ...)`."""
    if not isinstance(value, dict):
        return str(value)
    return f"({', '.join(f'{name}={_format_fields(item)}' for name, item in value.items())})"


def _check_range(name: str, value: int, limit: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= limit:
        raise ArchitectureError(f"{name}: found {value!r}, allowed: 1 to {limit}")
