"""What becomes of a valid file in the hands of somebody who means no good: hypothesis strategies of malformed bytes."""

import hashlib
import io
import itertools
import json
import math
import sqlite3
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

HOSTILE_TEXTS = [
    "", " ", "a" * 200, "a" * 20_000, "\x1b[2J", "\r\n", "\0", "\ud800", "\u202e", "../../etc/passwd", "/dev/zero",
    "NaN", "<img src=x onerror=alert(1)>", "$\\foo$", "%s{0}", "kind", "__class__", "r" * 61, "\u2028", "\U0010ffff",
]  # fmt: skip
HOSTILE_NUMBERS = [
    0, -1, 1, 2, 7, 255, 4096, 8193, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 10**300, 0.0, -0.0,
    1e-320, 0.5, 1e30, 1.7e308, float("nan"), float("inf"), -float("inf"),
]  # fmt: skip
DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]

texts = st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=20)
leaves = st.sampled_from(HOSTILE_NUMBERS) | texts | st.booleans() | st.none() | st.integers(-3, 70)
values = st.one_of(
    leaves,
    leaves,
    st.lists(leaves, max_size=3),
    st.dictionaries(texts, leaves, max_size=2),
    st.sampled_from([DEEP, [0] * 5_000, {str(number): 0 for number in range(500)}]),
)


@dataclass(frozen=True)
class Form:
    """How a file can be taken apart into tables, lists and leaves, and put together again.

    Attributes:
        split: bytes to plain data.
        join: plain data to bytes; takes whatever it finds there.
        leaf: what a leaf may be replaced by.
    """

    split: Callable[[bytes], Any]
    join: Callable[[Any], bytes]
    leaf: st.SearchStrategy[Any] = values


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return f"{{ {', '.join(f'{json.dumps(key)} = {_toml(item)}' for key, item in value.items())} }}"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case None:
            return "1979-05-27T07:32:00Z"  # TOML has no null, but types that JSON does not have
    return str(value)


def _join_toml(data: Any) -> bytes:
    pairs = data.items() if isinstance(data, dict) else [("name", data)]
    return "\n".join(f"{_toml(key)} = {_toml(item)}" for key, item in pairs).encode(errors="surrogatepass")


def _split_zip(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def join_zip(members: Any) -> bytes:
    """A zip file; what is no bytes becomes the text of itself."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items() if isinstance(members, dict) else [("x.npy", members)]:
            name = name.encode(errors="replace").decode().replace("\0", "0")[:60_000] or "?"
            archive.writestr(name, content if isinstance(content, bytes) else str(content).encode(errors="replace"))
    return file.getvalue()


def npy_bytes(descr: Any, shape: Any, payload: bytes, fortran: Any = False) -> bytes:
    """An array whose header says what it is told to."""
    header = repr({"descr": descr, "fortran_order": fortran, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\2\0" + len(header).to_bytes(4, "little") + header + payload


_DESCRS = ["|u1", "<i8", ">i4", "<f8", "<f2", "|b1", "<U3", ">U1", "<U0", "|V4", "|O", "<M8[s]", "<c16", "|S3", "x", 3]
_SIZES = st.sampled_from([0, 1, 2, 3, 6, 64, 10**6, 10**12, 2**63, -1, True, 0.5])
_SHAPES = st.lists(_SIZES, max_size=5).map(tuple) | st.sampled_from(
    [(), (6,), (6, 2), (6, 8, 8), (2, 3, 1), (0, 2**62)]
)
_PAYLOADS = [bytes(6), bytes(range(6)), bytes(12), bytes(48), bytes(384), b"\xff" * 64, np.arange(6.0).tobytes()]
_arrays = st.builds(
    npy_bytes,
    st.sampled_from([*_DESCRS, [("a", "<i4"), ("b", "|O")]]),
    _SHAPES | _SIZES,
    st.binary(max_size=64) | st.sampled_from(_PAYLOADS),
    st.sampled_from([False, False, True, 1]),
)
_fitting = st.builds(  # headers that tell the truth
    lambda descr, shape, byte: npy_bytes(descr, shape, bytes([byte]) * (math.prod(shape) * np.dtype(descr).itemsize)),
    st.sampled_from(["|u1", "|i1", "<i8", "<u8", ">i4", "<f8", "<f4", "<f2", "|b1", "<U3", ">U1"]),
    st.lists(st.sampled_from([0, 1, 2, 3, 6, 8]), max_size=4).map(tuple),
    st.sampled_from([0, 1, 65, 127, 128, 255]),
)


def _split_safetensors(content: bytes) -> dict[str, Any]:
    end = 8 + int.from_bytes(content[:8], "little")
    return {"header": json.loads(content[8:end]), "data": content[end:]}


def _join_safetensors(parts: Any) -> bytes:
    parts = parts if isinstance(parts, dict) else {"header": parts}
    header = json.dumps(parts.get("header")).encode()
    data = parts.get("data")
    return len(header).to_bytes(8, "little") + header + (data if isinstance(data, bytes) else b"")


def _join_json(data: Any) -> bytes:
    return json.dumps(data).encode()


def sign(data: Any) -> Any:
    """A profile with the hashes that belong to its sections, so that what it says is looked at."""
    if not isinstance(data, dict):
        return data
    texts = {name: json.dumps(item, sort_keys=True, separators=(",", ":")) for name, item in data.items()}
    return data | {"hashes": {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}}


def _split_profile(content: bytes) -> Any:
    return {name: item for name, item in json.loads(content).items() if name != "hashes"}


def _split_journal(content: bytes) -> list[list[Any]]:
    """The events, their payloads taken apart."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(content)
        rows = database.execute("SELECT id, time, kind, trial, payload FROM event").fetchall()
    return [[*row[:4], json.loads(row[4])] for row in rows]


def _join_journal(rows: Any) -> bytes:
    """A journal of such events; what SQLite cannot keep becomes something that it can."""

    def kept(value: Any) -> Any:
        if isinstance(value, str):
            return value.encode(errors="replace").decode()
        return value if isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63) else "something"

    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(
            "CREATE TABLE event (id INTEGER PRIMARY KEY, time REAL NOT NULL, "
            "kind TEXT NOT NULL, trial INTEGER NOT NULL, payload TEXT NOT NULL)"
        )
        database.execute("PRAGMA user_version=2")
        for row in rows if isinstance(rows, list) else []:
            values = row if isinstance(row, list) and len(row) == 5 else [None, 0.0, "opened", 0, row]
            number, when, kind, trial, payload = values
            whole = number if isinstance(number, int) and abs(number) < 2**63 else None
            event = (whole, kept(when), kept(kind), kept(trial), json.dumps(payload))
            with suppress(sqlite3.IntegrityError):  # a second event of the same number
                database.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", event)
        database.commit()
        return database.serialize()


