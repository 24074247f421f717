"""Plan of a latency profile: the parts to measure, and the whole networks of each measurement session."""

from dataclasses import dataclass

import numpy as np

from senas.architecture import Architecture, Part
from senas.errors import ProfileError
from senas.latency.prediction import choose_parts
from senas.spaces import SearchSpace

HELD_OUT = 79  # (n + 1) * 0.95 is an integer, so rounding loses no confidence
MIN_HELD_OUT = 19  # with fewer, no ratio is a 95 % bound
SESSIONS = 8

_ANCHORS = 12
_FITTED = 20
_REPEATS = 2  # number of sessions that measure each network


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Parts and networks to measure.

    Attributes:
        entries: Parts that get an entry.
        parts: Parts to measure, among `entries`.
        anchors: Networks that every session measures.
        fitted: Networks to calibrate on.
        held_out: Networks to validate on.
    """

    entries: tuple[Part, ...]
    parts: tuple[Part, ...]
    anchors: list[Architecture]
    fitted: list[Architecture]
    held_out: list[Architecture]

    def session(self, number: int) -> list[Architecture]:
        """Return the networks of a session, without the anchors."""
        return [arch for i, arch in enumerate(self.networks) if number in sessions_of(i)]

    @property
    def networks(self) -> list[Architecture]:
        """All networks except the anchors."""
        return [*self.fitted, *self.held_out]


def make_plan(space: SearchSpace, share: float, seed: int) -> Plan:
    """Return the plan for a space.

    Args:
        space: Space to measure.
        share: Share of the parts with SE to measure, in (0, 1].
        seed: Random seed for networks and parts.

    Raises:
        ProfileError: The space has too few architectures to calibrate and to validate on.
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
    """Return the whole networks that `profile_space` measures with a seed: anchors, then fitted, then held out.

    Raises:
        ProfileError: The space has too few architectures to calibrate and to validate on.
    """
    needed = _ANCHORS + _FITTED + MIN_HELD_OUT
    if space.size < needed:
        raise ProfileError(
            f"profile of space {space.name}: found {space.size} architectures, expected at least {needed} "
            "to calibrate the predictions and to validate their 95 % bound"
        )
    rng = np.random.default_rng(seed)
    found: dict[str, Architecture] = {}
    while len(found) < min(_ANCHORS + _FITTED + HELD_OUT, space.size):
        arch = space.random(rng)
        found.setdefault(arch.digest, arch)
    return list(found.values())


def sessions_of(number: int) -> list[int]:
    """Return the numbers of the sessions that measure a network."""
    return [(number + repeat) % SESSIONS for repeat in range(_REPEATS)]
