"""Checkpoint of a profile that is being measured.

It is written after every session, so that an interrupt loses the work of one session at most.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from senas.errors import ProfileError
from senas.io import read_json, write_json
from senas.latency.devices import Device, Mode, Software, TimingSample
from senas.latency.measurement import MeasurementSession
from senas.latency.profile.code_version import NetworkCode

_MAX_BYTES = 2**28  # maximum size of a checkpoint: ten million samples


def checkpoint_path(path: Path) -> Path:
    """Return the path of the checkpoint of a profile that will be written to a path."""
    return path.with_name(f"{path.name}.draft")


@dataclass(frozen=True, kw_only=True)
class ProfileTask:
    """Everything that determines a measurement; only a checkpoint of an equal task can be continued."""

    space: str
    device: Device
    software: Software
    code: NetworkCode
    mode: Mode
    seconds: float
    share: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class PartSamples:
    """All samples of one part."""

    ms: tuple[float, ...]
    host_ms: tuple[float, ...] = ()

    @classmethod
    def from_samples(cls, samples: list[TimingSample]) -> "PartSamples":
        """Return the samples in the form that a checkpoint stores."""
        hosts = tuple(sample.host_ms for sample in samples if sample.host_ms is not None)
        return cls(ms=tuple(sample.ms for sample in samples), host_ms=hosts)

    def as_list(self) -> list[TimingSample]:
        """Return the samples in the order in which they were measured."""
        hosts = self.host_ms or (None,) * len(self.ms)
        return [TimingSample(ms, host) for ms, host in zip(self.ms, hosts, strict=True)]


@dataclass(frozen=True, kw_only=True)
class ProfileCheckpoint:
    """Measurements of a task so far.

    Attributes:
        task: Task that is being measured.
        sessions: Completed measurement sessions.
        parts: Samples of each part, by its name.
        rounds: Number of rounds over the parts so far.
        dropped: Number of samples that were dropped because something disturbed them.
        seconds: Time that the measuring has taken so far.
        invocations: Number of invocations that have measured so far.
    """

    format: Literal["senas-profile-draft/1"] = "senas-profile-draft/1"
    task: ProfileTask
    sessions: tuple[MeasurementSession, ...] = field(default=(), metadata={"key": "sittings"})
    parts: dict[str, PartSamples] = field(default_factory=dict)
    rounds: int = 0
    dropped: int = 0
    seconds: float = 0.0
    invocations: int = field(default=0, metadata={"key": "sessions"})

    @classmethod
    def read(cls, path: Path | None, task: ProfileTask) -> "ProfileCheckpoint":
        """Return the checkpoint of a task from a file; an empty one if there is no file.

        Raises:
            SenasError: The file is not a checkpoint of this task; the message names what differs.
        """
        if path is None or not path.exists():
            return cls(task=task)
        checkpoint = read_json(path, cls, max_bytes=_MAX_BYTES)
        stored, requested = asdict(checkpoint.task), asdict(task)
        for name in requested:
            if stored[name] != requested[name]:
                raise ProfileError(
                    f"{path}: {name}: found a measurement begun with {stored[name]}, this one has {requested[name]}; "
                    "finish that one, or remove the file to start over"
                )
        return checkpoint

    def save(self, path: Path) -> None:
        """Write the checkpoint atomically."""
        write_json(path, self)
