"""Making a latency profile: the parts of a space, and whole networks to calibrate and to validate on."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from senas.errors import ProfileError
from senas.latency.assembly import PART_INTERVAL, assemble
from senas.latency.bench import open_bench
from senas.latency.draft import Draft, Samples, Task, draft_of
from senas.latency.identity import DeviceKind, Mode, make_mode, this_code, this_software
from senas.latency.parts import load_of
from senas.latency.plan import SITTINGS, make_plan
from senas.latency.profile import LatencyProfile
from senas.latency.rounds import Rounds
from senas.latency.sitting import sit
from senas.nn.network import build_part
from senas.spaces.space import SearchSpace

PROFILE_SECONDS = 120.0
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
            removed once the profile is saved. Where no calibration fits what was measured, this call removes it.
        progress: told the share done, in [0, 1].

    Raises:
        ProfileError: a mode that the device does not have, a space with too few architectures to calibrate and to
            validate on, a machine too busy, or a draft of another measurement.
    """
    mode = make_mode(device, space.input, execution=execution, dtype=dtype, batch=batch, memory_format=memory_format)
    return _measure_space(space, device, mode, seconds=seconds, share=share, seed=seed, draft=draft, progress=progress)


def write_profile(
    path: Path,
    space: SearchSpace,
    device: DeviceKind,
    mode: Mode,
    *,
    seconds: float,
    share: float,
    seed: int,
    progress: Callable[[float], None] = lambda _: None,
) -> LatencyProfile:
    """Measure a space and write its profile; an interrupted call can be repeated and goes on. See `profile_space`."""
    draft = draft_of(path)
    profile = _measure_space(
        space, device, mode, seconds=seconds, share=share, seed=seed, draft=draft, progress=progress
    )
    profile.save(path)
    draft.unlink()
    return profile


def _measure_space(
    space: SearchSpace,
    device: DeviceKind,
    mode: Mode,
    *,
    seconds: float,
    share: float,
    seed: int,
    draft: Path | str | None,
    progress: Callable[[float], None],
) -> LatencyProfile:
    if not 0 < share <= 1 or not 0 < seconds < float("inf"):
        raise ProfileError(f"share, seconds: found {share:g} and {seconds:g}, allowed: 0 < share <= 1, 0 < seconds")
    plan = make_plan(space, share, seed)
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
    done = replace(done, sessions=done.sessions + (len(done.sittings) < SITTINGS))
    with bench.running():
        modules = {part.key: (build_part(part), part.inflow.batch(mode.batch)) for part in plan.parts}
        table = Rounds(bench, modules, seed=seed, progress=lambda part: progress(_PREPARING * part))
    table.samples |= {name: samples.as_list() for name, samples in done.parts.items()}
    table.rounds, table.dropped = done.rounds, done.dropped
    if path is not None:
        done.save(path)  # now, so that a folder that cannot be written to is known before anything is measured
    for number in range(len(done.sittings), SITTINGS):
        start = time.monotonic()

        def report(half: int, part: float, number: int = number) -> None:
            progress(_PREPARING + (1 - _PREPARING) * (number + (half + part) / 2) / SITTINGS)

        with bench.running():
            table.go_on(
                seconds=seconds / SITTINGS / 2,
                target=PART_INTERVAL,
                rounds=_PART_ROUNDS,
                progress=partial(report, 0),
            )
        sitting = sit(
            device,
            mode,
            plan.anchors,
            plan.sitting(number),
            seconds=seconds / SITTINGS / 2,
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
    try:
        return assemble(space, plan, done, table.results(), conditions=bench.conditions(), clock=bench.clock)
    except ProfileError:
        if path is not None:
            path.unlink(missing_ok=True)  # nothing better would ever come of these measurements
        raise
