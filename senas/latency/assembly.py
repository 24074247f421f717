"""From what was measured to a profile: entries, calibration, bound and validation."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from statistics import mean

import numpy as np

from senas.architecture import Architecture
from senas.errors import ProfileError
from senas.latency.bench import Conditions
from senas.latency.calibration import NO_LOAD, Calibration, Load
from senas.latency.draft import Draft
from senas.latency.filling import fill
from senas.latency.measurement import Measurement
from senas.latency.parts import load_of
from senas.latency.plan import SITTINGS, Plan, sittings_of
from senas.latency.profile import LatencyProfile
from senas.latency.sections import Anchor, Entry, Protocol, Provenance, Space
from senas.latency.sitting import NETWORK_INTERVAL, drift_of
from senas.latency.validation import repeat_error, validate
from senas.spaces.space import SearchSpace

PART_INTERVAL = 0.01


def assemble(
    space: SearchSpace,
    plan: Plan,
    done: Draft,
    measured: dict[str, Measurement],
    *,
    conditions: Conditions | None,
    clock: str,
) -> LatencyProfile:
    """The profile that measurements of a plan make.

    Args:
        space: what was measured.
        plan: of what to measure.
        done: with all sittings.
        measured: the parts, by name.
        conditions: of the device meanwhile.
        clock: that timed the samples.

    Raises:
        ProfileError: the machine was too busy for the measurements to make sense.
    """
    task = done.task
    entries = _entries(plan, measured, bytes_per_weight=task.mode.bytes_per_weight)

    def load(arch: Architecture) -> Load:
        return sum((entries[part.key].load for part in arch.parts()), NO_LOAD)

    anchors = [
        Anchor(
            architecture=arch,
            operations=load(arch).operations,
            latency_ms=float(np.median([sitting.anchors[arch.digest].estimate_ms for sitting in done.sittings])),
        )
        for arch in plan.anchors
    ]
    drifts = [drift_of(anchors, sitting.anchors) for sitting in done.sittings]

    def then(arch: Architecture) -> list[float]:
        """The latency in each of its sittings, with the drift of the sitting taken out."""
        operations = load(arch).operations
        pairs = zip(done.sittings, drifts, strict=True)
        return [d.then(s.networks[arch.digest].estimate_ms, operations) for s, d in pairs if arch.digest in s.networks]

    calibration = Calibration.fit(
        [load(arch) for arch in (*plan.anchors, *plan.fitted)],
        [*(anchor.latency_ms for anchor in anchors), *(mean(then(arch)) for arch in plan.fitted)],
    )

    def ratio(number: int, arch: Architecture) -> float:
        """Measured in one sitting / predicted with the drift of another, each pair of sittings in turn."""
        here = sittings_of(number)[0]
        there = (here + 1 + number // SITTINGS % (SITTINGS - 1)) % SITTINGS
        expected = drifts[there].now(calibration.predict(load(arch)), load(arch).operations)
        return done.sittings[here].networks[arch.digest].estimate_ms / expected

    ratios = [ratio(number, arch) for number, arch in enumerate(plan.networks) if number >= len(plan.fitted)]
    if min(ratios) <= 0:  # a profile would refuse it as well, but not say what it comes from
        raise ProfileError(
            f"calibration.ratios: found {min(ratios):.3g}, expected more than 0; the machine is too busy"
        )
    predicted = [calibration.predict(load(arch)) for arch in plan.held_out]
    found = list(map(then, plan.held_out))
    every = [m for sitting in done.sittings for m in (*sitting.anchors.values(), *sitting.networks.values())]
    return LatencyProfile(
        space=Space(name=space.name, digest=space.digest),
        device=task.device,
        software=task.software,
        code=task.code,
        mode=task.mode,
        protocol=Protocol(
            clock=clock,
            seconds=task.seconds,
            rounds=done.rounds,
            sittings=len(done.sittings),
            sure_parts=_share([m.interval <= PART_INTERVAL for m in measured.values()]),
            sure_networks=_share([m.interval <= NETWORK_INTERVAL for m in every]),
            dropped=done.dropped,
            share=task.share,
            seed=task.seed,
            conditions=conditions,
        ),
        calibration=replace(calibration, ratios=tuple(sorted(ratios))),
        validation=validate(predicted, list(map(mean, found)), repeat_error=repeat_error(found)),
        provenance=Provenance(
            created=datetime.now(UTC).isoformat(timespec="seconds"), seconds=done.seconds, sessions=done.sessions
        ),
        anchors=tuple(anchors),
        entries=entries,
    )


def _entries(plan: Plan, measured: dict[str, Measurement], *, bytes_per_weight: int) -> dict[str, Entry]:
    known = {part: measured[part.key].estimate_ms for part in plan.entries if part.key in measured}
    filled = fill(plan.entries, known)
    entries = {}
    for part in plan.entries:
        load = load_of(part, bytes_per_weight)
        entries[part.key] = Entry(
            weight_bytes=load.weight_bytes,
            operations=load.operations,
            measured=measured.get(part.key),
            filled_ms=filled.get(part),
        )
    return entries


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)
