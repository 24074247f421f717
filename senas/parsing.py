"""Plain data (what JSON and TOML hold) to data classes and back, every key and type checked.

Parsing happens at the edge, once: what comes out of `from_plain` has the declared types throughout, so that no other
module has to check them again. Standard library alone, since profiles and architectures are read on bare devices.
"""

import dataclasses
import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from senas.conversion import convert, hints, is_required
from senas.errors import ParseError
from senas.family import Family
from senas.files import os_reason, read_bytes, write_whole
from senas.text import flaw, show

T = TypeVar("T")
MAX_JSON_BYTES = 2**24  # a profile of 29,000 parts; what Python makes of a file takes up to 35 times the room
MAX_TOML_BYTES = 2**17  # a hundred times the largest space that comes along
MAX_TOML_DOTS = 1_000  # what `tomllib` keeps of a key grows with the square of them


def from_plain(kind: type[T], data: object, where: str) -> T:
    """Build a `kind` from plain data.

    Args:
        kind: a data class whose fields are scalars, literals, optional values, tuples, string-keyed dictionaries or
            other data classes.
        data: what `json.load` or `tomllib.load` returned.
        where: the name of the data in error messages, such as a path.

    Raises:
        ParseError: unknown or missing key, or a value of another type; the message names the place.
    """
    return cast(T, convert(kind, data, where))


def check_types(value: object) -> None:
    """Hold the fields of a frozen data class to their declared types; a whole number becomes a float where one belongs.

    Raises:
        ParseError: a field of another type; the message names it.
    """
    kind: Any = type(value)
    where = f"{value.kind}: " if isinstance(value, Family) else ""
    for name in (field.name for field in dataclasses.fields(kind)):
        checked = convert(hints(kind)[name], _with_lists(getattr(value, name)), f"{where}{name}")
        object.__setattr__(value, name, checked)


def to_plain(value: object) -> Any:
    """Turn data classes, tuples and dictionaries of scalars into what `json.dump` accepts."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = {"kind": value.kind} if isinstance(value, Family) else {}
        return kind | {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    return value


def canonical(value: object) -> Any:
    """Like `to_plain`, but without fields that hold their default and without the usual kind of a family.

    The form that digests are made of: a data class can grow a field with a default, and what does not use it keeps its
    digest.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        kept = {field.name: canonical(item) for field, item in pairs if is_required(field) or item != field.default}
        return {"kind": value.kind} | kept if isinstance(value, Family) and value.kind != value.usual_kind else kept
    if isinstance(value, (tuple, list)):
        return [canonical(item) for item in value]
    if isinstance(value, dict):
        return {str(key): canonical(item) for key, item in value.items()}
    return value


def digest_of(value: object) -> str:
    """16 hexadecimal digits that name a value: the start of the SHA-256 of its canonical JSON.

    The same in every process, on every platform and Python version.
    """
    text = json.dumps(canonical(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_json(path: Path, kind: type[T], *, most: int = MAX_JSON_BYTES) -> T:
    """Read a JSON file into a `kind`.

    Args:
        path: of the file.
        kind: as for `from_plain`.
        most: bytes; a larger file is refused before it is read.

    Raises:
        ParseError: the file is missing, unreadable, too large, no JSON, or not a `kind`.
    """
    return from_plain(kind, read_plain(path, most=most), str(path))


def read_plain(path: Path, *, most: int = MAX_JSON_BYTES) -> object:
    """Read a JSON file as it is.

    Raises:
        ParseError: the file is missing, unreadable, too large, or no JSON.
    """
    return _read(path, most, "JSON", load_json)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file as it is.

    Raises:
        ParseError: the file is missing, unreadable, too large, or no TOML.
    """
    return _read(path, MAX_TOML_BYTES, "TOML", _load_toml)


def _read(path: Path, most: int, form: str, load: Callable[[str], T]) -> T:
    try:
        return load(read_bytes(path, most).decode())
    except OSError as error:
        raise ParseError(f"{path}: {os_reason(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ParseError(f"{path}: not a {form} file ({error})") from None


def _load_toml(text: str) -> dict[str, Any]:
    dots = text.count(".")
    if dots > MAX_TOML_DOTS:
        raise ValueError(f"found {dots} dots, allowed: at most {MAX_TOML_DOTS}")
    return tomllib.loads(text)


def load_json(text: str) -> object:
    """What a JSON text holds.

    Raises:
        ValueError: not JSON, the same key twice in one object, or a number that is none.
        RecursionError: too many levels in one another.
    """

    def table(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            raise ValueError(f"key {show(twice)} twice in one object")
        return found

    return json.loads(text, object_pairs_hook=table)


def write_json(path: Path, data: object) -> None:
    """Write plain data or a data class as JSON, whole or not at all.

    Raises:
        ParseError: a text in it that `read_json` would refuse.
        OSError: it cannot be written.
    """
    plain = to_plain(data)
    for text in _texts(plain):
        found = flaw(text)
        if found is not None:
            raise ParseError(f"{path}: found {found}")
    write_whole(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _texts(plain: object) -> Iterator[str]:
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, dict):
        for key, item in plain.items():
            yield key
            yield from _texts(item)
    elif isinstance(plain, list):
        for item in plain:
            if isinstance(item, (str, dict, list)):  # numbers are most of what there is
                yield from _texts(item)


def _with_lists(value: object) -> object:
    return [_with_lists(item) for item in value] if isinstance(value, tuple) else value
