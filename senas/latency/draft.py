"""A profile in the making: kept on disk after every sitting, so that an interrupt costs one sitting at most."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from senas.errors import ProfileError
from senas.latency.identity import Code, Device, Mode, Software
from senas.latency.measurement import Sample
from senas.latency.sitting import Sitting
from senas.parsing import read_json, write_json

_MAX_BYTES = 2**28  # of a draft: ten million samples


def draft_of(path: Path) -> Path:
    """Where the profile that a file is to hold is kept while it is being made."""
    return path.with_name(f"{path.name}.draft")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is being measured; a draft of another task cannot be gone on with."""

    space: str
    device: Device
    software: Software
    code: Code
    mode: Mode
    seconds: float
    share: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Samples:
    """All samples of one part."""

    ms: tuple[float, ...]
    host_ms: tuple[float, ...] = ()

    @classmethod
    def of(cls, samples: list[Sample]) -> "Samples":
        """To be written."""
        hosts = tuple(sample.host_ms for sample in samples if sample.host_ms is not None)
        return cls(ms=tuple(sample.ms for sample in samples), host_ms=hosts)

    def as_list(self) -> list[Sample]:
        """As they were measured."""
        hosts = self.host_ms or (None,) * len(self.ms)
        return [Sample(ms, host) for ms, host in zip(self.ms, hosts, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What has been measured of a task.

    Attributes:
        task: what is being measured.
        sittings: those that are complete.
        parts: samples of each part, by its name.
        rounds: of the parts.
        dropped: samples that something disturbed.
        seconds: measured so far.
        sessions: processes that measured so far.
    """

    format: Literal["senas-profile-draft/1"] = "senas-profile-draft/1"
    task: Task
    sittings: tuple[Sitting, ...] = ()
    parts: dict[str, Samples] = field(default_factory=dict)
    rounds: int = 0
    dropped: int = 0
    seconds: float = 0.0
    sessions: int = 0

    @classmethod
    def of(cls, task: Task, path: Path | None) -> "Draft":
        """The draft that a file holds of a task; an empty one where there is no file.

        Raises:
            SenasError: the file holds something else; the message names what differs.
        """
        if path is None or not path.exists():
            return cls(task=task)
        draft = read_json(path, cls, most=_MAX_BYTES)
        there, here = asdict(draft.task), asdict(task)
        for name in here:
            if there[name] != here[name]:
                raise ProfileError(
                    f"{path}: {name}: found a measurement begun with {there[name]}, this one has {here[name]}; "
                    "finish that one, or remove the file to begin anew"
                )
        return draft

    def save(self, path: Path) -> None:
        """Write the draft, whole or not at all."""
        write_json(path, self)
