"""A search space: a backbone's stages and the choices in them; a sample of the choices is one architecture."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np

from senas.architecture import Architecture, Input, Part
from senas.cells import Cell
from senas.errors import ArchitectureError, SpaceError
from senas.layers.heads import Head
from senas.layers.layout import Shape
from senas.layers.stems import Stem
from senas.parsing import digest_of
from senas.se import SEConfig

Layer = TypeVar("Layer", Cell, Stem)
Option = int | SEConfig | None
Sample = Mapping[str, Option]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One choice of a space.

    Attributes:
        label: its name in a sample, such as `se.stage4.cell1`.
        options: what there is to choose from, at least two.
    """

    label: str
    options: tuple[Option, ...]


@dataclass(frozen=True, kw_only=True)
class StageSpace:
    """What may vary in one stage.

    Attributes:
        cells: the backbone's cells; the last one is repeated where a depth asks for more.
        depths: numbers of cells.
        widths: output channels of every cell of the stage; `None` keeps the backbone's, cell by cell.
        se: SE blocks, `None` for no SE.
        se_per: whether each cell makes its own SE choice or the stage makes one for all.
    """

    cells: tuple[Cell, ...]
    depths: tuple[int, ...]
    widths: tuple[int | None, ...]
    se: tuple[SEConfig | None, ...]
    se_per: Literal["cell", "stage"] = "cell"

    def __post_init__(self) -> None:
        for name in ("cells", "depths", "widths", "se"):
            if not getattr(self, name):
                raise SpaceError(f"stage: {name}: found none, expected at least one")
        if min(self.depths) < 1:
            raise SpaceError(f"stage {self.number}: depths: found {min(self.depths)}, allowed: at least 1")

    @property
    def number(self) -> int:
        """The stage's number as in the paper."""
        return self.cells[0].stage

    def cell(self, index: int, width: int | None, se: SEConfig | None) -> Cell:
        """The cell at an index of the stage; beyond the backbone's cells its last one again, at stride 1."""
        cell = self.cells[min(index, len(self.cells) - 1)]
        if index >= len(self.cells):
            cell = _vary(cell, stride=1)
        if width is not None:
            cell = _vary(cell, channels=width)
        return replace(cell, se=se)

    def parts(self, inflow: Shape, width: int | None, depth: int, se: SEConfig | None) -> tuple[Part, ...]:
        """The stage's cells, all with the same SE choice, where `inflow` flows in."""
        parts: list[Part] = []
        for index in range(depth):
            parts.append(Part(layer=self.cell(index, width, se), inflow=inflow))
            inflow = parts[-1].outflow
        return tuple(parts)

    def se_label(self, index: int) -> str:
        """The label of the SE choice that the cell at an index follows."""
        return f"se.stage{self.number}.cell{index + 1}" if self.se_per == "cell" else f"se.stage{self.number}"

    def choices(self) -> Iterator[Choice]:
        """All choices of the stage, single options included."""
        yield Choice(label=f"depth.stage{self.number}", options=self.depths)
        yield Choice(label=f"width.stage{self.number}", options=self.widths)
        labels = dict.fromkeys(self.se_label(index) for index in range(max(self.depths)))
        yield from (Choice(label=label, options=self.se) for label in labels)


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """A template and its choices. `load_space` reads one from a TOML file.

    Attributes:
        name: of the space.
        backbone: the reference architecture that it varies.
        input: what flows in.
        stem: the first layers; their channels are a choice among `stem_widths`.
        stem_widths: channels of the stem; `None` keeps the backbone's.
        stages: what varies, stage by stage.
        head: the last layers.

    Raises:
        SpaceError: some reachable cell cannot take what flows into it; the message names the stage.
    """

    name: str
    backbone: str
    input: Input
    stem: Stem
    stem_widths: tuple[int | None, ...]
    stages: tuple[StageSpace, ...]
    head: Head

    def __post_init__(self) -> None:
        if not self.stages or not self.stem_widths:
            raise SpaceError(f"space {self.name}: found no stages or no stem widths, expected at least one")
        try:
            for part in self.parts:
                part.outflow  # noqa: B018  # raises where a layer does not fit
        except ArchitectureError as error:
            raise SpaceError(f"space {self.name}: {error}") from None

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """Every choice with at least two options, in the order of the network."""
        stem = Choice(label="width.stem", options=self.stem_widths)
        every = itertools.chain([stem], *(stage.choices() for stage in self.stages))
        return tuple(choice for choice in every if len(choice.options) > 1)

    @cached_property
    def size(self) -> int:
        """The number of distinct architectures; choices of inactive cells do not count."""
        size = len(self.stem_widths)
        for stage in self.stages:
            blocks = len(stage.se)
            ways = len(stage.depths) * blocks if stage.se_per == "stage" else sum(blocks**d for d in stage.depths)
            size *= len(stage.widths) * ways
        return size

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that name this space, whatever its file is called."""
        return digest_of(self)

    def architecture(self, sample: Sample) -> Architecture:
        """The architecture of a sample; labels of inactive cells are ignored.

        Args:
            sample: an option for every label of `choices`.

        Raises:
            SpaceError: a label is missing or holds something else than one of its options.
        """

        def pick(label: str, options: tuple[Option, ...]) -> Option:
            if len(options) == 1:
                return options[0]
            if label not in sample:
                raise SpaceError(f"sample of space {self.name}: missing choice '{label}'")
            if sample[label] not in options:
                allowed = ", ".join("off" if option is None else str(option) for option in options)
                raise SpaceError(f"sample of space {self.name}: {label}: found {sample[label]}, allowed: {allowed}")
            return sample[label]

        cells: list[Cell] = []
        for stage in self.stages:
            depth = pick(f"depth.stage{stage.number}", stage.depths)
            width = pick(f"width.stage{stage.number}", stage.widths)
            assert isinstance(depth, int)
            assert width is None or isinstance(width, int)
            for index in range(depth):
                se = pick(stage.se_label(index), stage.se)
                assert se is None or isinstance(se, SEConfig)
                cells.append(stage.cell(index, width, se))
        width = pick("width.stem", self.stem_widths)
        assert width is None or isinstance(width, int)
        return Architecture(input=self.input, stem=self.stem_of(width), cells=tuple(cells), head=self.head)

    def sample(self, rng: np.random.Generator) -> dict[str, Option]:
        """Draw every choice independently and uniformly."""
        return {choice.label: choice.options[rng.integers(len(choice.options))] for choice in self.choices}

    def random(self, rng: np.random.Generator) -> Architecture:
        """The architecture of a uniform sample."""
        return self.architecture(self.sample(rng))

    def stem_of(self, width: int | None) -> Stem:
        """The stem at one of `stem_widths`."""
        return self.stem if width is None else _vary(self.stem, channels=width)

    @cached_property
    def stems(self) -> tuple[Part, ...]:
        """The stem at each of `stem_widths`."""
        return tuple(Part(layer=self.stem_of(width), inflow=self.input.shape) for width in self.stem_widths)

    @cached_property
    def flows(self) -> tuple[tuple[Shape, ...], ...]:
        """The distinct shapes that can flow into each stage and, last, into the head."""
        reached = [dict.fromkeys(stem.outflow for stem in self.stems)]
        for stage in self.stages:
            onward: dict[Shape, None] = {}
            for inflow, width in itertools.product(reached[-1], stage.widths):
                parts = stage.parts(inflow, width, max(stage.depths), None)
                onward |= dict.fromkeys(parts[depth - 1].outflow for depth in stage.depths)
            reached.append(onward)
        return tuple(map(tuple, reached))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every distinct part that some architecture of the space contains, in the order of the network."""
        found = dict.fromkeys(self.stems)
        for stage, inflows in zip(self.stages, self.flows[:-1], strict=True):
            for inflow, width, se in itertools.product(inflows, stage.widths, stage.se):
                found |= dict.fromkeys(stage.parts(inflow, width, max(stage.depths), se))
        found |= dict.fromkeys(Part(layer=self.head, inflow=inflow) for inflow in self.flows[-1])
        return tuple(found)

    def extreme(self, cost: Callable[[Part], float], *, largest: bool = False) -> Architecture:
        """The architecture whose parts' costs have the smallest sum, exactly.

        A part's cost depends on its layer and what flows into it, so stages meet only in what flows from one to the
        next: dynamic programming over those flows covers every architecture without listing them.

        Args:
            cost: of a part, in any unit; called often, so a table look-up at best.
            largest: find the largest sum instead.
        """

        def total(parts: Sequence[Part]) -> float:
            return (-1.0 if largest else 1.0) * sum(map(cost, parts))

        best: dict[Shape, tuple[Part, ...]] = {}  # what flows out -> the cheapest parts so far

        def keep(parts: tuple[Part, ...]) -> None:
            flow = parts[-1].outflow
            if flow not in best or total(parts) < total(best[flow]):
                best[flow] = parts

        for stem in self.stems:
            keep((stem,))
        for stage in self.stages:
            reached, best = best, {}
            for (inflow, so_far), width, depth in itertools.product(reached.items(), stage.widths, stage.depths):
                rows = [stage.parts(inflow, width, depth, se) for se in stage.se]
                if stage.se_per == "stage":
                    keep(so_far + min(rows, key=total))
                else:
                    columns = zip(*rows, strict=True)
                    keep(so_far + tuple(min(column, key=lambda part: total([part])) for column in columns))
        heads = {flow: Part(layer=self.head, inflow=flow) for flow in best}
        stem, *cells = min(best.values(), key=lambda parts: total((*parts, heads[parts[-1].outflow])))
        assert isinstance(stem.layer, Stem)
        return Architecture(
            input=self.input,
            stem=stem.layer,
            cells=tuple(part.layer for part in cells if isinstance(part.layer, Cell)),
            head=self.head,
        )


def _vary(layer: Layer, **values: int) -> Layer:
    """The layer with another number of channels or another stride.

    Raises:
        SpaceError: the layer has no such number.
    """
    for name in values.keys() - {field.name for field in fields(layer)}:
        where = f"stage {layer.stage}: a {layer.kind} cell" if isinstance(layer, Cell) else f"the {layer.kind} stem"
        raise SpaceError(f"{where} has no {name} to vary")
    return replace(layer, **values)
