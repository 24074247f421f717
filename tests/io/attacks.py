"""Files made by hand to bring a reader down, and words of the line that each is refused with."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mutations import DEEP, join_zip, npy_bytes, sign

from senas.io.documents import MAX_JSON_BYTES, MAX_TOML_BYTES


class Attack(NamedTuple):
    """One file.

    Attributes:
        reader: a key of `test_hostile.READERS`.
        make: from what a valid file holds to what this one does.
        words: of the refusal.
    """

    reader: str
    make: Callable[[bytes], bytes]
    words: str


def _set(path: str, value: Any, text: str | None = None) -> Callable[[bytes], bytes]:
    """A JSON file with another value at a place; `text` takes the place of the value as it is written."""

    def make(valid: bytes) -> bytes:
        data = here = json.loads(valid)
        *way, last = (int(step) if step.isdigit() else step for step in path.split("/"))
        for step in way:
            here = here[step]
        here[last] = value if text is None else "HERE"
        if "hashes" in data:
            data = sign({name: item for name, item in data.items() if name != "hashes"})
        return json.dumps(data).replace('"HERE"', text or "").encode()

    return make


def _arch(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda valid: json.dumps(json.loads(valid) | changes).encode()


def _toml(old: str, new: str) -> Callable[[bytes], bytes]:
    def make(valid: bytes) -> bytes:
        assert old in valid.decode()
        return valid.decode().replace(old, new, 1).encode()

    return make


def _members(**arrays: bytes | None) -> Callable[[bytes], bytes]:
    """An npz file with other members, or without them."""

    def make(valid: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(valid)) as archive:
            found: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
        changed = found | {f"{name}.npy": content for name, content in arrays.items()}
        return join_zip({name: content for name, content in changed.items() if content is not None})

    return make


def _zip(*members: tuple[str, bytes], packed: int = zipfile.ZIP_DEFLATED) -> Callable[[bytes], bytes]:
    def make(_: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", packed) as archive:
            for name, content in members:
                archive.NameToInfo.pop(name, None)  # so that zipfile says nothing of doubles
                archive.writestr(name, content)
        return file.getvalue()

    return make


def _bomb(_: bytes) -> bytes:
    """300 kB that hold 300 MB of zeros."""
    file = io.BytesIO()
    packed = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with packed as archive, archive.open("x_train.npy", "w") as member:
        member.write(npy_bytes("|u1", (300, 1_000, 1_000), b""))
        for _number in range(300):
            member.write(bytes(10**6))
    return file.getvalue()


def _patched(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def make(valid: bytes) -> bytes:
        assert old in valid and len(old) == len(new)
        return valid.replace(old, new)

    return make


class _Evil:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("executed",)


def _tensors(header: Any, data: bytes = b"", length: int | None = None) -> Callable[[bytes], bytes]:
    text = json.dumps(header).encode()
    return lambda _: (len(text) if length is None else length).to_bytes(8, "little") + text + data


def _retold(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    """Weights whose header was changed."""

    def make(valid: bytes) -> bytes:
        end = 8 + int.from_bytes(valid[:8], "little")
        header = json.loads(valid[8:end])
        change(header)
        return _tensors(header, valid[end:])(b"")

    return make


_WIDE = {"kind": "bottleneck", "stage": 2, "channels": 8192, "expansion": 1}
_GROWING = {"kind": "inception", "stage": 2, "pointwise": 0, "single": [1, 8192], "double": [1, 1], "pooling": "max"}
_IMAGE = {"input": {"channels": 3, "size": 64}}
_LABELS = npy_bytes("<i8", (6,), bytes(48))
_PICKLE = pickle.dumps(np.array([_Evil()], dtype=object))
_SE = "reduction = [2, 4]"
_EVERY = ", ".join(map(str, range(4, 68)))
_NAME = 'name = "tiny"'

ATTACKS = {
    # Architectures: text, numbers, and networks that nobody can hold.
    "deep": Attack("architecture", lambda _: b"[" * 10**6, "not a JSON file"),
    "deep_inside": Attack("architecture", _arch(input=DEEP), "input: found [[[["),
    "wide_inside": Attack("architecture", _arch(input=[0] * 10**6), "input: found [0, 0"),
    "large": Attack("architecture", lambda _: b" " * (MAX_JSON_BYTES + 1), "allowed: at most 16777216"),
    "empty": Attack("architecture", lambda _: b"", "not a JSON file"),
    "utf16": Attack("architecture", lambda valid: valid.decode().encode("utf-16"), "not a JSON file"),
    "latin1": Attack("architecture", lambda _: b'{"caf\xe9": 1}', "not a JSON file"),
    "bom": Attack("architecture", lambda valid: b"\xef\xbb\xbf" + valid, "not a JSON file"),
    "twice": Attack(
        "architecture", lambda _: b'{"\\u001b[2J": 1, "\\u001b[2J": 2}', r"key '\x1b[2J' twice in one object"
    ),
    "control": Attack("architecture", _arch(**{"\x1b[2J": 1}), r"found '\x1b[2J'"),
    "surrogate": Attack("architecture", _arch(**{"\ud800": 1}), r"found '\ud800'"),
    "long_key": Attack("architecture", _arch(**{"k" * 10**6: 1}), "found 'kkkk"),
    "digits": Attack("architecture", _set("stem/channels", 0, "9" * 5_000), "not a JSON file"),
    "some_digits": Attack("architecture", _set("stem/channels", 0, "9" * 2_000), "stem: channels: found 9999"),
    "nan": Attack(
        "architecture", _set("cells/0/expansion", 0, "NaN"), "expansion: found nan, expected a finite number"
    ),
    "infinite": Attack("architecture", _set("cells/0/expansion", 0, "1e999"), "expansion: found inf"),
    "kind": Attack("architecture", _set("stem/kind", DEEP), "stem: kind: found '[[[["),
    "huge_image": Attack(
        "architecture", _arch(input={"channels": 8192, "size": 4096}), "input: found 137438953472 elements"
    ),
    "terabytes": Attack("architecture", _arch(**_IMAGE, cells=[_WIDE] * 500), "allowed: at most 268435456"),
    "many_cells": Attack(
        "architecture", _arch(cells=[{"stage": 2, "channels": 4}] * 10**5), "cells: found 100000, allowed"
    ),
    "growing": Attack(
        "architecture",
        _arch(**_IMAGE, cells=[_GROWING | {"pooled": 0}] * 900),
        "network: found ",
    ),
    "slow": Attack(
        "architecture",
        _arch(input={"channels": 3, "size": 256}, cells=[{"stage": 2, "channels": 1024}] * 12),
        "multiply-adds, allowed: at most 1099511627776",
    ),
    # Spaces: as above, and choices that multiply.
    "toml_large": Attack("space", lambda _: b"#" * (MAX_TOML_BYTES + 1), "allowed: at most 131072"),
    "toml_deep": Attack("space", lambda _: b"x = " + b"[" * 10**5, "not a TOML file"),
    "toml_dotted": Attack("space", lambda _: b"a" + b".a" * 60_000 + b" = 1", "found 60000 dots"),
    "toml_headers": Attack(
        "space", lambda _: b"".join(b"[a%d.b.c.d]\n" % n for n in range(8_000)), "dots, allowed: at most 1000"
    ),
    "toml_tables": Attack("space", lambda _: b"".join(b"[t%d]\n" % n for n in range(15_000)), "unknown key"),
    "toml_hex": Attack("space", _toml("classes = 10", f"classes = 0x{'f' * 100_000}"), "classes: found 0xffff"),
    "toml_date": Attack("space", _toml("classes = 10", "classes = 1979-05-27"), "classes: found datetime.date"),
    "toml_nan": Attack("space", _toml("classes = 10", "classes = nan"), "classes: found nan"),
    "toml_control": Attack("space", _toml(_NAME, r'name = "a\u001b[31m"'), "name: found 'a\\x1b[31m' with a control"),
    "toml_turning": Attack("space", _toml(_NAME, r'name = "a\u202e"'), "with a change of the writing direction"),
    "toml_key": Attack("space", _toml(_NAME, r'"\u001b[31m" = 1'), r"unknown key, found '\x1b[31m'"),
    "long_name": Attack("space", _toml(_NAME, f'name = "{"n" * 101}"'), "name: found 101 characters"),
    "huge_depth": Attack(
        "space", _toml("stage.2 = [1, 2]", "stage.2 = [1000000000]"), "depth.stage.2: found 1000000000"
    ),
    "huge_width": Attack("space", _toml("stage.2 = [4]", "stage.2 = [1000000000]"), "width.stage.2: found 1000000000"),
    "many_depths": Attack(
        "space", _toml("stage.2 = [1, 2]", f"stage.2 = {list(range(1, 10_000))}"), "found 9999 options, allowed"
    ),
    "many_blocks": Attack(
        "space", _toml(_SE, f"reduction = {list(range(1, 9_000))}\nmultiple = {list(range(1, 9_000))}"), "SE options"
    ),
    "doubles": Attack("space", _toml(_SE, f"reduction = {[2] * 20_000}"), "the same option twice in [2, 2, 2"),
    "many_ways": Attack(
        "space",
        lambda valid: _toml("stem = [4]", f"stem = [{_EVERY}]")(
            _toml("stage.2 = [4]", f"stage.2 = [{_EVERY}]")(_toml("stage.2 = [1, 2]", "stage.2 = [256, 255]")(valid))
        ),
        "cells up to here",
    ),
    "large_space": Attack(
        "space",
        lambda valid: _toml("stage.4 = [12]", "stage.4 = [4096]")(_toml("stage.4 = [1]", "stage.4 = [1, 2]")(valid)),
        "network: found 4",
    ),
    # Profiles.
    "hashes": Attack("profile", lambda v: json.dumps(json.loads(v) | {"hashes": DEEP}).encode(), "hashes: found [[[["),
    "hash": Attack("profile", lambda v: v.replace(b'"batch": 1', b'"batch": 2'), "it was changed after it was written"),
    "batch": Attack("profile", _set("mode/batch", 2**40), "mode: batch: found 1099511627776, allowed: at most 4096"),
    "latency": Attack("profile", _set("anchors/0/latency_ms", 0, "1e999"), "latency_ms: found inf"),
    "device": Attack("profile", _set("device/name", "\x1b]0;x\x07"), "device: name: found '\\x1b]0;x\\x07'"),
    "entry": Attack("profile", _set("entries/\n", {}), "entries: key: found '\\n' with a control character"),
    "anchor": Attack("profile", _set("anchors/0/architecture/cells", [_WIDE] * 500), "anchors[0]: architecture"),
    # Arrays: what the directory, a member and a header say.
    "bomb": Attack("data", _bomb, "arrays: found 300000"),
    "claim": Attack(
        "data", _members(y_train=npy_bytes("<i8", (10**15,), bytes(48))), "expected a shape that fills them"
    ),
    "zero_width": Attack(
        "data", _members(class_names=npy_bytes("<U0", (10**18,), b"")), "not an npz file of plain arrays"
    ),
    "negative": Attack(
        "data", _members(y_train=npy_bytes("<i8", (-6,), bytes(48))), "expected a shape that fills them"
    ),
    "wrapping": Attack("data", _members(y_train=npy_bytes("<i8", (2**62, 4), b"")), "expected a shape that fills them"),
    "no_shape": Attack("data", _members(y_train=npy_bytes("<i8", "6", bytes(48))), "not an npz file"),
    "object": Attack("data", _members(y_train=npy_bytes("|O", (1,), _PICKLE)), "found object"),
    "structured": Attack("data", _members(y_train=npy_bytes([("a", "<i8")], (6,), bytes(48))), "not an npz file"),
    "pickle": Attack("data", lambda _: _PICKLE, "not an npz file of plain arrays"),
    "deep_header": Attack("data", _members(y_train=npy_bytes("(" * 9_000, (6,), bytes(48))), "not an npz file"),
    "long_header": Attack("data", _members(y_train=npy_bytes("x" * 10**6, (6,), bytes(48))), "not an npz file"),
    "no_unicode": Attack(
        "data", _members(class_names=npy_bytes("<U1", (1,), b"\xff" * 4)), "character code 4294967295, allowed"
    ),
    "terminal": Attack("data", _members(class_names=npy_bytes("<U1", (1,), b"\x1b\0\0\0")), "with a control character"),
    "endless_text": Attack("data", _members(class_names=npy_bytes("<U1", (10**6,), bytes(4 * 10**6))), "bytes of text"),
    "infinite_label": Attack(
        "data", _members(y_train=npy_bytes("<u8", (6,), b"\xff" * 48)), "found label 18446744073709551615"
    ),
    "outside": Attack("data", _zip(("../../x_train.npy", _LABELS)), "members: found '../../x_train.npy'"),
    "absolute": Attack("data", _zip(("/tmp/x_train.npy", _LABELS)), "members: found '/tmp/x_train.npy'"),
    "no_array": Attack("data", _zip(("x_train", b"plain")), "members: found 'x_train'"),
    "double": Attack("data", _zip(("x.npy", _LABELS), ("x.npy", _LABELS)), "expected distinct names"),
    "lzma": Attack("data", _zip(("x.npy", _LABELS), packed=zipfile.ZIP_LZMA), "allowed: stored, deflated"),
    "many": Attack("data", _zip(*((f"x{n}.npy", b"") for n in range(5_000))), "members: found 5000, allowed"),
    "directory": Attack(
        "data", _zip(*((f"x{n}{'x' * 300}.npy", b"") for n in range(5_000))), "found a directory or header of 17"
    ),
    "zip64": Attack("data", lambda v: v[:-22] + b"PK\6\7" + bytes(16) + v[-22:], "not an npz file of plain arrays"),
    "shorter": Attack("table", _patched(np.arange(6.0).tobytes(), bytes(48)), "Bad CRC-32"),
    "not_finite": Attack(
        "table", _members(cost=npy_bytes("<f8", (6,), b"\xff" * 48)), "cost: found float64, or numbers"
    ),
    "one_cost": Attack("table", _members(cost=npy_bytes("<f8", (6,), bytes(48))), "no differences to rank rows by"),
    "no_row": Attack("table", _members(choices=npy_bytes("|i1", (), b"\0")), "expected (N, L), (N, S), (N,) and (N,)"),
    "fractions": Attack("table", _members(choices=npy_bytes("<f8", (6, 1), bytes(48))), "expected whole numbers"),
    "no_cost": Attack("table", _members(cost=None), "missing array 'cost', found accuracy"),
    # Weights.
    "pickled": Attack("weights", lambda _: _PICKLE, "not a safetensors file"),
    "header": Attack("weights", _tensors({}, length=2**62), "not a safetensors file"),
    "none": Attack("weights", _tensors({}), "found 0 bytes of weights, expected at least"),
    "beyond": Attack(
        "weights", _tensors({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}), "not a safetensors"
    ),
    "overflow": Attack(
        "weights",
        _tensors({"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 0]}}),
        "not a safetensors file",
    ),
    "renamed": Attack(
        "weights",
        _retold(lambda header: header.update({"\x1b[2J": header.pop("head.linear.bias")})),
        r"\x1b[2J: found (3,), expected None",
    ),
    "retyped": Attack(
        "weights", _retold(lambda header: header["head.linear.bias"].update(dtype="I32")), "of torch.int32"
    ),
    "too_much": Attack("weights", lambda valid: valid + bytes(2**24 + 10**5), "allowed: at most"),
}  # fmt: skip

PLACES: dict[str, Callable[[Path], object]] = {
    "is a directory": lambda path: path.mkdir(),
    "no such file or directory": lambda path: path,
    "found a pipe or a device, expected a regular file": os.mkfifo,
    "expected a regular file": lambda path: path.symlink_to("/dev/zero"),
    "bytes or more, allowed: at most": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 10**11),
}
