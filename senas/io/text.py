"""Untrusted strings and values: which strings are rejected, and how values are shown on one line of a terminal."""

import reprlib
import unicodedata
from functools import partial

MAX_TEXT = 10_000  # characters of one string in a file

_MAX_SHOWN = 60  # characters
_MAX_LINES = 500
_MAX_NAME = 200  # characters
_MAX_DECIMAL_BITS = 10_000  # longer ones are shown in hexadecimal; Python limits decimals to 4,300 digits
_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # reorder the text of a line
_REJECTED = {"Cc": "a control character", "Cs": "an unpaired surrogate", "Zl": "a line break", "Zp": "a line break"}


def flaw(text: str) -> str | None:
    """Return why a string is rejected, or `None`.

    Control characters can change the state of a terminal, and an unpaired surrogate cannot be written to one.
    """
    if len(text) > MAX_TEXT:
        return f"{len(text)} characters, allowed: at most {MAX_TEXT}"
    for character in () if text.isascii() and text.isprintable() else text:
        problem = (
            "a change of the writing direction"
            if character in _BIDIRECTIONAL
            else _REJECTED.get(unicodedata.category(character))
        )
        if problem is not None:
            return f"{show(text)} with {problem} ({character!a}), allowed: none"
    return None


def show(data: object) -> str:
    """Return a value as one short line of text for a message, however large or deep the value is."""
    text = "nothing" if data is None else _SHORT_REPR.repr(data)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def brief(name: str) -> str:
    """Return a name for the place in a message: unchanged if it is printable and short, else escaped and cut."""
    return name if name.isprintable() and len(name) <= _MAX_NAME else repr(name[:_MAX_NAME])[1:-1]


def name_of(function: object) -> str:
    """Return the module and name of a function, or of the class of a callable, which are the same in every process.

    A string is returned unchanged, and for an object with a `source_name` that name is returned.
    """
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, str):
        return function
    if isinstance(named_after := getattr(function, "source_name", None), str):
        return named_after
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{getattr(named, '__qualname__', '')}"


def printable_lines(text: str) -> tuple[str, ...]:
    """Return the lines of an untrusted text, such as a traceback, in a form that may be written to files.

    Rejected characters are replaced by escapes. If there are too many lines, the last ones are kept, which are the most
    useful.
    """
    lines = text.splitlines()
    kept = lines if len(lines) <= _MAX_LINES else [f"... {len(lines) - _MAX_LINES} lines", *lines[-_MAX_LINES:]]
    return tuple(line if flaw(line) is None else _escaped(line) for line in kept)


def _escaped(line: str) -> str:
    start = line[: MAX_TEXT // 10]  # an escape takes up to ten characters
    return "".join(character if flaw(character) is None else ascii(character)[1:-1] for character in start)


class _ShortRepr(reprlib.Repr):
    """A `repr` that reads no more of a value than it shows."""

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002  # reprlib's signature
        """Return the number in decimal, or in hexadecimal if decimal would take long."""
        return repr(x) if x.bit_length() <= _MAX_DECIMAL_BITS else hex(x)

    def repr_str(self, x: str, level: int) -> str:  # noqa: ARG002  # reprlib's signature
        """Return the `repr` of the start of the string."""
        return repr(x[: _MAX_SHOWN + 1])


_SHORT_REPR = _ShortRepr()
_SHORT_REPR.maxlevel = 4
