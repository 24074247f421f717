"""Making a latency profile: the parts of a space, and whole networks to calibrate and to validate on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import mean

import numpy as np

from senas.architecture import Architecture, Part
from senas.errors import ProfileError
from senas.latency.bench import Conditions, open_bench
from senas.latency.calibration import Calibration, Load
from senas.latency.draft import Draft, Samples, Task
from senas.latency.filling import choose_parts, fill
from senas.latency.identity import DeviceKind, make_mode, this_code, this_software
from senas.latency.measurement import Measurement
from senas.latency.parts import load_of, without_se
from senas.latency.profile import Anchor, Entry, LatencyProfile, Protocol, Provenance, Space
from senas.latency.rounds import Rounds
from senas.latency.sitting import NETWORK_INTERVAL, drift_of, sit
from senas.latency.validation import repeat_error, validate
from senas.nn.network import build_part
from senas.spaces.space import SearchSpace

PROFILE_SECONDS = 120.0
HELD_OUT = 79  # (n + 1) * 0.95 is whole: no confidence is lost by rounding
LEAST_HELD_OUT = 19  # below, no ratio is a 95 % bound

_ANCHORS = 12
_FITTED = 20
_SITTINGS = 8
_REPEATS = 2  # sittings that each network is in
_PART_INTERVAL = 0.01
_PART_ROUNDS = 2  # before each sitting, at least
_PREPARING = 0.1  # of the progress


def profile_space(
    space: SearchSpace,
    *,
    device: DeviceKind = "cpu",
    execution: str | None = None,
    dtype: str = "fp32",
    batch: int = 1,
    memory_format: str = "contiguous",
    seconds: float = PROFILE_SECONDS,
    share: float = 1.0,
    seed: int = 0,
    draft: Path | str | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> LatencyProfile:
    """Measure a space on this device.

    Parts are measured in interleaved rounds, and between those, in several sittings, whole networks: some to calibrate
    the sum over parts on, others that no fit sees to validate it and to bound its error.

    Args:
        space: what to measure.
        device: its kind.
        execution: see `senas.latency.identity.EXECUTIONS`; the kind's first by default.
        dtype: see `DTYPES` there.
        batch: images per forward pass.
        memory_format: `contiguous` or `channels_last`.
        seconds: limit of the measuring; preparing comes on top, and large networks take what the least number of
            rounds takes. It ends sooner where every estimate is sure enough.
        share: of the parts with SE to measure; the others are filled in from them.
        seed: of the networks, the images and the order.
        draft: a file that keeps what was measured, so that an interrupted call can be repeated and goes on; to be
            removed once the profile is saved.
        progress: told the share done, in [0, 1].

    Raises:
        ProfileError: a mode that the device does not have, a space with too few architectures to calibrate and to
            validate on, a machine too busy, or a draft of another measurement.
    """
    mode = make_mode(device, space.input, execution=execution, dtype=dtype, batch=batch, memory_format=memory_format)
    if not 0 < share <= 1 or not 0 < seconds < float("inf"):
        raise ProfileError(f"share, seconds: found {share:g} and {seconds:g}, allowed: 0 < share <= 1, 0 < seconds")
    plan = _plan(space, share, seed)
    weights = [sum(load_of(part, mode.bytes_per_weight).weight_bytes for part in arch.parts()) for arch in plan.anchors]
    bench = open_bench(device, mode, reuse_bytes=int(np.mean(weights)))
    task = Task(
        space=space.digest,
        device=bench.device,
        software=this_software(),
        code=this_code(),
        mode=mode,
        seconds=seconds,
        share=share,
        seed=seed,
    )
    path = None if draft is None else Path(draft)
    done = Draft.of(task, path)
    done = replace(done, sessions=done.sessions + (len(done.sittings) < _SITTINGS))
    with bench.running():
        modules = {part.key: (build_part(part), part.inflow.batch(batch)) for part in plan.parts}
        table = Rounds(bench, modules, seed=seed, progress=lambda part: progress(_PREPARING * part))
    table.samples |= {name: samples.as_list() for name, samples in done.parts.items()}
    table.rounds, table.dropped = done.rounds, done.dropped
    if path is not None:
        done.save(path)  # now, so that a folder that cannot be written to is known before anything is measured
    for number in range(len(done.sittings), _SITTINGS):
        start = time.monotonic()

        def report(half: int, part: float, number: int = number) -> None:
            progress(_PREPARING + (1 - _PREPARING) * (number + (half + part) / 2) / _SITTINGS)

        with bench.running():
            table.go_on(
                seconds=seconds / _SITTINGS / 2,
                target=_PART_INTERVAL,
                rounds=_PART_ROUNDS,
                progress=partial(report, 0),
            )
        sitting = sit(
            device,
            mode,
            plan.anchors,
            [arch for i, arch in enumerate(plan.networks) if number in _sittings_of(i)],
            seconds=seconds / _SITTINGS / 2,
            seed=seed + number,
            progress=partial(report, 1),
        )
        done = replace(
            done,
            sittings=(*done.sittings, sitting),
            parts={name: Samples.of(samples) for name, samples in table.samples.items()},
            rounds=table.rounds,
            dropped=table.dropped,
            seconds=done.seconds + time.monotonic() - start,
        )
        if path is not None:
            done.save(path)
    return _assemble(space, plan, done, table.results(), conditions=bench.conditions(), clock=bench.clock)


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


@dataclass(frozen=True, kw_only=True)
class _Plan:
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

    @property
    def networks(self) -> list[Architecture]:
        """All but the anchors."""
        return [*self.fitted, *self.held_out]


def _plan(space: SearchSpace, share: float, seed: int) -> _Plan:
    networks = networks_seen(space, seed)
    bodies = [without_se(part) for part in space.parts]
    return _Plan(
        entries=tuple(dict.fromkeys([*space.parts, *bodies])),
        parts=tuple(choose_parts(space.parts, share, np.random.default_rng([seed, 1]))),
        anchors=networks[:_ANCHORS],
        fitted=networks[_ANCHORS : _ANCHORS + _FITTED],
        held_out=networks[_ANCHORS + _FITTED :],
    )


def _assemble(
    space: SearchSpace,
    plan: _Plan,
    done: Draft,
    measured: dict[str, Measurement],
    *,
    conditions: Conditions | None,
    clock: str,
) -> LatencyProfile:
    task = done.task
    entries = _entries(plan, measured, bytes_per_weight=task.mode.bytes_per_weight)

    def load(arch: Architecture) -> Load:
        first, *others = (entries[part.key].load for part in arch.parts())
        return sum(others, first)

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
        here = _sittings_of(number)[0]
        there = (here + 1 + number // _SITTINGS % (_SITTINGS - 1)) % _SITTINGS
        expected = drifts[there].now(calibration.predict(load(arch)), load(arch).operations)
        return done.sittings[here].networks[arch.digest].estimate_ms / expected

    ratios = [ratio(number, arch) for number, arch in enumerate(plan.networks) if number >= len(plan.fitted)]
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
            sure_parts=_share([m.interval <= _PART_INTERVAL for m in measured.values()]),
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


def _entries(plan: _Plan, measured: dict[str, Measurement], *, bytes_per_weight: int) -> dict[str, Entry]:
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


def _sittings_of(number: int) -> list[int]:
    """The sittings that a network is in."""
    return [(number + repeat) % _SITTINGS for repeat in range(_REPEATS)]


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)
