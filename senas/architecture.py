"""One network as plain data: stem, cells, head. It needs no search space to be built, stored or compared."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from senas.errors import ArchitectureError, one_of
from senas.parsing import canonical, digest_of, from_plain, read_json, to_plain, write_json

Squeeze = Literal["avg", "max", "none"]
Excitation = Literal["sigmoid", "hardsigmoid", "tanh", "relu"]
Integration = Literal["standard", "pre", "post", "identity", "inner"]

MAX_CHANNELS = 8_192
MAX_SIZE = 4_096
MAX_CELLS = 4_096


@dataclass(frozen=True, kw_only=True, slots=True)
class SEConfig:
    """The atomic choice of every cell: how its Squeeze-and-Excitation block looks. "No SE" is `None`.

    Attributes:
        reduction: r of Hu et al. 2018, section 3.2: the hidden layer has channels // r units.
        squeeze: how each channel becomes one number; `none` skips the pooling (Hu et al. 2018, section 7.1, NoSqueeze).
        excitation: the gate's activation (section 6.3; `hardsigmoid` as in MobileNetV3, Howard et al. 2019).
        integration: where in the cell the block sits (section 6.5, figure 5): `standard` after the branch's last batch
            norm, `pre` before the branch, `post` after the addition and its ReLU, `identity` on the skip path,
            `inner` right after the (first) 3x3 convolution with its batch norm and ReLU, the paper's SE_3x3.
        bias: whether the two layers have biases (the paper's ablations go without).
    """

    reduction: int
    squeeze: Squeeze = "avg"
    excitation: Excitation = "sigmoid"
    integration: Integration = "standard"
    bias: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.reduction, bool) or not isinstance(self.reduction, int) or self.reduction < 1:
            raise ArchitectureError(f"SE reduction: found {self.reduction!r}, expected a whole number of at least 1")
        for name, literal in (("squeeze", Squeeze), ("excitation", Excitation), ("integration", Integration)):
            value = getattr(self, name)
            if value not in get_args(literal):
                raise ArchitectureError(f"SE {name}: {one_of(str(value), get_args(literal))}")

    def hidden(self, channels: int) -> int:
        """Units of the hidden layer for a block on `channels` channels, rounded down as the authors' models do.

        Raises:
            ArchitectureError: the reduction is larger than the channels.
        """
        if self.reduction > channels:
            raise ArchitectureError(f"SE reduction: found {self.reduction}, allowed: at most its {channels} channels")
        return channels // self.reduction

    def __str__(self) -> str:
        parts = [f"r{self.reduction}"]
        parts += [value for value in (self.integration, self.squeeze, self.excitation) if value not in _USUAL]
        return "/".join(parts if self.bias else [*parts, "nobias"])


_USUAL = ("standard", "avg", "sigmoid")


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """What flows into the network: (B, channels, size, size)."""

    channels: int
    size: int

    def __post_init__(self) -> None:
        _check_range("input channels", self.channels, MAX_CHANNELS)
        _check_range("input size", self.size, MAX_SIZE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stem:
    """The first layers. `conv3x3`: 3x3 convolution, batch norm, ReLU, at full resolution (ResNet for CIFAR)."""

    kind: Literal["conv3x3"] = "conv3x3"
    channels: int

    def __post_init__(self) -> None:
        _check_range("stem channels", self.channels, MAX_CHANNELS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One block of the network, the place where one SE choice is made.

    Attributes:
        kind: a key of `CELL_KINDS`.
        stage: numbered as the paper does: conv2_x is stage 2.
        channels: output channels.
        stride: of the first convolution.
        se: the SE block, or `None` for no SE.
    """

    kind: str = "basic"
    stage: int
    channels: int
    stride: int = 1
    se: SEConfig | None = None

    def __post_init__(self) -> None:
        if self.kind not in CELL_KINDS:
            raise ArchitectureError(f"cell kind: {one_of(str(self.kind), CELL_KINDS)}")
        _check_range("stage", self.stage, 99)
        _check_range("cell channels", self.channels, MAX_CHANNELS)
        _check_range("cell stride", self.stride, 4)
        if self.se is not None and self.se.integration not in CELL_KINDS[self.kind].integrations:
            raise ArchitectureError(
                f"SE integration of a {self.kind} cell: "
                + one_of(self.se.integration, CELL_KINDS[self.kind].integrations)
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class CellKind:
    """What a description has to know of a kind of cell.

    Attributes:
        integrations: where such a cell can host an SE block.
        narrows: whether it can have fewer output than input channels.
    """

    integrations: frozenset[str]
    narrows: bool


CELL_KINDS: dict[str, CellKind] = {
    # Two 3x3 convolutions and a parameter-free shortcut that pads with zeros (option A of He et al. 2016, section 4.2).
    "basic": CellKind(integrations=frozenset(get_args(Integration)), narrows=False),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The last layers. `linear`: global average pooling and one linear layer to the class logits."""

    kind: Literal["linear"] = "linear"
    classes: int

    def __post_init__(self) -> None:
        _check_range("classes", self.classes, MAX_CHANNELS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A layer together with what flows into it: all that its cost depends on, and so the key of every cost table.

    Attributes:
        layer: the stem, a cell, or the head.
        channels: channels flowing in.
        size: height = width flowing in.
    """

    layer: Stem | Cell | Head
    channels: int
    size: int

    @property
    def out_channels(self) -> int:
        """Channels flowing out (class logits for the head)."""
        return self.layer.classes if isinstance(self.layer, Head) else self.layer.channels

    @property
    def out_size(self) -> int:
        """Height = width flowing out (1 for the head)."""
        if isinstance(self.layer, Head):
            return 1
        if isinstance(self.layer, Stem):
            return self.size
        return -(-self.size // self.layer.stride)  # a 3x3 convolution with padding 1 rounds up

    def check(self) -> None:
        """Raise `ArchitectureError` where the layer cannot take what flows in."""
        if not isinstance(self.layer, Cell):
            return
        if self.layer.channels < self.channels and not CELL_KINDS[self.layer.kind].narrows:
            raise ArchitectureError(
                f"stage {self.layer.stage}: a {self.layer.kind} cell of {self.layer.channels} channels "
                f"cannot follow {self.channels} channels, allowed: at least {self.channels}"
            )
        if self.layer.se is not None:
            try:
                self.layer.se.hidden(self.se_channels)
            except ArchitectureError as error:
                raise ArchitectureError(f"stage {self.layer.stage}: {error}") from None

    @property
    def se_channels(self) -> int:
        """Channels that the cell's SE block recalibrates: what flows in for `pre`, else what flows out."""
        if isinstance(self.layer, Cell) and self.layer.se is not None and self.layer.se.integration == "pre":
            return self.channels
        return self.out_channels

    @property
    def key(self) -> str:
        """The name of the part in tables: every field that its cost can depend on, so not its stage.

        Such as `cell(channels=32, stride=2, se=(reduction=4)) on 16x32x32`; fields at their default are left out.
        """
        fields = {name: value for name, value in canonical(self.layer).items() if name != "stage"}
        return f"{self.name}{_words(fields)} on {self.channels}x{self.size}x{self.size}"

    @property
    def name(self) -> str:
        """`stem`, `cell` or `head`."""
        return type(self.layer).__name__.lower()


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One network, described completely. Immutable, hashable, with a JSON round trip.

    Attributes:
        input: what flows in.
        stem: the first layers.
        cells: in order; stages never go back.
        head: the last layers.

    Raises:
        ArchitectureError: a layer cannot take what flows into it; the message names the stage.
    """

    input: Input
    stem: Stem
    cells: tuple[Cell, ...]
    head: Head

    def __post_init__(self) -> None:
        if not 1 <= len(self.cells) <= MAX_CELLS:
            raise ArchitectureError(f"cells: found {len(self.cells)}, allowed: 1 to {MAX_CELLS}")
        stages = [cell.stage for cell in self.cells]
        if stages != sorted(stages):
            raise ArchitectureError(f"cells: stages must not go back, found {stages}")
        for part in self.parts():
            part.check()

    def parts(self) -> Iterator[Part]:
        """Yield stem, cells and head in order, each with the channels and size flowing into it."""
        channels, size = self.input.channels, self.input.size
        for layer in (self.stem, *self.cells, self.head):
            part = Part(layer=layer, channels=channels, size=size)
            yield part
            channels, size = part.out_channels, part.out_size

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
        """Where SE sits, one group per stage: `2[r4 -] 3[r8/pre - -] 4[- -]`; `-` is a cell without SE."""
        stages = (" ".join(str(cell.se) if cell.se else "-" for cell in self.stage(stage)) for stage in self.stages)
        return " ".join(f"{number}[{cells}]" for number, cells in zip(self.stages, stages, strict=True))

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
            data = json.loads(text)
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


def _words(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    return f"({', '.join(f'{name}={_words(item)}' for name, item in value.items())})"


def _check_range(name: str, value: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ArchitectureError(f"{name}: found {value!r}, allowed: 1 to {most}")
