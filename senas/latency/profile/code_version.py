"""Version of the code that builds networks, which a profile is valid for."""

from dataclasses import dataclass
from pathlib import Path

from senas.io import source_digest

# Digests that profiles recorded for earlier forms of its code, and those of the same networks today.
_SAME_CODE = {
    "5dba4217929ea87f": "ecf3502ef03c3df6",
    "2352b7aa8eb61e32": "ecf3502ef03c3df6",
    "df3be19eda514465": "a599cc5dc36ab85f",
    "011ef29dce66ecc6": "a599cc5dc36ab85f",
    "2cd506383bc7871c": "a599cc5dc36ab85f",
    "497459c601b62d83": "a599cc5dc36ab85f",
    "eb7b927665dd3c32": "a599cc5dc36ab85f",
}


@dataclass(frozen=True, kw_only=True)
class NetworkCode:
    """Digests of the source that networks are built with, without its comments and docstrings.

    Attributes:
        se: Digest of the SE implementation.
        networks: Digest of all other code that describes and builds networks.
    """

    se: str
    networks: str


def network_code() -> NetworkCode:
    """Return the digests of the code that this process builds networks with."""
    package = Path(__file__).parent.parent.parent
    described, built = package / "architecture", package / "nn"
    block = built / "se.py"
    others = {described / "se.py", *(path for room in ("layers", "cells") for path in (described / room).glob("*.py"))}
    others |= {built / name for name in ("build.py", "fused.py", "fused_kernel.py", "modules.py", "network.py")}
    return NetworkCode(se=source_digest(block), networks=source_digest(*sorted(others)))


def current_digest(recorded: str) -> str:
    """Return the digest that the code of a recorded digest has today; an unknown digest is returned unchanged."""
    return _SAME_CODE.get(recorded, recorded)
