"""Texts and values of strangers in one line of a terminal: what a text may hold, and how a value is shown."""

import reprlib
import unicodedata

MAX_TEXT = 10_000  # characters of one text in a file

_LONG = 60
_MOST_LINES = 500
_LONG_NAME = 200
_LONG_BITS = 10_000  # Python refuses to write longer numbers in decimal, and nobody wants to read them
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # make a line read otherwise than it is
_REFUSED = {"Cc": "a control character", "Cs": "half a surrogate pair", "Zl": "a line break", "Zp": "a line break"}


def flaw(text: str) -> str | None:
    """What a text holds that has no business in a file of ours; `None` where it is fine.

    Control characters drive a terminal and half a surrogate pair cannot be written to one.
    """
    if len(text) > MAX_TEXT:
        return f"{len(text)} characters, allowed: at most {MAX_TEXT}"
    for character in () if text.isascii() and text.isprintable() else text:
        what = (
            "a turn of the writing direction"
            if character in _TURNING
            else _REFUSED.get(unicodedata.category(character))
        )
        if what is not None:
            return f"{show(text)} with {what} ({character!a}), allowed: none"
    return None


def show(data: object) -> str:
    """A value in a message: on one line, short, however large or deep it is."""
    text = "nothing" if data is None else _SHORT.repr(data)
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


def brief(name: str) -> str:
    """A name in the place of a message: as it is where it can be printed, and not without end."""
    return name if name.isprintable() and len(name) <= _LONG_NAME else repr(name[:_LONG_NAME])[1:-1]


def printable_lines(text: str) -> tuple[str, ...]:
    """The lines of a text from anywhere, such as a traceback, as they may stand in a file of ours.

    Characters that have no business there become escapes. Of very many lines the last ones are kept, which tell most.
    """
    lines = text.splitlines()
    kept = lines if len(lines) <= _MOST_LINES else [f"... {len(lines) - _MOST_LINES} lines", *lines[-_MOST_LINES:]]
    return tuple(line if flaw(line) is None else _escaped(line) for line in kept)


def _escaped(line: str) -> str:
    start = line[: MAX_TEXT // 10]  # an escape takes up to ten characters
    return "".join(character if flaw(character) is None else ascii(character)[1:-1] for character in start)


class _Short(reprlib.Repr):
    """`repr` that looks at no more of a value than it shows."""

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002  # reprlib's signature
        """Decimal, or hexadecimal where that would take long."""
        return repr(x) if x.bit_length() <= _LONG_BITS else hex(x)

    def repr_str(self, x: str, level: int) -> str:  # noqa: ARG002  # reprlib's signature
        """The start of the text."""
        return repr(x[: _LONG + 1])


_SHORT = _Short()
_SHORT.maxlevel = 4
