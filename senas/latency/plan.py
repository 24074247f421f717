"""What a latency profile is made of: the parts to measure, and which whole networks sit together when."""

from dataclasses import dataclass

import numpy as np

from senas.architecture import Architecture, Part
from senas.errors import ProfileError
from senas.latency.filling import choose_parts
from senas.spaces.space import SearchSpace

HELD_OUT = 79  # (n + 1) * 0.95 is whole: no confidence is lost by rounding
LEAST_HELD_OUT = 19  # below, no ratio is a 95 % bound
SITTINGS = 8

_ANCHORS = 12
_FITTED = 20
_REPEATS = 2  # sittings that each network is in


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure.

    Attributes:
        entries: every part that gets an entry.
        parts: those of them to measure.
        anchors: networks that are in every sitting.
        fitted: networks to calibrate on.
        held_out: networks to validate on.
    """

    entries: tuple[Part, ...]
    parts: tuple[Part, ...]
    anchors: list[Architecture]
    fitted: list[Architecture]
    held_out: list[Architecture]

    def sitting(self, number: int) -> list[Architecture]:
        """The networks of a sitting, beside the anchors."""
        return [arch for i, arch in enumerate(self.networks) if number in sittings_of(i)]

    @property
    def networks(self) -> list[Architecture]:
        """All but the anchors."""
        return [*self.fitted, *self.held_out]


def make_plan(space: SearchSpace, share: float, seed: int) -> Plan:
    """What to measure of a space.

    Raises:
        ProfileError: the space has too few architectures to calibrate and to validate on.
    """
    networks = networks_seen(space, seed)
    bodies = [part.without_se() for part in space.parts]
    return Plan(
        entries=tuple(dict.fromkeys([*space.parts, *bodies])),
        parts=tuple(choose_parts(space.parts, share, np.random.default_rng([seed, 1]))),
        anchors=networks[:_ANCHORS],
        fitted=networks[_ANCHORS : _ANCHORS + _FITTED],
        held_out=networks[_ANCHORS + _FITTED :],
    )


def networks_seen(space: SearchSpace, seed: int) -> list[Architecture]:
    """The whole networks that `profile_space` measures with a seed: anchors, then fitted, then held out.

    Raises:
        ProfileError: the space has too few architectures to calibrate and to validate on.
    """
    needed = _ANCHORS + _FITTED + LEAST_HELD_OUT
    if space.size < needed:
        raise ProfileError(
            f"profile of space {space.name}: found {space.size} architectures, needs {needed} to calibrate and to "
            "validate a 95 % bound on"
        )
    rng = np.random.default_rng(seed)
    found: dict[str, Architecture] = {}
    while len(found) < min(_ANCHORS + _FITTED + HELD_OUT, space.size):
        arch = space.random(rng)
        found.setdefault(arch.digest, arch)
    return list(found.values())


def sittings_of(number: int) -> list[int]:
    """The sittings that a network is in."""
    return [(number + repeat) % SITTINGS for repeat in range(_REPEATS)]
