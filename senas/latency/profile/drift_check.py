"""A profile's anchors measured again: how far this machine has drifted since the profile was made."""

from collections.abc import Callable, Iterable, Mapping
from statistics import mean

from senas.architecture import Architecture
from senas.errors import ProfileError
from senas.latency.measurement import (
    SESSION_SECONDS,
    Measurement,
    MeasurementSession,
    MeasureNetworks,
    measure_in_subprocess,
    run_session,
)
from senas.latency.prediction import Drift
from senas.latency.profile.profile import LatencyProfile
from senas.latency.profile.sections import Anchor

_SESSIONS = 3
_MAX_FACTOR = 8.0  # of a drift: beyond it, the profile does not describe this machine
_MAX_NOISE = 3.0  # mean anchor error that is allowed, in noise floors of the profile


def run_profile_session(
    profile: LatencyProfile,
    networks: Iterable[Architecture],
    *,
    seconds: float = SESSION_SECONDS,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
    measure: MeasureNetworks = measure_in_subprocess,
) -> MeasurementSession:
    """Measure networks on this machine, in the mode of a profile and together with its anchors; see `run_session`."""
    return run_session(
        profile.device.kind,
        profile.mode,
        [anchor.architecture for anchor in profile.anchors],
        networks,
        seconds=seconds,
        seed=seed,
        progress=progress,
        measure=measure,
    )


def recheck(
    profile: LatencyProfile,
    *,
    seconds: float = SESSION_SECONDS,
    progress: Callable[[float], None] = lambda _: None,
    measure: MeasureNetworks = measure_in_subprocess,
) -> LatencyProfile:
    """Measure a profile's anchors again and adjust its predictions to the machine's current speed.

    The anchors are measured in several short sessions, since a busy machine may be several percent faster or slower
    for the seconds of a single one.

    Args:
        profile: Profile of this device.
        seconds: Time limit of the measurement itself.
        progress: Function that is told the share done, in [0, 1].
        measure: Function that measures the networks of a session, see `run_session`.

    Raises:
        ProfileError: The anchors disagree about the drift, so the profile does not describe this machine.
    """
    drifts, errors = [], []
    for number in range(_SESSIONS):
        measured = run_profile_session(
            profile,
            (),
            seconds=seconds / _SESSIONS,
            seed=number,
            progress=lambda share, number=number: progress((number + share) / _SESSIONS),
            measure=measure,
        ).anchors
        drifts.append(drift_of(profile.anchors, measured))
        errors += map(abs, anchor_errors(profile.anchors, measured, drifts[-1]))
    drift = Drift(
        factor=mean(each.factor for each in drifts), ms_per_operation=mean(each.ms_per_operation for each in drifts)
    )
    error, limit = mean(errors), max(profile.validation.limit, _MAX_NOISE * profile.validation.repeat_error)
    if error > limit or not 1 / _MAX_FACTOR <= drift.factor <= _MAX_FACTOR:
        raise ProfileError(
            f"profile of space {profile.space.name}: anchors: found a drift by a factor of {drift.factor:.2g} and a "
            f"mean error of {error:.1%} when measured again, allowed: {1 / _MAX_FACTOR:g} to {_MAX_FACTOR:g} and at "
            f"most {limit:.1%}; profile the space again (senas profile)"
        )
    return profile.drifted(drift)


def drift_of(anchors: Iterable[Anchor], measured: Mapping[str, Measurement]) -> Drift:
    """Return how a session differs from the sessions that made a profile.

    Args:
        anchors: Anchors of the profile.
        measured: Measurements of the same networks in the session, by digest.
    """
    rows = [(a.latency_ms, measured[a.architecture.digest].estimate_ms, a.operations) for a in anchors]
    at_profile_ms, current_ms, operations = zip(*rows, strict=True)
    return Drift.fit(at_profile_ms, current_ms, operations)


def anchor_errors(anchors: Iterable[Anchor], measured: Mapping[str, Measurement], drift: Drift) -> list[float]:
    """Return the relative error of each anchor that the drift of its session does not explain."""
    return [
        measured[anchor.architecture.digest].estimate_ms / drift.current_ms(anchor.latency_ms, anchor.operations) - 1
        for anchor in anchors
    ]
