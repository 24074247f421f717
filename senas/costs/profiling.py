"""Making a latency profile: every part of a space, and whole networks among them to calibrate and validate."""

import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import torch
from torch import nn

from senas.architecture import Architecture
from senas.costs.measure import Measurement, cpu_name, measure
from senas.costs.profile import Anchor, Calibration, Device, LatencyProfile, Mode, Protocol, Software, Validation
from senas.errors import ProfileError
from senas.nn.network import build_network, build_part
from senas.spaces.space import SearchSpace
from senas.version import __version__

_ANCHORS = 5
_HELD_OUT = 19  # the largest of 19 exchangeable ratios bounds the 20th with probability 19/20 (split conformal)


def profile_space(
    space: SearchSpace,
    *,
    seconds: float = 25.0,
    batch: int = 1,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
) -> LatencyProfile:
    """Measure every part of a space on this CPU, and two dozen whole networks among them to calibrate and validate.

    Args:
        space: what to measure.
        seconds: for how long.
        batch: images per forward pass.
        seed: of the networks, the inputs and the order.
        progress: told the share done, in [0, 1].

    Raises:
        ProfileError: the space has too few architectures to calibrate and validate on, or the machine is too busy.
    """
    if batch < 1:
        raise ProfileError(f"batch: found {batch}, allowed: at least 1")
    if space.size < _ANCHORS + _HELD_OUT:
        raise ProfileError(
            f"profile of space {space.name}: found {space.size} architectures, needs {_ANCHORS + _HELD_OUT} to "
            "calibrate and to validate a 95 % bound on"
        )
    networks = _distinct_architectures(space, _ANCHORS + _HELD_OUT, np.random.default_rng(seed))
    parts = {part.key: (build_part(part), part.inflow.batch(batch)) for part in space.parts}
    measured = measure(parts | _whole(networks, batch), seconds=seconds, seed=seed, progress=progress)
    summed = {arch.digest: sum(measured[part.key].estimate_ms for part in arch.parts()) for arch in networks}
    ratios = np.array([measured[arch.digest].estimate_ms / summed[arch.digest] for arch in networks])
    anchors, held_out = ratios[:_ANCHORS], ratios[_ANCHORS:]
    scale = float(np.median(anchors))
    errors = np.abs(scale / held_out - 1)
    return LatencyProfile(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        space=space.name,
        device=Device(kind="cpu", name=cpu_name(), cores=os.cpu_count() or 1),
        software=Software(
            senas=__version__,
            torch=torch.__version__,
            python=platform.python_version(),
            system=f"{platform.system()} {platform.machine()}",
        ),
        mode=Mode(
            execution="eager",
            dtype="fp32",
            memory_format="contiguous",
            batch=batch,
            threads=1,
            input=space.input,
        ),
        protocol=Protocol(clock="thread_cpu_time", estimator="lower_half_mean", seconds=seconds, seed=seed),
        calibration=Calibration(scale=scale, bound=max(1.0, float(held_out.max()) / scale)),
        validation=Validation(networks=len(held_out), mean_error=float(errors.mean()), worst_error=float(errors.max())),
        anchors=tuple(
            Anchor(architecture=arch, summed_ms=summed[arch.digest], measured=measured[arch.digest])
            for arch in networks[:_ANCHORS]
        ),
        entries={part.key: measured[part.key] for part in space.parts},
    )


def measure_architectures(
    archs: Sequence[Architecture], *, batch: int = 1, seconds: float = 2.0, seed: int = 0
) -> dict[str, Measurement]:
    """Measure whole networks afresh on this CPU, interleaved; keyed by digest."""
    return measure(_whole(archs, batch), seconds=seconds, seed=seed)


def session_drift(profile: LatencyProfile, measured: dict[str, Measurement]) -> float:
    """How many times as long the anchor networks take now as when the profile was made; their median.

    Args:
        profile: with anchors.
        measured: the anchors measured now, by digest, among others.
    """
    now_and_then = [(measured[a.architecture.digest].estimate_ms, a.measured.estimate_ms) for a in profile.anchors]
    return float(np.median([now / then for now, then in now_and_then]))


def _whole(archs: Sequence[Architecture], batch: int) -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    return {arch.digest: (build_network(arch), arch.input.shape.batch(batch)) for arch in archs}


def _distinct_architectures(space: SearchSpace, count: int, rng: np.random.Generator) -> list[Architecture]:
    found: dict[str, Architecture] = {}
    while len(found) < count:  # a space has at least as many
        arch = space.random(rng)
        found.setdefault(arch.digest, arch)
    return list(found.values())
