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
    results = _Results(plan, checkpoint, entries)
    calibration = Calibration.fit(
        [results.features(arch) for arch in (*plan.anchors, *plan.fitted)],
        [
            *(anchor.latency_ms for anchor in results.anchors),
            *(mean(results.at_profile_ms(arch)) for arch in plan.fitted),
        ],
    )
    predicted_ms = [calibration.predict(results.features(arch)) for arch in plan.held_out]
    repeated_ms = list(map(results.at_profile_ms, plan.held_out))
    return LatencyProfile(
        space=ProfiledSpace(name=space.name, digest=space.digest),
        device=task.device,
        software=task.software,
        code=task.code,
        mode=task.mode,
        protocol=_protocol(checkpoint, measured, conditions, clock),
        calibration=replace(calibration, ratios=results.ratios(calibration)),
        validation=validate(predicted_ms, list(map(mean, repeated_ms)), repeat_error=repeat_error(repeated_ms)),
        provenance=Provenance(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=checkpoint.seconds,
            invocations=checkpoint.invocations,
        ),
        anchors=results.anchors,
        entries=entries,
    )


class _Results:
    """Results of the sessions of a plan.

    Args:
        plan: Plan that was measured.
        checkpoint: Checkpoint that holds all sessions.
        entries: Entry of each part by its name.

    Attributes:
        anchors: Anchors of the profile, with the median of their latencies over the sessions.
    """

    def __init__(self, plan: Plan, checkpoint: ProfileCheckpoint, entries: dict[str, Entry]):
        self._plan, self._sessions, self._entries = plan, checkpoint.sessions, entries
        self.anchors = tuple(
            Anchor(
                architecture=arch,
                operations=self.features(arch).operations,
                latency_ms=float(np.median([session.anchors[arch.digest].estimate_ms for session in self._sessions])),
            )
            for arch in plan.anchors
        )
        self._drifts = [drift_of(self.anchors, session.anchors) for session in self._sessions]

    def features(self, arch: Architecture) -> PredictorFeatures:
        """Return the features of a network, the sum over its parts."""
        return sum((self._entries[part.key].features for part in arch.parts()), NO_FEATURES)

    def at_profile_ms(self, arch: Architecture) -> list[float]:
        """Return the latency of a network in each of its sessions, with the drift of the session removed."""
        operations = self.features(arch).operations
        return [
            drift.at_profile_ms(session.networks[arch.digest].estimate_ms, operations)
            for session, drift in zip(self._sessions, self._drifts, strict=True)
            if arch.digest in session.networks
        ]

    def ratios(self, calibration: Calibration) -> tuple[float, ...]:
        """Return measured / predicted latency of the networks that no fit has seen, in ascending order.

        Each is measured in one session and predicted with the drift of another. The networks take the pairs of sessions
        in turn.

        Raises:
            ProfileError: A prediction that is not positive, because the machine was too busy.
        """
        found = []
        for number, arch in enumerate(self._plan.networks):
            if number < len(self._plan.fitted):
                continue
            measured_in = sessions_of(number)[0]
            predicted_in = (measured_in + 1 + number // SESSIONS % (SESSIONS - 1)) % SESSIONS
            features = self.features(arch)
            expected_ms = self._drifts[predicted_in].current_ms(calibration.predict(features), features.operations)
            found.append(self._sessions[measured_in].networks[arch.digest].estimate_ms / expected_ms)
        if min(found) <= 0:  # the profile would reject it as well, but without the reason
            raise ProfileError(
                f"calibration.ratios: found {min(found):.3g}, expected more than 0; the machine is too busy"
            )
        return tuple(sorted(found))


def _protocol(
    checkpoint: ProfileCheckpoint, measured: dict[str, Measurement], conditions: DeviceConditions | None, clock: str
) -> MeasurementProtocol:
    task, sessions = checkpoint.task, checkpoint.sessions
    of_networks = [m for session in sessions for m in (*session.anchors.values(), *session.networks.values())]
    return MeasurementProtocol(
        clock=clock,
        seconds=task.seconds,
        rounds=checkpoint.rounds,
        sessions=len(sessions),
        precise_parts=_share([m.interval <= PART_INTERVAL for m in measured.values()]),
        precise_networks=_share([m.interval <= NETWORK_INTERVAL for m in of_networks]),
        dropped=checkpoint.dropped,
        share=task.share,
        seed=task.seed,
        conditions=conditions,
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
