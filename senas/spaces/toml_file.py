"""Search spaces as TOML files, with every key checked against the schema and the backbone."""

import itertools
import math
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal, TypeVar

from senas.architecture import MAX_CHANNELS, Excitation, Input, Integration, SEConfig, Squeeze, reference
from senas.errors import SenasError, SpaceError, one_of
from senas.io import from_plain, read_toml, shipped_folder, show
from senas.spaces.space import SearchSpace
from senas.spaces.stage import MAX_DEPTH, StageSpace

T = TypeVar("T")
MAX_OPTIONS = 1_000
MAX_LIST = 64  # options of a list of depths or widths


@dataclass(frozen=True, kw_only=True)
class _SEStageTable:
    """Table `[se.stage.N]`: the keys of `[se]` that differ in one stage."""

    per: Literal["cell", "stage"] | None = None
    off: bool | None = None
    reduction: tuple[int, ...] | None = None
    integration: tuple[Integration, ...] | None = None
    squeeze: tuple[Squeeze, ...] | None = None
    excitation: tuple[Excitation, ...] | None = None
    bias: tuple[bool, ...] | None = None
    multiple: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class _SETable:
    """Table `[se]`: the SE choice in every cell."""

    per: Literal["cell", "stage"] = "cell"
    off: bool = True
    reduction: tuple[int, ...] = ()
    integration: tuple[Integration, ...] = ("standard",)
    squeeze: tuple[Squeeze, ...] = ("avg",)
    excitation: tuple[Excitation, ...] = ("sigmoid",)
    bias: tuple[bool, ...] = (True,)
    multiple: tuple[int, ...] = (1,)
    stage: dict[str, _SEStageTable] = field(default_factory=dict)

    def in_stage(self, number: int) -> "_SETable":
        """Return the table with the overrides of one stage applied."""
        override = self.stage.get(str(number))
        if override is None:
            return self
        names = [each.name for each in fields(override)]
        return replace(self, **{name: getattr(override, name) for name in names if getattr(override, name) is not None})


@dataclass(frozen=True, kw_only=True)
class _DepthTable:
    """Table `[depth]`: number of cells per stage."""

    stage: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _WidthTable:
    """Table `[width]`: output channels of the stem and of each stage."""

    stem: tuple[int, ...] | None = None
    stage: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _SpaceTable:
    """The whole file as a table."""

    name: str
    backbone: str
    input: Input
    classes: int
    se: _SETable
    depth: _DepthTable = field(default_factory=_DepthTable)
    width: _WidthTable = field(default_factory=_WidthTable)


def load_space(name_or_path: str | Path, *, classes: int | None = None, check: bool = True) -> SearchSpace:
    """Read a search space.

    Args:
        name_or_path: Name of a shipped space (see `shipped_spaces`), or path to a TOML file.
        classes: Number of classes of its networks, in place of the one in the file.
        check: Whether to check its layers, see `SearchSpace.check_layers`.

    Raises:
        SpaceError: There is no such space, or the choices contradict the backbone.
        SenasError: The file is not a readable TOML file, a key is unknown, or a value has the wrong type; the message
            names the key and the most similar known one.
    """
    text = str(name_or_path)
    if text in (shipped := shipped_spaces()):
        path = shipped[text]
    elif text.endswith(".toml"):
        path = Path(text)
    else:
        raise SpaceError(f"search space: {one_of(text, shipped)}, or a path ending in .toml")
    table = read_toml(path)
    try:
        read = from_plain(_SpaceTable, table, str(path))
        space = _space(read if classes is None else replace(read, classes=classes), str(path))
        if check:
            space.check_layers()
        return space
    except SenasError as error:
        message = str(error)
        raise type(error)(message if message.startswith(str(path)) else f"{path}: {message}") from None


def shipped_spaces() -> dict[str, Path]:
    """Return the file of each space that is shipped with senas, by name."""
    return {path.stem: path for path in sorted(shipped_folder("search_spaces").glob("*.toml"))}


def _space(table: _SpaceTable, where: str) -> SearchSpace:
    backbone = reference(
        table.backbone, input_channels=table.input.channels, input_size=table.input.size, classes=table.classes
    )
    known = set(map(str, backbone.stages))
    for section, overrides in (("se", table.se.stage), ("depth", table.depth.stage), ("width", table.width.stage)):
        for number in overrides:
            if number not in known:
                raise SpaceError(f"{where}: {section}.stage of {table.backbone}: {one_of(number, known)}")
    stages = []
    for number in backbone.stages:
        cells = backbone.stage(number)
        cells_without_se = tuple(replace(cell, se=None) for cell in cells)
        se = table.se.in_stage(number)
        stages.append(
            StageSpace(
                cells=cells_without_se,
                depths=_options(f"depth.stage.{number}", table.depth.stage.get(str(number), (len(cells),)), MAX_DEPTH),
                widths=_widths(number, table.width.stage),
                se=_se_options(se, f"se.stage.{number}" if str(number) in table.se.stage else "se"),
                se_per=se.per,
            )
        )
    return SearchSpace(
        name=table.name,
        backbone=table.backbone,
        input=table.input,
        stem=backbone.stem,
        stem_widths=(None,) if table.width.stem is None else _options("width.stem", table.width.stem),
        stages=tuple(stages),
        head=backbone.head,
    )


def _se_options(table: _SETable, where: str) -> tuple[SEConfig | None, ...]:
    """Return every combination of the table's lists, with "no SE" first."""
    names = [each.name for each in fields(SEConfig)]
    for name in names:
        _require_distinct(f"{where}.{name}", getattr(table, name))
        if not getattr(table, name) and name != "reduction":  # without a reduction the only option is "off"
            raise SpaceError(f"{where}.{name}: found an empty list, expected at least one option")
    blocks: list[SEConfig | None] = [None] if table.off else []
    lists = [getattr(table, name) for name in names]
    count = len(blocks) + math.prod(map(len, lists))
    if not 1 <= count <= MAX_OPTIONS:
        raise SpaceError(f"{where}: found {count} SE options, allowed: 1 to {MAX_OPTIONS}")
    blocks += [SEConfig(**dict(zip(names, values, strict=True))) for values in itertools.product(*lists)]
    return tuple(blocks)


def _widths(number: int, widths: dict[str, tuple[int, ...]]) -> tuple[int | None, ...]:
    return _options(f"width.stage.{number}", widths[str(number)]) if str(number) in widths else (None,)


def _options(where: str, values: tuple[int, ...], limit: int = MAX_CHANNELS) -> tuple[int, ...]:
    if not values:
        raise SpaceError(f"{where}: found an empty list, expected at least one option")
    if len(values) > MAX_LIST:
        raise SpaceError(f"{where}: found {len(values)} options, allowed: at most {MAX_LIST}")
    for value in values:
        if not 1 <= value <= limit:
            raise SpaceError(f"{where}: found {value}, allowed: 1 to {limit}")
    return _require_distinct(where, values)


def _require_distinct(where: str, values: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(values)) != len(values):
        raise SpaceError(f"{where}: found the same option twice in {show(list(values))}")
    return values
