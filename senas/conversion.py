"""Plain data to typed values, every key and type checked: the rules that `senas.parsing` reads by."""

import dataclasses
import functools
import math
import types
import typing
from typing import Any, Literal, Union, cast

from senas.errors import ParseError, SenasError, one_of
from senas.family import Family
from senas.text import brief, flaw, show

MAX_WHOLE = 2**63  # whole numbers are smaller, so that every array and database takes them


def convert(kind: Any, data: object, where: str) -> object:
    """What `senas.parsing.from_plain` returns, for types that are no classes as well."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _convert_dataclass(kind, data, where)
    if origin is Literal:
        if data in arguments and type(data) in {type(argument) for argument in arguments}:
            return data
        if isinstance(data, str):
            raise ParseError(f"{where}: {one_of(data, map(str, arguments))}")
        raise ParseError(f"{where}: found {show(data)}, allowed: {', '.join(map(str, arguments))}")
    if origin in (Union, types.UnionType):
        if data is None and type(None) in arguments:
            return None
        (kind,) = (argument for argument in arguments if argument is not type(None))
        return convert(kind, data, where)
    if origin is tuple:
        many = arguments[-1] is Ellipsis
        if not isinstance(data, list) or not (many or len(data) == len(arguments)):
            raise ParseError(f"{where}: found {show(data)}, expected a list{'' if many else f' of {len(arguments)}'}")
        kinds = [arguments[0]] * len(data) if many else arguments
        return tuple(
            convert(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, data, strict=True))
        )
    if origin is dict:
        for key in _table(data, where):
            _check_text(key, f"{where}: key")
        return {key: convert(arguments[1], item, f"{where}.{brief(key)}") for key, item in _table(data, where).items()}
    return _convert_scalar(kind, data, where)


def _convert_scalar(kind: type, data: object, where: str) -> object:
    if kind is float and type(data) is int and abs(data) < 2**53:
        data = float(data)
    if type(data) is not kind:
        names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
        raise ParseError(f"{where}: found {show(data)}, expected {names[kind]}")
    if type(data) is float and not math.isfinite(data):
        raise ParseError(f"{where}: found {data}, expected a finite number")
    if type(data) is int and abs(data) >= MAX_WHOLE:
        raise ParseError(f"{where}: found {show(data)}, allowed: less than {MAX_WHOLE}")
    if isinstance(data, str):
        _check_text(data, where)
    return data


def _check_text(text: str, where: str) -> None:
    found = flaw(text)
    if found is not None:
        raise ParseError(f"{where}: found {found}")


def _convert_dataclass(kind: Any, data: object, where: str) -> object:
    if isinstance(data, kind):
        return data
    table = _table(data, where)
    if issubclass(kind, Family):
        kind, table = _pick_kind(kind, table, where)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in table:
        if key not in fields:
            raise ParseError(f"{where}: unknown key, {one_of(key, fields)}")
    missing = [name for name, field in fields.items() if name not in table and is_required(field)]
    if missing:
        raise ParseError(f"{where}: missing key '{missing[0]}'")
    declared = hints(kind)
    values = {key: convert(declared[key], item, f"{where}: {key}") for key, item in table.items()}
    try:
        return kind(**values)
    except SenasError as error:
        raise type(error)(f"{where}: {error}") from None


def _pick_kind(family: type[Family], table: dict[str, object], where: str) -> tuple[type, dict[str, object]]:
    """The member of the family that a table describes, and the rest of the table."""
    name = table.get("kind", family.usual_kind)
    if not isinstance(name, str) or name not in family.kinds:
        raise ParseError(f"{where}: kind: {one_of(name if isinstance(name, str) else show(name), family.kinds)}")
    return family.kinds[name], {key: item for key, item in table.items() if key != "kind"}


@functools.cache
def hints(kind: type) -> dict[str, Any]:
    """The types of a data class's fields."""
    return typing.get_type_hints(kind)


def is_required(field: "dataclasses.Field[Any]") -> bool:
    """Whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _table(data: object, where: str) -> dict[str, object]:
    if not isinstance(data, dict):
        raise ParseError(f"{where}: found {show(data)}, expected a table of keys and values")
    return cast(dict[str, object], data)