FORMS = {
    "profile": Form(_split_profile, lambda data: _join_json(sign(data))),
    "json": Form(json.loads, _join_json),
    "toml": Form(lambda content: tomllib.loads(content.decode()), _join_toml),
    "npz": Form(_split_zip, join_zip, _arrays | _fitting),
    "safetensors": Form(_split_safetensors, _join_safetensors),
    "journal": Form(_split_journal, _join_journal),
}


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """A file whose bytes somebody changed: bits turned, parts cut off, left out, put in, put in twice."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        start, length = draw(st.integers(0, len(content))), draw(st.integers(1, 40))
        match draw(st.sampled_from(["turn", "truncate", "delete", "repeat", "insert"])):
            case "turn" if start < len(content):
                content[start] ^= 1 << draw(st.integers(0, 7))
            case "truncate":
                del content[start:]
            case "delete":
                del content[start : start + length]
            case "repeat":
                content[start:start] = content[start : start + length] * draw(st.sampled_from([1, 2, 1_000]))
            case _:
                content[start:start] = draw(st.binary(min_size=1, max_size=8))
    return bytes(content)


@st.composite
def changed(draw: st.DrawFn, valid: bytes, form: Form) -> bytes:
    """A file that is well-formed and says something else: values replaced, keys removed, added, renamed."""
    data = form.split(valid)
    for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
        place = draw(st.sampled_from(list(_places(data))[::-1]))  # hypothesis likes the first ones: the deepest
        data = _at(data, place, lambda here, keys: _change(draw, here, keys, form))
    return form.join(data)


def _places(data: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys on the way to everything there is, the whole included."""
    yield place
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, item in itertools.islice(items, 100):
        yield from _places(item, (*place, key)) if len(place) < 20 else ()


def _at(data: Any, place: tuple[Any, ...], change: Callable[[Any, list[Any]], Any]) -> Any:
    """The data with a change where `place` leads."""
    if not place:
        return change(data, list(data) if isinstance(data, dict) else [])
    changed = data.copy()
    changed[place[0]] = _at(data[place[0]], place[1:], change)
    return changed


def _change(draw: st.DrawFn, here: Any, keys: list[Any], form: Form) -> Any:
    """Something else in the place of a value; of the same type more often than not, which gets further."""
    if keys and draw(st.booleans()):
        key = draw(st.sampled_from(keys))
        rest = {name: item for name, item in here.items() if name != key}
        return draw(
            st.sampled_from([rest])
            | texts.map(lambda name: rest | {name: here[key]})
            | st.builds(lambda name, item: here | {name: item}, texts, form.leaf)
        )
    if isinstance(here, list) and here and draw(st.booleans()):
        return draw(st.sampled_from([here[1:], here[::-1], here * 2, here * 1_100, [*here, here], []]))
    if isinstance(here, (int, float)) and draw(st.integers(0, 3)):
        return draw(st.sampled_from(HOSTILE_NUMBERS) | st.integers(0, 70))
    if isinstance(here, str) and draw(st.integers(0, 3)):
        return draw(texts)
    return draw(form.leaf)
