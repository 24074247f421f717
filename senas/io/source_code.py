"""Digest of Python source code."""

import hashlib
import tokenize
from pathlib import Path

_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}
_BLOCKS = {tokenize.INDENT: b"\t>", tokenize.DEDENT: b"\t<"}


def source_digest(*paths: Path) -> str:
    """Return a digest, 16 hexadecimal digits, of the code in Python files.

    Comments, docstrings, imports and white space between tokens are excluded, so that moving or formatting code does
    not change it. White space within an f-string is excluded too: from Python 3.12 on, its expressions are tokens of
    their own.
    """
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            tokens = [token for token in tokenize.tokenize(file.readline) if token.type not in _SILENT]
        start, skipped = True, False  # at the start of a statement; inside an excluded one
        fstrings = 0  # that the token is within, from Python 3.12 on
        for token in tokens:
            if token.type == tokenize.NEWLINE:
                found.update(b"" if skipped else b"\n")
                start, skipped = True, False
            elif skipped:
                continue
            elif token.type in _BLOCKS:
                found.update(_BLOCKS[token.type])
            elif start and (token.type == tokenize.STRING or token.string in ("import", "from")):
                start, skipped = False, True
            else:
                kind = tokenize.tok_name[token.type]
                fstrings += kind == "FSTRING_START"
                within = fstrings > 0 or (
                    kind == "STRING" and "f" in token.string.lower().partition(token.string[-1])[0]
                )
                fstrings -= kind == "FSTRING_END"
                found.update(("".join(token.string.split()) if within else token.string).encode())
                start = False
    return found.hexdigest()[:16]
