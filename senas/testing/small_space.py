"""A space small enough to list, with a made-up accuracy for each of its architectures."""

import tempfile
from functools import cache
from pathlib import Path

from senas.architecture import Architecture
from senas.spaces import SearchSpace, load_space

SMALL_SPACE = """
name = "tiny"
backbone = "resnet20"
input = { channels = 1, size = 8 }
classes = 10
[se]
reduction = [2, 4]
integration = ["standard", "pre"]
[se.stage.3]
per = "stage"
integration = ["standard"]
[se.stage.4]
integration = ["standard"]
reduction = [4]
[depth]
stage.2 = [1, 2]
stage.3 = [1, 2]
stage.4 = [1]
[width]
stem = [4]
stage.2 = [4]
stage.3 = [8, 12]
stage.4 = [12]
"""


@cache
def make_small_space() -> SearchSpace:
    """Return the space of `SMALL_SPACE`, 2 * (5 + 25) * (3 + 3) * 2 = 720 architectures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.toml"
        path.write_text(SMALL_SPACE)
        return load_space(path)


@cache
def digest_accuracy(arch: Architecture) -> float:
    """Return a made-up accuracy in [0, 1) that depends on the digest alone."""
    return int(arch.digest, 16) % 1000 / 1000
