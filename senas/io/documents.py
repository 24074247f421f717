"""JSON and TOML files: bounded reads into plain data or data classes, and atomic writes."""

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from senas.errors import ParseError
from senas.io.files import os_reason, read_bytes, write_whole
from senas.io.serialization import from_plain, to_plain
from senas.io.text import flaw, show

T = TypeVar("T")
MAX_JSON_BYTES = 2**24  # a profile of 29,000 parts; the parsed objects take up to 35 times the memory
MAX_TOML_BYTES = 2**17  # a hundred times the largest shipped space
MAX_TOML_DOTS = 1_000  # the memory that `tomllib` needs for a key grows with the square of its dots


def read_json(path: Path, kind: type[T], *, max_bytes: int = MAX_JSON_BYTES) -> T:
    """Read a JSON file into a `kind`.

    Args:
        path: Path of the file.
        kind: Type to read, as for `from_plain`.
        max_bytes: Limit on the file size in bytes, checked before the file is read.

    Raises:
        ParseError: The file is missing, unreadable, too large, not JSON, or not a `kind`.
    """
    return from_plain(kind, read_plain(path, max_bytes=max_bytes), str(path))


def read_plain(path: Path, *, max_bytes: int = MAX_JSON_BYTES) -> object:
    """Read a JSON file into plain data.

    Args:
        path: Path of the file.
        max_bytes: Limit on the file size in bytes, checked before the file is read.

    Raises:
        ParseError: The file is missing, unreadable, too large, or not JSON.
    """
    return _read(path, max_bytes, "JSON", load_json)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file into plain data.

    Raises:
        ParseError: The file is missing, unreadable, too large, or not TOML.
    """
    return _read(path, MAX_TOML_BYTES, "TOML", _load_toml)


def _read(path: Path, max_bytes: int, format_name: str, load: Callable[[str], T]) -> T:
    try:
        return load(read_bytes(path, max_bytes).decode())
    except OSError as error:
        raise ParseError(f"{path}: {os_reason(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ParseError(f"{path}: not a {format_name} file ({error})") from None


def _load_toml(text: str) -> dict[str, Any]:
    dots = text.count(".")
    if dots > MAX_TOML_DOTS:
        raise ValueError(f"found {dots} dots, allowed: at most {MAX_TOML_DOTS}")
    return tomllib.loads(text)


def load_json(text: str) -> object:
    """Return the plain data of a JSON text.

    Raises:
        ValueError: The text is not JSON, an object has the same key twice, or a number has too many digits.
        RecursionError: The data are nested too deeply.
    """

    def to_dict(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) < len(pairs):
            repeated = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            raise ValueError(f"key {show(repeated)} twice in one object")
        return result

    return json.loads(text, object_pairs_hook=to_dict)


def write_json(path: Path, data: object) -> None:
    """Write plain data or a data class as a JSON file, atomically.

    Raises:
        ParseError: The data contain a string that `read_json` would reject.
        OSError: The file cannot be written.
    """
    plain = to_plain(data)
    for text in _strings(plain):
        problem = flaw(text)
        if problem is not None:
            raise ParseError(f"{path}: found {problem}")
    write_whole(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _strings(plain: object) -> Iterator[str]:
    """Yield every string in plain data, keys included."""
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, dict):
        for key, item in plain.items():
            yield key
            yield from _strings(item)
    elif isinstance(plain, list):
        for item in plain:
            if isinstance(item, (str, dict, list)):  # skips numbers, which are most of the data
                yield from _strings(item)
