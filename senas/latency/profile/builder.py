"""Measurement of a latency profile: the parts of a space, and whole networks to calibrate and to validate on."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from senas.errors import ProfileError
from senas.latency.devices import DeviceBackend, DeviceKind, Mode, make_mode, open_device, this_software
from senas.latency.measurement import MeasureNetworks, Rounds, measure_in_subprocess, run_session, start_ahead
from senas.latency.profile.assembly import PART_INTERVAL, assemble
from senas.latency.profile.checkpoint import PartSamples, ProfileCheckpoint, ProfileTask, checkpoint_path
from senas.latency.profile.code_version import network_code
from senas.latency.profile.duration import expected_seconds
from senas.latency.profile.plan import SESSIONS, Plan, make_plan
from senas.latency.profile.profile import LatencyProfile
from senas.nn import build_part
from senas.spaces import SearchSpace

PROFILE_SECONDS = 120.0
_PART_ROUNDS = 2  # before each session, at least
_PREPARING = 0.1  # share of the progress


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
    checkpoint: Path | str | None = None,
    progress: Callable[[float], None] = lambda _: None,
    on_estimate: Callable[[float, float], None] | None = None,
    measure: MeasureNetworks = measure_in_subprocess,
) -> LatencyProfile:
    """Measure a space on this device.

    Parts are measured in interleaved rounds. Between the rounds, several sessions measure whole networks: some to
    calibrate the sum over parts, others that no fit has seen to validate it and to bound its error.

    Args:
        space: Space to measure.
        device: Kind of device.
        execution: Execution of the networks: `eager` or `compiled` on a CPU; `graph` or `eager` on CUDA. By default the
            first of these.
        dtype: Number format, see `senas.latency.DTYPES`.
        batch: Images per forward pass.
        memory_format: `contiguous` or `channels_last`.
        seconds: Time limit of the measurement, without preparation. The minimum number of rounds of large networks may
            exceed it; the measurement ends sooner if every estimate is precise enough.
        share: Share of the parts with SE to measure; the others are imputed from them.
        seed: Random seed for networks, images and order.
        checkpoint: File that keeps what was measured, so that the call can be repeated after an interrupt. The caller
            removes it once the profile is saved; this call removes it if no calibration fits the measurements.
        progress: Function that is told the share done, in [0, 1].
        on_estimate: Function that is told the least and the most seconds that measuring will take, before it starts.
        measure: Function that measures the networks of a session, see `run_session`.

    Raises:
        ProfileError: A mode that the device does not have, a space with too few architectures to calibrate and to
            validate on, a machine that is too busy, or a checkpoint of another measurement.
    """
    mode = make_mode(device, space.input, execution=execution, dtype=dtype, batch=batch, memory_format=memory_format)
    path = None if checkpoint is None else Path(checkpoint)
    return _measure_space(space, device, mode, float(seconds), float(share), seed, path, progress, on_estimate, measure)


def profile_name(space: str, device: DeviceKind, mode: Mode) -> str:
    """Return the default name of a profile, such as `se-resnet-cifar-cpu-eager-fp32-b1`.

    It is a plain file name, whatever the name of the space: other characters are replaced.
    """
    words = [re.sub(r"[^\w.+-]", "_", space), device, mode.execution, mode.dtype]
    words += [] if mode.memory_format == "contiguous" else [mode.memory_format.replace("_", "-")]
    return "-".join([*words, f"b{mode.batch}"])


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
    on_estimate: Callable[[float, float], None] | None = None,
    measure: MeasureNetworks = measure_in_subprocess,
) -> LatencyProfile:
    """Measure a space and write its profile; after an interrupt, repeat the call to continue. See `profile_space`."""
    checkpoint = checkpoint_path(path)
    profile = _measure_space(space, device, mode, seconds, share, seed, checkpoint, progress, on_estimate, measure)
    profile.save(path)
    checkpoint.unlink()
    return profile


def _measure_space(
    space: SearchSpace,
    device: DeviceKind,
    mode: Mode,
    seconds: float,
    share: float,
    seed: int,
    path: Path | None,
    progress: Callable[[float], None],
    on_estimate: Callable[[float, float], None] | None,
    measure: MeasureNetworks,
) -> LatencyProfile:
    if not 0 < share <= 1 or not 0 < seconds < float("inf"):
        raise ProfileError(f"share, seconds: found {share:g} and {seconds:g}, allowed: 0 < share <= 1, 0 < seconds")
    plan = make_plan(space, share, seed)
    weight_bytes = [arch.network_size.weights * mode.bytes_per_weight for arch in plan.anchors]
    backend = open_device(device, mode, reuse_bytes=int(np.mean(weight_bytes)))
    task = ProfileTask(
        space=space.digest,
        device=backend.device,
        software=this_software(),
        code=network_code(),
        mode=mode,
        seconds=seconds,
        share=share,
        seed=seed,
    )
    done = ProfileCheckpoint.read(path, task)
    done = replace(done, invocations=done.invocations + (len(done.sessions) < SESSIONS))
    start = time.monotonic()
    parts = _open_rounds(backend, plan, done, lambda ready: progress(_PREPARING * ready))
    build_seconds = (time.monotonic() - start) / len(plan.parts)
    _save(done, path)  # before anything is measured, to find out now if the folder cannot be written to
    if on_estimate is not None and len(done.sessions) < SESSIONS:
        start_seconds = start_ahead() if measure is measure_in_subprocess else 0.0
        with backend.running():
            parts.warm_up()
        on_estimate(
            *expected_seconds(
                plan,
                parts.sample_seconds,
                seconds=seconds,
                done=len(done.sessions),
                start_seconds=start_seconds,
                build_seconds=build_seconds,
            )
        )
    for number in range(len(done.sessions), SESSIONS):

        def report(share_done: float, number: int = number) -> None:
            progress(_PREPARING + (1 - _PREPARING) * (number + share_done) / SESSIONS)

        done = _measure_session(number, done, backend, plan, parts, report, measure)
        _save(done, path)
    try:
        return assemble(space, plan, done, parts.results(), conditions=backend.conditions(), clock=backend.clock)
    except ProfileError:
        if path is not None:
            path.unlink(missing_ok=True)  # these measurements can never make a profile
        raise


def _open_rounds(
    backend: DeviceBackend, plan: Plan, done: ProfileCheckpoint, progress: Callable[[float], None]
) -> Rounds:
    """Build the parts of a plan; return their rounds, with the samples of earlier sessions."""
    batch = done.task.mode.batch
    modules = {part.key: (build_part(part), part.in_shape.batch(batch)) for part in plan.parts}
    with backend.running():
        parts = Rounds(backend, modules, seed=done.task.seed, progress=progress)
    parts.samples |= {name: samples.as_list() for name, samples in done.parts.items()}
    parts.rounds, parts.dropped = done.rounds, done.dropped
    return parts


def _measure_session(
    number: int,
    done: ProfileCheckpoint,
    backend: DeviceBackend,
    plan: Plan,
    parts: Rounds,
    progress: Callable[[float], None],
    measure: MeasureNetworks,
) -> ProfileCheckpoint:
    """Measure parts, then the networks of one session; return the checkpoint with both."""
    task, start = done.task, time.monotonic()
    seconds = task.seconds / SESSIONS / 2
    with backend.running():
        parts.measure(
            seconds=seconds, target=PART_INTERVAL, rounds=_PART_ROUNDS, progress=lambda share: progress(share / 2)
        )
    session = run_session(
        task.device.kind,
        task.mode,
        plan.anchors,
        plan.session(number),
        seconds=seconds,
        seed=task.seed + number,
        progress=lambda share: progress((1 + share) / 2),
        measure=measure,
    )
    return replace(
        done,
        sessions=(*done.sessions, session),
        parts={name: PartSamples.from_samples(samples) for name, samples in parts.samples.items()},
        rounds=parts.rounds,
        dropped=parts.dropped,
        seconds=done.seconds + time.monotonic() - start,
    )


def _save(done: ProfileCheckpoint, path: Path | None) -> None:
    if path is not None:
        done.save(path)
