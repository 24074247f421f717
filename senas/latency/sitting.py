"""Whole networks measured afresh, a profile's anchor networks among them: a sitting.

A profile is made, tied to a new session, validated and held against the networks that a search found by the same kind
of sitting, so that what is learned from one holds for the next. Each is a process of its own: how a process lies in
memory moves the latency of some networks by several percent for as long as it lives (16 against 24 channels at 32x32 by
up to 8 % on a 2-core machine), and what a bound does not see it cannot cover.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from senas.architecture import Architecture
from senas.errors import ProfileError
from senas.latency.bench import open_bench
from senas.latency.calibration import Drift
from senas.latency.identity import DeviceKind, Mode
from senas.latency.measurement import Measurement
from senas.latency.profile import LatencyProfile
from senas.latency.rounds import Rounds
from senas.latency.sections import Anchor
from senas.nn.network import build_network
from senas.parsing import from_plain, to_plain

SITTING_SECONDS = 6.0
NETWORK_INTERVAL = 0.005
_LEAST_ROUNDS = 6
_BUILDING = 0.3  # of the progress
_RECHECKS = 3  # sittings
_MAX_FACTOR = 8.0  # of a drift: beyond, a profile does not describe the machine any more
_MAX_NOISE = 3.0  # times the noise floor of the profile that its anchors may be off on average


@dataclass(frozen=True, kw_only=True)
class Sitting:
    """What one sitting measured, by digest."""

    anchors: dict[str, Measurement]
    networks: dict[str, Measurement]


@dataclass(frozen=True, kw_only=True)
class SittingOrder:
    """What a sitting is to measure.

    Attributes:
        device: its kind.
        mode: how networks run.
        networks: what to measure together.
        seconds: limit of the measuring itself.
        seed: of images and order.
    """

    device: DeviceKind
    mode: Mode
    networks: tuple[Architecture, ...]
    seconds: float
    seed: int


def sit(
    device: DeviceKind,
    mode: Mode,
    anchors: Iterable[Architecture],
    networks: Iterable[Architecture],
    *,
    seconds: float = SITTING_SECONDS,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
) -> Sitting:
    """Measure networks and anchors together in a process of their own, in interleaved rounds.

    Args:
        device: its kind.
        mode: how they run.
        anchors: may be among the networks.
        networks: to measure.
        seconds: limit of the measuring itself.
        seed: of images and order.
        progress: told the share done, in [0, 1].

    Raises:
        ProfileError: the device is not here or too busy, or a kind of layer that a new process could not import.
    """
    known, fresh = ({arch.digest: arch for arch in group} for group in (anchors, networks))
    order = SittingOrder(device=device, mode=mode, networks=tuple((known | fresh).values()), seconds=seconds, seed=seed)
    found = _in_a_process(order, progress)
    return Sitting(
        anchors={digest: found[digest] for digest in known}, networks={digest: found[digest] for digest in fresh}
    )


def measure_networks(order: SittingOrder, progress: Callable[[float], None] = lambda _: None) -> dict[str, Measurement]:
    """Carry out an order in this process; by digest."""
    bench = open_bench(order.device, order.mode)
    with bench.running():
        modules = {
            arch.digest: (build_network(arch), arch.input.shape.batch(order.mode.batch)) for arch in order.networks
        }
        rounds = Rounds(bench, modules, seed=order.seed, progress=lambda share: progress(_BUILDING * share))
        rounds.go_on(
            seconds=order.seconds,
            target=NETWORK_INTERVAL,
            rounds=_LEAST_ROUNDS,
            progress=lambda share: progress(_BUILDING + (1 - _BUILDING) * share),
        )
        return rounds.results()


def sit_with(
    profile: LatencyProfile,
    networks: Iterable[Architecture],
    *,
    seconds: float = SITTING_SECONDS,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
) -> Sitting:
    """A sitting on this machine, in the mode of a profile and with its anchors; see `sit`."""
    anchors = [anchor.architecture for anchor in profile.anchors]
    return sit(profile.device.kind, profile.mode, anchors, networks, seconds=seconds, seed=seed, progress=progress)


def recheck(
    profile: LatencyProfile, *, seconds: float = SITTING_SECONDS, progress: Callable[[float], None] = lambda _: None
) -> LatencyProfile:
    """Measure a profile's anchors again and tie its predictions to this session.

    In a few sittings, since a busy machine may be several percent faster or slower for the seconds of a single one.

    Args:
        profile: of this device.
        seconds: limit of the measuring itself.
        progress: told the share done, in [0, 1].

    Raises:
        ProfileError: the anchors disagree about what has changed, so that the profile does not describe this machine.
    """
    drifts, errors = [], []
    for number in range(_RECHECKS):
        measured = sit_with(
            profile,
            (),
            seconds=seconds / _RECHECKS,
            seed=number,
            progress=lambda share, number=number: progress((number + share) / _RECHECKS),
        ).anchors
        drifts.append(drift_of(profile.anchors, measured))
        errors += map(abs, anchor_errors(profile.anchors, measured, drifts[-1]))
    drift = Drift(
        factor=mean(each.factor for each in drifts), ms_per_operation=mean(each.ms_per_operation for each in drifts)
    )
    error, limit = mean(errors), max(profile.validation.limit, _MAX_NOISE * profile.validation.repeat_error)
    if error > limit or not 1 / _MAX_FACTOR <= drift.factor <= _MAX_FACTOR:
        raise ProfileError(
            f"profile of space {profile.space.name}: anchors: measured again, found a factor of {drift.factor:.2g} and "
            f"them {error:.1%} off what it says on average, allowed: {1 / _MAX_FACTOR:g} to {_MAX_FACTOR:g} and "
            f"{limit:.1%}; measure the space anew (senas profile)"
        )
    return profile.drifted(drift)


def drift_of(anchors: Iterable[Anchor], measured: Mapping[str, Measurement]) -> Drift:
    """How a sitting differs from the session that made a profile.

    Args:
        anchors: of the profile.
        measured: the same networks in the sitting, by digest.
    """
    rows = [(a.latency_ms, measured[a.architecture.digest].estimate_ms, a.operations) for a in anchors]
    then, now, operations = zip(*rows, strict=True)
    return Drift.fit(then, now, operations)


def anchor_errors(anchors: Iterable[Anchor], measured: Mapping[str, Measurement], drift: Drift) -> list[float]:
    """By how much, relatively, each anchor differs in a sitting from what the drift of the sitting makes of it."""
    return [measured[a.architecture.digest].estimate_ms / drift.now(a.latency_ms, a.operations) - 1 for a in anchors]


def _in_a_process(order: SittingOrder, progress: Callable[[float], None]) -> dict[str, Measurement]:
    """Order and result travel as JSON; see `senas.latency.sitting_process`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(path).resolve()) for path in sys.path)}
    command = [sys.executable, "-m", "senas.latency.sitting_process"]
    told = json.dumps({"imports": _kinds_from(order.networks), "order": to_plain(order)})
    with (
        tempfile.TemporaryFile("w+") as order_file,
        tempfile.TemporaryFile("w+") as errors,  # a file is never full, where a pipe would stop the process
        tempfile.TemporaryDirectory() as folder,
    ):
        order_file.write(told)
        order_file.seek(0)
        with subprocess.Popen(  # noqa: S603  # this interpreter and this package
            command, stdin=order_file, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=folder
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    said = json.loads(line)
                    if "progress" in said:
                        progress(said["progress"])
                    elif "error" in said:
                        raise ProfileError(said["error"])
                    else:
                        progress(1.0)  # the process tells it only now and then
                        return {name: from_plain(Measurement, found, name) for name, found in said["measured"].items()}
            finally:
                process.kill()
        errors.seek(0)
        *_, last = ["it said nothing", *errors.read().strip().splitlines()]
        raise ProfileError(f"the process of a sitting ended with status {process.returncode}: {last}")


def _kinds_from(archs: Iterable[Architecture]) -> list[str]:
    """The modules outside senas that layers come from, which register themselves when imported."""
    modules = {type(part.layer).__module__ for arch in archs for part in arch.parts()}
    foreign = sorted(module for module in modules if module.partition(".")[0] != "senas")
    if "__main__" in foreign:
        raise ProfileError(
            "kinds of layers: found one that the main script defines, expected it in a module of its own"
        )
    return foreign
