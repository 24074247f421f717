"""A search space: a backbone's stages and the choices in them; a sample of the choices is one architecture."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from senas.architecture import Architecture, Cell, Head, Input, Part, SEConfig, Stem
from senas.errors import SpaceError
from senas.parsing import digest_of

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
        cell = self.cells[index] if index < len(self.cells) else replace(self.cells[-1], stride=1)
        return replace(cell, channels=cell.channels if width is None else width, se=se)

    def parts(self, channels: int, size: int, width: int | None, depth: int, se: SEConfig | None) -> tuple[Part, ...]:
        """The stage's cells, all with the same SE choice, where (channels, size) flows in."""
        parts: list[Part] = []
        for index in range(depth):
            part = Part(layer=self.cell(index, width, se), channels=channels, size=size)
            parts.append(part)
            channels, size = part.out_channels, part.out_size
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
        stem_widths: channels of the stem.
        stages: what varies, stage by stage.
        head: the last layers.

    Raises:
        SpaceError: some reachable cell cannot take what flows into it; the message names the stage.
    """

    name: str
    backbone: str
    input: Input
    stem: Stem
    stem_widths: tuple[int, ...]
    stages: tuple[StageSpace, ...]
    head: Head

    def __post_init__(self) -> None:
        if not self.stages or not self.stem_widths:
            raise SpaceError(f"space {self.name}: found no stages or no stem widths, expected at least one")
        for part in self.parts:
            try:
                part.check()
            except ValueError as error:
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
            depth = _whole(pick(f"depth.stage{stage.number}", stage.depths))
            width = pick(f"width.stage{stage.number}", stage.widths)
            assert width is None or isinstance(width, int)
            for index in range(depth):
                se = pick(stage.se_label(index), stage.se)
                assert se is None or isinstance(se, SEConfig)
                cells.append(stage.cell(index, width, se))
        stem = replace(self.stem, channels=_whole(pick("width.stem", self.stem_widths)))
        return Architecture(input=self.input, stem=stem, cells=tuple(cells), head=self.head)

    def sample(self, rng: np.random.Generator) -> dict[str, Option]:
        """Draw every choice independently and uniformly."""
        return {choice.label: choice.options[rng.integers(len(choice.options))] for choice in self.choices}

    def random(self, rng: np.random.Generator) -> Architecture:
        """The architecture of a uniform sample."""
        return self.architecture(self.sample(rng))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every distinct part that some architecture of the space contains, in the order of the network."""
        stems = self._stems()
        found = dict.fromkeys(stems)
        flows = {(part.out_channels, part.out_size) for part in stems}
        for stage in self.stages:
            onward: set[tuple[int, int]] = set()
            for (channels, size), width, se in itertools.product(sorted(flows), stage.widths, stage.se):
                parts = stage.parts(channels, size, width, max(stage.depths), se)
                found.update(dict.fromkeys(parts))
                onward.update((parts[depth - 1].out_channels, parts[depth - 1].out_size) for depth in stage.depths)
            flows = onward
        found.update(dict.fromkeys(self._head(channels, size) for channels, size in sorted(flows)))
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

        best: dict[tuple[int, int], tuple[Part, ...]] = {}  # (channels, size) flowing out -> cheapest parts so far

        def keep(parts: tuple[Part, ...]) -> None:
            flow = parts[-1].out_channels, parts[-1].out_size
            if flow not in best or total(parts) < total(best[flow]):
                best[flow] = parts

        for stem in self._stems():
            keep((stem,))
        for stage in self.stages:
            reached, best = best, {}
            for so_far, width, depth in itertools.product(reached.values(), stage.widths, stage.depths):
                flow = so_far[-1].out_channels, so_far[-1].out_size
                rows = [stage.parts(*flow, width, depth, se) for se in stage.se]
                if stage.se_per == "stage":
                    keep(so_far + min(rows, key=total))
                else:
                    keep(
                        so_far
                        + tuple(min(column, key=lambda part: total([part])) for column in zip(*rows, strict=True))
                    )
        whole = min(((*parts, self._head(*flow)) for flow, parts in best.items()), key=total)
        stem, cells = whole[0].layer, tuple(part.layer for part in whole if isinstance(part.layer, Cell))
        assert isinstance(stem, Stem)
        return Architecture(input=self.input, stem=stem, cells=cells, head=self.head)

    def _stems(self) -> list[Part]:
        layers = (replace(self.stem, channels=width) for width in self.stem_widths)
        return [Part(layer=layer, channels=self.input.channels, size=self.input.size) for layer in layers]

    def _head(self, channels: int, size: int) -> Part:
        return Part(layer=self.head, channels=channels, size=size)


def _whole(option: Option) -> int:
    assert isinstance(option, int)
    return option
