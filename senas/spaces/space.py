"""A search space: the stages of a backbone and the choices in them; a sample of the choices is one architecture."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Architecture, Cell, Head, Input, Part, SEConfig, Shape, Stem
from senas.errors import ArchitectureError, SpaceError
from senas.io import digest_of, show
from senas.spaces.stage import Choice, Option, StageSpace, vary

Sample = Mapping[str, Option]

MAX_DISTINCT_CELLS = 2**16  # over all choices: 20 times the largest shipped space, a few seconds
MAX_NAME = 100  # characters of a name, which becomes part of file names


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """A template network and its choices. `load_space` reads one from a TOML file.

    Attributes:
        name: Name of the space.
        backbone: Name of the reference architecture that is varied.
        input: Shape of the input.
        stem: First layers; their channels are a choice among `stem_widths`.
        stem_widths: Options for the channels of the stem; `None` keeps the backbone's.
        stages: Choices of each stage.
        head: Last layers.

    Raises:
        SpaceError: The name is empty or too long, there are no stages or stem widths, or the stages are out of order;
            see also `check_layers`.
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

    def check_layers(self) -> None:
        """Check every cell that some architecture can have, and the largest architectures.

        It takes tens of milliseconds. `load_space` and the readers of a run call it; call it for a space built in code.

        Raises:
            SpaceError: A reachable layer cannot take its input, in which case the message names the stage; or an
                architecture exceeds the limits of `senas.architecture.limits`; or it has more than
                `MAX_DISTINCT_CELLS` distinct cells.
        """
        try:
            for part in self.parts:
                part.out_shape  # noqa: B018  # raises if a layer cannot take its input
            for cost in (lambda part: part.network_size.weights), (lambda part: part.network_size.multiply_adds):
                self.costliest(cost)  # raises if that architecture exceeds the limits of a network
        except ArchitectureError as error:
            raise SpaceError(f"space {self.name}: {error}") from None

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """Choices with at least two options, in the order of the network."""
        stem = Choice(label="width.stem", options=self.stem_widths)
        all_choices = itertools.chain([stem], *(stage.choices() for stage in self.stages))
        return tuple(choice for choice in all_choices if len(choice.options) > 1)

    def indices(self, sample: Sample) -> NDArray[np.int64]:
        """Return a sample as one row of option numbers, (L,) in the order of `choices`.

        Raises:
            SpaceError: A label is missing, or its value is not one of its options.
        """
        numbers = (choice.options.index(self._pick(sample, choice.label, choice.options)) for choice in self.choices)
        return np.fromiter(numbers, dtype=np.int64)

    def sample_at(self, indices: Sequence[int] | NDArray[np.integer]) -> dict[str, Option]:
        """Return the sample of one row of option numbers, the inverse of `indices`.

        Raises:
            SpaceError: A number is outside the options of its choice.
        """
        for choice, number in zip(self.choices, indices, strict=True):
            self.check_number(choice, number)
        return {choice.label: choice.options[i] for choice, i in zip(self.choices, indices, strict=True)}

    def check_number(self, choice: Choice, number: int) -> None:
        """Raise `SpaceError` if a number is outside the options of its choice."""
        if not 0 <= number < len(choice.options):
            allowed = f"0 to {len(choice.options) - 1}"
            raise SpaceError(f"indices of space {self.name}: {choice.label}: found {number}, allowed: {allowed}")

    def indices_of(self, arch: Architecture) -> NDArray[np.int64]:
        """Return the row of an architecture of the space, (L,), with -1 for the choices of inactive cells.

        Raises:
            SpaceError: The architecture is not in the space.
        """
        row = dict.fromkeys((choice.label for choice in self.choices), -1)

        def set_option(label: str, number: int) -> None:
            if label in row:
                row[label] = number

        stems = [self.stem_of(width) for width in self.stem_widths]
        if arch.stem in stems:
            set_option("width.stem", stems.index(arch.stem))
        for stage in self.stages:
            cells = arch.stage(stage.number)
            if len(cells) in stage.depths:
                set_option(f"depth.stage{stage.number}", stage.depths.index(len(cells)))
            for number, width in enumerate(stage.widths):
                options = [[stage.cell(index, width, se) for se in stage.se] for index in range(len(cells))]
                if all(cell in allowed for cell, allowed in zip(cells, options, strict=True)):
                    set_option(f"width.stage{stage.number}", number)
                    for index, (cell, allowed) in enumerate(zip(cells, options, strict=True)):
                        set_option(stage.se_label(index), allowed.index(cell))
                    break
        indices = np.fromiter(row.values(), dtype=np.int64, count=len(row))
        if self.architecture(self.sample_at(np.maximum(indices, 0))) != arch:
            raise SpaceError(f"space {self.name}: found architecture {arch.digest}, expected one of the space")
        return indices

    def canonical(self, indices: NDArray[np.integer]) -> NDArray[np.integer]:
        """Return the samples, (N, L), with -1 for the choices of inactive cells: equal rows are equal architectures.

        Args:
            indices: Option numbers, (N, L) in the order of `choices`; they may be -1 for inactive cells.
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
        """Draw uniform samples, as rows of option numbers (count, L)."""
        return rng.integers([len(choice.options) for choice in self.choices], size=(count, len(self.choices)))

    @cached_property
    def size(self) -> int:
        """Number of distinct architectures; choices of inactive cells do not count."""
        size = len(self.stem_widths)
        for stage in self.stages:
            blocks = len(stage.se)
            combinations = (
                len(stage.depths) * blocks if stage.se_per == "stage" else sum(blocks**depth for depth in stage.depths)
            )
            size *= len(stage.widths) * combinations
        return size

    @cached_property
    def digest(self) -> str:
        """Digest of 16 hexadecimal digits that identifies this space, independent of the name of its file."""
        return digest_of(self)

    def architecture(self, sample: Sample) -> Architecture:
        """Return the architecture of a sample; labels of inactive cells are ignored.

        Args:
            sample: Option for every label of `choices`.

        Raises:
            SpaceError: A label is missing, or its value is not one of its options.
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
        """Draw a sample: every choice independently and uniformly."""
        return {choice.label: choice.options[rng.integers(len(choice.options))] for choice in self.choices}

    def random(self, rng: np.random.Generator) -> Architecture:
        """Return the architecture of a uniform sample."""
        return self.architecture(self.sample(rng))

    def stem_of(self, width: int | None) -> Stem:
        """Return the stem at one of `stem_widths`."""
        return self.stem if width is None else vary(self.stem, channels=width)

    @cached_property
    def stems(self) -> tuple[Part, ...]:
        """Stem at each of `stem_widths`."""
        return tuple(Part(layer=self.stem_of(width), in_shape=self.input.shape) for width in self.stem_widths)

    @cached_property
    def flows(self) -> tuple[tuple[Shape, ...], ...]:
        """Distinct input shapes of each stage and, last, of the head.

        Raises:
            SpaceError: There are more than `MAX_DISTINCT_CELLS` distinct cells.
        """
        reached = [dict.fromkeys(stem.out_shape for stem in self.stems)]
        cells = 0
        for stage in self.stages:
            cells += len(reached[-1]) * len(stage.widths) * sum(stage.depths) * len(stage.se)
            if cells > MAX_DISTINCT_CELLS:
                raise SpaceError(
                    f"space {self.name}: stage {stage.number}: found {cells} cells up to here, counting every "
                    f"input shape, width, depth and SE option, allowed: at most {MAX_DISTINCT_CELLS}"
                )
            out_shapes: dict[Shape, None] = {}
            for in_shape, width in itertools.product(reached[-1], stage.widths):
                parts = stage.parts(in_shape, width, max(stage.depths), None)
                out_shapes |= dict.fromkeys(parts[depth - 1].out_shape for depth in stage.depths)
            reached.append(out_shapes)
        return tuple(map(tuple, reached))

    @cached_property
    def heads(self) -> tuple[Part, ...]:
        """Head at each of its input shapes."""
        return tuple(Part(layer=self.head, in_shape=in_shape) for in_shape in self.flows[-1])

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Distinct parts of all architectures of the space, in the order of the network."""
        parts = dict.fromkeys(self.stems)
        for stage, in_shapes in zip(self.stages, self.flows[:-1], strict=True):
            for in_shape, width, se in itertools.product(in_shapes, stage.widths, stage.se):
                parts |= dict.fromkeys(stage.parts(in_shape, width, max(stage.depths), se))
        parts |= dict.fromkeys(self.heads)
        return tuple(parts)

    def costliest(self, cost: Callable[[Part], float]) -> Architecture:
        """Return the architecture whose parts' costs have the largest sum; see `cheapest`."""
        return self.cheapest(lambda part: -cost(part))

    def cheapest(self, cost: Callable[[Part], float]) -> Architecture:
        """Return the architecture whose parts' costs have the smallest sum, exactly.

        The cost of a part depends on its layer and its input shape, so stages interact only through the shape between
        them: dynamic programming over those shapes covers every architecture without listing them.

        Args:
            cost: Cost of a part in any unit; it is called often and should be a table look-up.
        """

        def total(parts: Sequence[Part]) -> float:
            return sum(map(cost, parts))

        best: dict[Shape, tuple[Part, ...]] = {}  # output shape -> the cheapest parts so far

        def keep_cheapest(parts: tuple[Part, ...]) -> None:
            out_shape = parts[-1].out_shape
            if out_shape not in best or total(parts) < total(best[out_shape]):
                best[out_shape] = parts

        for stem in self.stems:
            keep_cheapest((stem,))
        for stage in self.stages:
            reached, best = best, {}
            for (in_shape, so_far), width, depth in itertools.product(reached.items(), stage.widths, stage.depths):
                rows = [stage.parts(in_shape, width, depth, se) for se in stage.se]
                if stage.se_per == "stage":
                    keep_cheapest(so_far + min(rows, key=total))
                else:
                    columns = zip(*rows, strict=True)
                    keep_cheapest(so_far + tuple(min(column, key=lambda part: total([part])) for column in columns))
        heads = {shape: Part(layer=self.head, in_shape=shape) for shape in best}
        stem, *cells = min(best.values(), key=lambda parts: total((*parts, heads[parts[-1].out_shape])))
        assert isinstance(stem.layer, Stem)
        return Architecture(
            input=self.input,
            stem=stem.layer,
            cells=tuple(part.layer for part in cells if isinstance(part.layer, Cell)),
            head=self.head,
        )

    def _pick(self, sample: Sample, label: str, options: tuple[Option, ...]) -> Option:
        """Return the option of a sample for a choice; choices with a single option are not in samples."""
        if len(options) == 1:
            return options[0]
        if label not in sample:
            raise SpaceError(f"sample of space {self.name}: missing choice '{label}'")
        if sample[label] not in options:
            allowed = ", ".join("off" if option is None else str(option) for option in options)
            raise SpaceError(f"sample of space {self.name}: {label}: found {sample[label]}, allowed: {allowed}")
        return sample[label]
