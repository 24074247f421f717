"""Conversion between plain data (the values of JSON and TOML) and typed data classes, with checks of keys and types.

Files are checked once, when they are read: what `from_plain` returns has the declared types throughout, so no other
module checks them again. This module needs only the standard library, since profiles and architectures are read on
devices on which little else is installed.
"""

import dataclasses
import functools
import hashlib
import json
import math
import types
import typing
from typing import Any, Literal, TypeVar, Union, cast

from senas.errors import ParseError, SenasError, one_of
from senas.io.registry import KindRegistry
from senas.io.text import brief, flaw, show

T = TypeVar("T")
MAX_WHOLE = 2**63  # whole numbers are smaller, so that every array and database can store them


def convert(kind: Any, data: object, where: str) -> object:
    """Convert plain data as `from_plain` does, also for types that are not classes."""
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
        variadic = arguments[-1] is Ellipsis
        if not isinstance(data, list) or not (variadic or len(data) == len(arguments)):
            length = "" if variadic else f" of {len(arguments)}"
            raise ParseError(f"{where}: found {show(data)}, expected a list{length}")
        kinds = [arguments[0]] * len(data) if variadic else arguments
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
    problem = flaw(text)
    if problem is not None:
        raise ParseError(f"{where}: found {problem}")


def _convert_dataclass(kind: Any, data: object, where: str) -> object:
    if isinstance(data, kind):
        return data
    table = _table(data, where)
    if issubclass(kind, KindRegistry):
        kind, table = _pick_kind(kind, table, where)
    fields = {key_of(field): field for field in dataclasses.fields(kind)}
    for key in table:
        if key not in fields:
            raise ParseError(f"{where}: unknown key, {one_of(key, fields)}")
    missing = [name for name, field in fields.items() if name not in table and is_required(field)]
    if missing:
        raise ParseError(f"{where}: missing key '{missing[0]}'")
    declared = hints(kind)
    values = {
        fields[key].name: convert(declared[fields[key].name], item, f"{where}: {key}") for key, item in table.items()
    }
    try:
        return kind(**values)
    except SenasError as error:
        raise type(error)(f"{where}: {error}") from None


def _pick_kind(family: type[KindRegistry], table: dict[str, object], where: str) -> tuple[type, dict[str, object]]:
    """Return the member of the family that a table describes, and the table without its kind."""
    name = table.get("kind", family.default_kind)
    if not isinstance(name, str) or name not in family.kinds:
        raise ParseError(f"{where}: kind: {one_of(name if isinstance(name, str) else show(name), family.kinds)}")
    return family.kinds[name], {key: item for key, item in table.items() if key != "kind"}


@functools.cache
def hints(kind: type) -> dict[str, Any]:
    """Return the declared types of a data class's fields by name."""
    return typing.get_type_hints(kind)


def key_of(field: "dataclasses.Field[Any]") -> str:
    """Return the key of a field in files: its name, or `key` in its metadata if files use an older name."""
    return field.metadata.get("key", field.name)


def is_required(field: "dataclasses.Field[Any]") -> bool:
    """Return whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _table(data: object, where: str) -> dict[str, object]:
    if not isinstance(data, dict):
        raise ParseError(f"{where}: found {show(data)}, expected a table of keys and values")
    return cast(dict[str, object], data)


def from_plain(kind: type[T], data: object, where: str) -> T:
    """Build a `kind` from plain data.

    Args:
        kind: Data class whose fields are scalars, literals, optional values, tuples, string-keyed dictionaries or other
            data classes.
        data: Plain data as returned by `json.load` or `tomllib.load`.
        where: Name of the data in error messages, such as a path.

    Raises:
        ParseError: A key is unknown or missing, or a value has another type; the message names the place.
    """
    return cast(T, convert(kind, data, where))


def check_types(value: object) -> None:
    """Check the field types of a frozen data class; a whole number in a float field becomes a float.

    Raises:
        ParseError: A field has another type; the message names it.
    """
    kind: Any = type(value)
    where = f"{value.kind}: " if isinstance(value, KindRegistry) else ""
    for name in (field.name for field in dataclasses.fields(kind)):
        checked = convert(hints(kind)[name], _tuples_to_lists(getattr(value, name)), f"{where}{name}")
        object.__setattr__(value, name, checked)


def to_plain(value: object) -> Any:
    """Convert data classes, tuples and dictionaries of scalars to plain data that `json.dump` accepts."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = {"kind": value.kind} if isinstance(value, KindRegistry) else {}
        return kind | {key_of(field): to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    return value


def canonical(value: object) -> Any:
    """Convert to plain data like `to_plain`, but leave out fields at their default and the default kind of a family.

    Digests are computed from this form: if a data class gains a field with a default, values that do not use the field
    keep their digest.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        kept = {key_of(field): canonical(item) for field, item in pairs if is_required(field) or item != field.default}
        return (
            {"kind": value.kind} | kept
            if isinstance(value, KindRegistry) and value.kind != value.default_kind
            else kept
        )
    if isinstance(value, (tuple, list)):
        return [canonical(item) for item in value]
    if isinstance(value, dict):
        return {str(key): canonical(item) for key, item in value.items()}
    return value


def digest_of(value: object) -> str:
    """Return 16 hexadecimal digits that identify a value: the start of the SHA-256 of its canonical JSON.

    They are the same in every process, on every platform and in every Python version.
    """
    text = json.dumps(canonical(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _tuples_to_lists(value: object) -> object:
    return [_tuples_to_lists(item) for item in value] if isinstance(value, tuple) else value
