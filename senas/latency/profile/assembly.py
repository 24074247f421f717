"""Assembly of a profile from its measurements: entries, calibration, bound and validation."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from statistics import mean

import numpy as np

from senas.architecture import Architecture
from senas.errors import ProfileError
from senas.latency.devices import DeviceConditions
from senas.latency.measurement import NETWORK_INTERVAL, Measurement
from senas.latency.prediction import (
    NO_FEATURES,
    Calibration,
    PredictorFeatures,
    impute,
    repeat_error,
    structural_features,
    validate,
)
from senas.latency.profile.checkpoint import ProfileCheckpoint
from senas.latency.profile.drift_check import drift_of
from senas.latency.profile.plan import SESSIONS, Plan, sessions_of
from senas.latency.profile.profile import LatencyProfile
from senas.latency.profile.sections import Anchor, Entry, MeasurementProtocol, ProfiledSpace, Provenance
from senas.spaces import SearchSpace

PART_INTERVAL = 0.01


def assemble(
    space: SearchSpace,
    plan: Plan,
    checkpoint: ProfileCheckpoint,
    measured: dict[str, Measurement],
    *,
    conditions: DeviceConditions | None,
    clock: str,
) -> LatencyProfile:
    """Return the profile that follows from the measurements of a plan.

    Args:
        space: Space that was measured.
        plan: Plan that was measured.
        checkpoint: Checkpoint that holds all sessions.
        measured: Measurements of the parts, by name.
        conditions: State of the device during the measurements.
        clock: Name of the clock that timed the samples.

    Raises:
        ProfileError: No calibration fits the measurements, because the machine was too busy.
    """
    task = checkpoint.task
    entries = _entries(plan, measured, bytes_per_weight=task.mode.bytes_per_weight)

    def features(arch: Architecture) -> PredictorFeatures:
        return sum((entries[part.key].features for part in arch.parts()), NO_FEATURES)

    anchors = [
        Anchor(
            architecture=arch,
            operations=features(arch).operations,
            latency_ms=float(np.median([session.anchors[arch.digest].estimate_ms for session in checkpoint.sessions])),
        )
        for arch in plan.anchors
    ]
    drifts = [drift_of(anchors, session.anchors) for session in checkpoint.sessions]

    def at_profile_ms(arch: Architecture) -> list[float]:
        """Return the latency of a network in each of its sessions, with the drift of the session removed."""
        operations = features(arch).operations
        pairs = zip(checkpoint.sessions, drifts, strict=True)
        return [
            drift.at_profile_ms(session.networks[arch.digest].estimate_ms, operations)
            for session, drift in pairs
            if arch.digest in session.networks
        ]

    calibration = Calibration.fit(
        [features(arch) for arch in (*plan.anchors, *plan.fitted)],
        [*(anchor.latency_ms for anchor in anchors), *(mean(at_profile_ms(arch)) for arch in plan.fitted)],
    )

    def ratio(number: int, arch: Architecture) -> float:
        """Return measured / predicted latency, measured in one session and predicted with the drift of another.

        The networks take the pairs of sessions in turn.
        """
        measured_in = sessions_of(number)[0]
        predicted_in = (measured_in + 1 + number // SESSIONS % (SESSIONS - 1)) % SESSIONS
        expected_ms = drifts[predicted_in].current_ms(calibration.predict(features(arch)), features(arch).operations)
        return checkpoint.sessions[measured_in].networks[arch.digest].estimate_ms / expected_ms

    ratios = [ratio(number, arch) for number, arch in enumerate(plan.networks) if number >= len(plan.fitted)]
    if min(ratios) <= 0:  # the profile would reject it as well, but without the reason
        raise ProfileError(
            f"calibration.ratios: found {min(ratios):.3g}, expected more than 0; the machine is too busy"
        )
    predicted_ms = [calibration.predict(features(arch)) for arch in plan.held_out]
    repeated_ms = list(map(at_profile_ms, plan.held_out))
    sessions = checkpoint.sessions
    of_networks = [m for session in sessions for m in (*session.anchors.values(), *session.networks.values())]
    return LatencyProfile(
        space=ProfiledSpace(name=space.name, digest=space.digest),
        device=task.device,
        software=task.software,
        code=task.code,
        mode=task.mode,
        protocol=MeasurementProtocol(
            clock=clock,
            seconds=task.seconds,
            rounds=checkpoint.rounds,
            sessions=len(checkpoint.sessions),
            precise_parts=_share([m.interval <= PART_INTERVAL for m in measured.values()]),
            precise_networks=_share([m.interval <= NETWORK_INTERVAL for m in of_networks]),
            dropped=checkpoint.dropped,
            share=task.share,
            seed=task.seed,
            conditions=conditions,
        ),
        calibration=replace(calibration, ratios=tuple(sorted(ratios))),
        validation=validate(predicted_ms, list(map(mean, repeated_ms)), repeat_error=repeat_error(repeated_ms)),
        provenance=Provenance(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=checkpoint.seconds,
            invocations=checkpoint.invocations,
        ),
        anchors=tuple(anchors),
        entries=entries,
    )


def _entries(plan: Plan, measured: dict[str, Measurement], *, bytes_per_weight: int) -> dict[str, Entry]:
    """Return the entry of each part by its name, measured or imputed."""
    measured_ms = {part: measured[part.key].estimate_ms for part in plan.entries if part.key in measured}
    imputed_ms = impute(plan.entries, measured_ms)
    entries = {}
    for part in plan.entries:
        features = structural_features(part, bytes_per_weight)
        entries[part.key] = Entry(
            weight_bytes=features.weight_bytes,
            operations=features.operations,
            measured=measured.get(part.key),
            imputed_ms=imputed_ms.get(part),
        )
    return entries


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)
