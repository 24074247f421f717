"""A search space: a backbone's stages and the choices in them; a sample of the choices is one architecture."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Architecture, Input, Part
from senas.cells import Cell
from senas.errors import ArchitectureError, SpaceError
from senas.layers.heads import Head
from senas.layers.layout import Shape
from senas.layers.stems import Stem
from senas.parsing import digest_of
from senas.se import SEConfig
from senas.spaces.stage import Choice, Option, StageSpace, vary
from senas.text import show

Sample = Mapping[str, Option]

MAX_CELLS = 2**16  # to look at, one way or another: 20 times the largest space that comes along, a few seconds
MAX_NAME = 100  # characters of a name, which becomes part of file names


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
        SpaceError: some reachable cell cannot take what flows into it; the message names the stage. Or some
            architecture is larger than `senas.demand` allows, or there are more cells than anybody can look at.
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
        if not self.name or len(self.name) > MAX_NAME:
            raise SpaceError(f"space: name: found {len(self.name)} characters, allowed: 1 to {MAX_NAME}")
        numbers = [stage.number for stage in self.stages]
        if numbers != sorted(set(numbers)):
            raise SpaceError(f"space {self.name}: stages: found {show(numbers)}, expected each once and in order")
        try:
            for part in self.parts:
                part.outflow  # noqa: B018  # raises where a layer does not fit
            for costliest in (lambda part: part.demand.weights), (lambda part: part.demand.multiply_adds):
                self.extreme(costliest, largest=True)  # raises where it is larger than any network may be
        except ArchitectureError as error:
            raise SpaceError(f"space {self.name}: {error}") from None

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """Every choice with at least two options, in the order of the network."""
        stem = Choice(label="width.stem", options=self.stem_widths)
        every = itertools.chain([stem], *(stage.choices() for stage in self.stages))
        return tuple(choice for choice in every if len(choice.options) > 1)

    def indices(self, sample: Sample) -> NDArray[np.int64]:
        """A sample as one row of option numbers, (L,) in the order of `choices`.

        Raises:
            SpaceError: a label is missing or holds something else than one of its options.
        """
        picked = (choice.options.index(self._pick(sample, choice.label, choice.options)) for choice in self.choices)
        return np.fromiter(picked, dtype=np.int64)

    def sample_at(self, indices: Sequence[int] | NDArray[np.integer]) -> dict[str, Option]:
        """The sample of one row of option numbers, the inverse of `indices`.

        Raises:
            SpaceError: a number that is none of its choice's options.
        """
        for choice, number in zip(self.choices, indices, strict=True):
            self.check_number(choice, number)
        return {choice.label: choice.options[i] for choice, i in zip(self.choices, indices, strict=True)}

    def check_number(self, choice: Choice, number: int) -> None:
        """Raise `SpaceError` for a number that is none of the choice's options."""
        if not 0 <= number < len(choice.options):
            allowed = f"0 to {len(choice.options) - 1}"
            raise SpaceError(f"indices of space {self.name}: {choice.label}: found {number}, allowed: {allowed}")

    def indices_of(self, arch: Architecture) -> NDArray[np.int64]:
        """The row of an architecture of the space, (L,), with -1 for the choices of inactive cells.

        Raises:
            SpaceError: the architecture is not in the space.
        """
        row = dict.fromkeys((choice.label for choice in self.choices), -1)

        def choose(label: str, number: int) -> None:
            if label in row:
                row[label] = number

        stems = [self.stem_of(width) for width in self.stem_widths]
        if arch.stem in stems:
            choose("width.stem", stems.index(arch.stem))
        for stage in self.stages:
            cells = arch.stage(stage.number)
            if len(cells) in stage.depths:
                choose(f"depth.stage{stage.number}", stage.depths.index(len(cells)))
            for number, width in enumerate(stage.widths):
                options = [[stage.cell(index, width, se) for se in stage.se] for index in range(len(cells))]
                if all(cell in among for cell, among in zip(cells, options, strict=True)):
                    choose(f"width.stage{stage.number}", number)
                    for index, (cell, among) in enumerate(zip(cells, options, strict=True)):
                        choose(stage.se_label(index), among.index(cell))
                    break
        indices = np.fromiter(row.values(), dtype=np.int64, count=len(row))
        if self.architecture(self.sample_at(np.maximum(indices, 0))) != arch:
            raise SpaceError(f"space {self.name}: found architecture {arch.digest}, which is none of its own")
        return indices

    def canonical(self, indices: NDArray[np.integer]) -> NDArray[np.integer]:
        """The same samples, (N, L), with -1 for the choices of inactive cells: equal rows are the same architecture.

        Args:
            indices: (N, L) option numbers in the order of `choices`; -1 is allowed where it does not matter.
        """
        indices = np.array(indices)
        columns = {choice.label: column for column, choice in enumerate(self.choices)}
        for stage in self.stages:
            column = columns.get(f"depth.stage{stage.number}")
            if column is None or stage.se_per == "stage":
                continue
            depth = np.array(stage.depths)[indices[:, column]]
            for index in range(max(stage.depths)):
                if stage.se_label(index) in columns:
                    indices[index >= depth, columns[stage.se_label(index)]] = -1
        return indices

    def random_indices(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Uniform samples as rows of option numbers, (count, L)."""
        return rng.integers([len(choice.options) for choice in self.choices], size=(count, len(self.choices)))

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
        cells: list[Cell] = []
        for stage in self.stages:
            depth = self._pick(sample, f"depth.stage{stage.number}", stage.depths)
            width = self._pick(sample, f"width.stage{stage.number}", stage.widths)
            assert isinstance(depth, int)
            assert width is None or isinstance(width, int)
            for index in range(depth):
                se = self._pick(sample, stage.se_label(index), stage.se)
                assert se is None or isinstance(se, SEConfig)
                cells.append(stage.cell(index, width, se))
        width = self._pick(sample, "width.stem", self.stem_widths)
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
        return self.stem if width is None else vary(self.stem, channels=width)

    @cached_property
    def stems(self) -> tuple[Part, ...]:
        """The stem at each of `stem_widths`."""
        return tuple(Part(layer=self.stem_of(width), inflow=self.input.shape) for width in self.stem_widths)

    @cached_property
    def flows(self) -> tuple[tuple[Shape, ...], ...]:
        """The distinct shapes that can flow into each stage and, last, into the head.

        Raises:
            SpaceError: there are more cells than `MAX_CELLS` to look at.
        """
        reached = [dict.fromkeys(stem.outflow for stem in self.stems)]
        cells = 0
        for stage in self.stages:
            cells += len(reached[-1]) * len(stage.widths) * sum(stage.depths) * len(stage.se)
            if cells > MAX_CELLS:
                raise SpaceError(
                    f"space {self.name}: stage {stage.number}: found {cells} cells up to here, over everything that "
                    f"can flow in and every width, depth and SE option, allowed: at most {MAX_CELLS}"
                )
            onward: dict[Shape, None] = {}
            for inflow, width in itertools.product(reached[-1], stage.widths):
                parts = stage.parts(inflow, width, max(stage.depths), None)
                onward |= dict.fromkeys(parts[depth - 1].outflow for depth in stage.depths)
            reached.append(onward)
        return tuple(map(tuple, reached))

    @cached_property
    def heads(self) -> tuple[Part, ...]:
        """The head at each of the last `flows`."""
        return tuple(Part(layer=self.head, inflow=inflow) for inflow in self.flows[-1])

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every distinct part that some architecture of the space contains, in the order of the network."""
        found = dict.fromkeys(self.stems)
        for stage, inflows in zip(self.stages, self.flows[:-1], strict=True):
            for inflow, width, se in itertools.product(inflows, stage.widths, stage.se):
                found |= dict.fromkeys(stage.parts(inflow, width, max(stage.depths), se))
        found |= dict.fromkeys(self.heads)
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

    def _pick(self, sample: Sample, label: str, options: tuple[Option, ...]) -> Option:
        """What a sample says of a choice; one of a single option is not in samples."""
        if len(options) == 1:
            return options[0]
        if label not in sample:
            raise SpaceError(f"sample of space {self.name}: missing choice '{label}'")
        if sample[label] not in options:
            allowed = ", ".join("off" if option is None else str(option) for option in options)
            raise SpaceError(f"sample of space {self.name}: {label}: found {sample[label]}, allowed: {allowed}")
        return sample[label]
