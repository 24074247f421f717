"""Predicted latency of one network, part by part."""

from dataclasses import dataclass

from senas.architecture import Architecture
from senas.errors import ProfileError
from senas.latency.prediction import CONFIDENCE
from senas.latency.profile.profile import LatencyProfile

_RANGE = 1.5  # factor beyond the anchors of a profile up to which it predicts without a warning


@dataclass(frozen=True, kw_only=True)
class PartLatency:
    """Share of one part in the predicted latency of a network.

    Attributes:
        latency_ms: Latency that the part adds, its SE block included.
        se_ms: Latency that its SE block adds; 0 without one.
        imputed: Whether the latency of the part was imputed from similar parts rather than measured.
    """

    latency_ms: float
    se_ms: float
    imputed: bool


@dataclass(frozen=True, kw_only=True)
class LatencyBreakdown:
    """Predicted latency of a network: the sum over its parts and an offset.

    Attributes:
        latency_ms: Expected latency.
        upper_ms: Its upper bound.
        offset_ms: Latency of a network without any part.
        se_ms: Latency that all its SE blocks add.
        parts: Latency of each part, in the order of `Architecture.parts`.
        extrapolated: Whether the network is much faster or slower than those that the profile was made with, so that
            its bound may not hold.
    """

    latency_ms: float
    upper_ms: float
    offset_ms: float
    se_ms: float
    parts: tuple[PartLatency, ...]
    extrapolated: bool


def latency_breakdown(arch: Architecture, profile: LatencyProfile, confidence: float = CONFIDENCE) -> LatencyBreakdown:
    """Return the predicted latency of an architecture, part by part.

    Args:
        arch: Architecture that may be of another space, as long as the profile has its parts.
        profile: Profile that predicts.
        confidence: Confidence of the upper bound.

    Raises:
        ProfileError: The profile is for another input, lacks a part, or cannot be relied on.
    """
    if arch.input != profile.mode.input:
        raise ProfileError(
            f"profile of space {profile.space.name}: mode.input: found {profile.mode.input.shape}, architecture "
            f"{arch.digest} needs {arch.input.shape}"
        )
    profile.require_reliable()
    whole = profile.predict(arch, confidence)
    known_ms = [profile.predict(anchor.architecture).latency_ms for anchor in profile.anchors]
    parts = tuple(
        PartLatency(
            latency_ms=profile.part_ms(part),
            se_ms=profile.part_ms(part) - profile.part_ms(bare),
            imputed=profile.entries[part.key].measured is None,
        )
        for part, bare in zip(arch.parts(), arch.without_se().parts(), strict=True)
    )
    return LatencyBreakdown(
        latency_ms=whole.latency_ms,
        upper_ms=whole.upper_ms,
        offset_ms=profile.calibration.current_offset_ms,
        se_ms=sum(part.se_ms for part in parts),
        parts=parts,
        extrapolated=not min(known_ms) / _RANGE <= whole.latency_ms <= max(known_ms) * _RANGE,
    )
