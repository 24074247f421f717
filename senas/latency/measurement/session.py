"""Measurement sessions: whole networks and a profile's anchors, measured together in a process of their own.

Profiles are made, rechecked and validated by sessions of one kind, and the networks that a search found are measured
the same way, so that results of different sessions are comparable. Each session is a process of its own because the
memory layout of a process changes the latency of some networks by several percent for as long as it lives (16 against
24 channels at 32x32: up to 8 % on a 2-core machine), so an error bound must be based on several processes.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from senas.architecture import Architecture
from senas.errors import ProfileError
from senas.io import from_plain, to_plain
from senas.latency.devices import DeviceKind, Mode, open_device
from senas.latency.measurement.rounds import Rounds
from senas.latency.measurement.samples import Measurement
from senas.nn import build_network

SESSION_SECONDS = 6.0
NETWORK_INTERVAL = 0.005
_MIN_ROUNDS = 6
_BUILDING = 0.3  # share of the progress

Progress = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class MeasurementSession:
    """Results of one session.

    Attributes:
        anchors: Measurements of the profile's anchors, by digest.
        networks: Measurements of the other networks, by digest.
    """

    anchors: dict[str, Measurement]
    networks: dict[str, Measurement]


@dataclass(frozen=True, kw_only=True)
class SessionOrder:
    """Networks that a session measures, with the settings of the measurement.

    Attributes:
        device: Kind of device.
        mode: Mode in which the networks run.
        networks: Networks to measure together.
        seconds: Time limit of the measurement itself.
        seed: Random seed for images and order.
    """

    device: DeviceKind
    mode: Mode
    networks: tuple[Architecture, ...]
    seconds: float
    seed: int


MeasureNetworks = Callable[[SessionOrder, Progress], dict[str, Measurement]]
"""Measures the networks of an order and returns the measurements by digest; reports the share done, in [0, 1]."""


def measure_in_process(order: SessionOrder, progress: Progress = lambda _: None) -> dict[str, Measurement]:
    """Measure the networks of an order in this process; return the measurements by digest."""
    backend = open_device(order.device, order.mode)
    modules = {arch.digest: (build_network(arch), arch.input.shape.batch(order.mode.batch)) for arch in order.networks}
    with backend.running():
        rounds = Rounds(backend, modules, seed=order.seed, progress=lambda share: progress(_BUILDING * share))
        rounds.measure(
            seconds=order.seconds,
            target=NETWORK_INTERVAL,
            rounds=_MIN_ROUNDS,
            progress=lambda share: progress(_BUILDING + (1 - _BUILDING) * share),
        )
        return rounds.results()


def measure_in_subprocess(order: SessionOrder, progress: Progress = lambda _: None) -> dict[str, Measurement]:
    """Measure the networks of an order in a new process; return the measurements by digest.

    While a graph is replayed on a GPU, which needs no CPU, the process of the next session starts already.

    Raises:
        ProfileError: The device is missing or too busy, the process ended early, or it cannot import a kind of layer.
    """
    imports = _foreign_modules(order.networks)
    with _take_process() as process:
        if order.device == "cuda" and order.mode.execution == "graph":
            _waiting.append(_SessionProcess())
        return process.measure(order, imports, progress)


class _SessionProcess:
    """Process that imports torch at once and then waits for the order of a session.

    Order and result are passed as JSON, see `senas.latency.measurement.session_worker`.
    """

    def __init__(self) -> None:
        self.environment = _session_environment()
        self._folder = tempfile.TemporaryDirectory()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by `close`; a pipe could fill up and block
        self._process = subprocess.Popen(
            [sys.executable, "-m", "senas.latency.measurement.session_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=self.environment,
            cwd=self._folder.name,
        )

    def measure(self, order: SessionOrder, imports: list[str], progress: Progress) -> dict[str, Measurement]:
        """Give the process its order and return its measurements by digest."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended; the reason is found below
            json.dump({"imports": imports, "order": to_plain(order)}, process.stdin)
            process.stdin.close()
        for line in process.stdout:
            answer = json.loads(line)
            if "progress" in answer:
                progress(answer["progress"])
            elif "error" in answer:
                raise ProfileError(answer["error"])
            elif "measured" in answer:
                progress(1.0)  # the process limits how often it reports progress
                return {digest: from_plain(Measurement, found, digest) for digest, found in answer["measured"].items()}
        status = process.wait()
        self._errors.seek(0)
        *_, last = ["it printed nothing", *self._errors.read().strip().splitlines()]
        raise ProfileError(f"measurement session: its process ended with status {status}: {last}")

    def wait_until_ready(self) -> None:
        """Wait until the process has imported what it needs, or has ended."""
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def close(self) -> None:
        """End the process, which has nothing left to do once it has measured."""
        self._process.kill()
        with suppress(BrokenPipeError), self._process:  # waits, and closes the pipes
            pass
        self._errors.close()
        self._folder.cleanup()


_waiting: list[_SessionProcess] = []  # at most one, started ahead of its order


def start_ahead() -> float:
    """Start the process of the next session, wait until it is ready, and return the seconds that this took."""
    start = time.monotonic()
    process = _SessionProcess()
    try:
        process.wait_until_ready()
    except BaseException:
        process.close()
        raise
    _waiting.append(process)
    return time.monotonic() - start


@contextmanager
def _take_process() -> Iterator[_SessionProcess]:
    """Give the process that was started ahead, or a new one if there is none or the environment has changed."""
    process = _waiting.pop() if _waiting else _SessionProcess()
    if process.environment != _session_environment():
        process.close()
        process = _SessionProcess()
    try:
        yield process
    finally:
        process.close()


@atexit.register
def _end_waiting() -> None:
    while _waiting:
        _waiting.pop().close()


def _session_environment() -> dict[str, str]:
    """Return the environment variables of a session's process: those of this process, and what it can import."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(path).resolve()) for path in sys.path)}


def run_session(
    device: DeviceKind,
    mode: Mode,
    anchors: Iterable[Architecture],
    networks: Iterable[Architecture],
    *,
    seconds: float = SESSION_SECONDS,
    seed: int = 0,
    progress: Progress = lambda _: None,
    measure: MeasureNetworks = measure_in_subprocess,
) -> MeasurementSession:
    """Measure networks and anchors together in interleaved rounds.

    Args:
        device: Kind of device.
        mode: Mode in which the networks run.
        anchors: Anchors of a profile; they may be among the networks.
        networks: Networks to measure.
        seconds: Time limit of the measurement itself.
        seed: Random seed for images and order.
        progress: Function that is told the share done, in [0, 1].
        measure: Function that measures the networks of a session; by default in a process of its own, as profiles and
            their checks require.

    Raises:
        ProfileError: The device is missing or too busy, or a new process cannot import a kind of layer.
    """
    anchored, asked = ({arch.digest: arch for arch in group} for group in (anchors, networks))
    order = SessionOrder(
        device=device, mode=mode, networks=tuple((anchored | asked).values()), seconds=seconds, seed=seed
    )
    found = measure(order, progress)
    return MeasurementSession(
        anchors={digest: found[digest] for digest in anchored}, networks={digest: found[digest] for digest in asked}
    )


def _foreign_modules(archs: Iterable[Architecture]) -> list[str]:
    """Return the modules outside senas that define layers; importing them registers the layers."""
    modules = {type(part.layer).__module__ for arch in archs for part in arch.parts()}
    foreign = sorted(module for module in modules if module.partition(".")[0] != "senas")
    if "__main__" in foreign:
        raise ProfileError(
            "kinds of layers: found one that the main script defines, expected it in a module of its own"
        )
    return foreign
