"""Latency profiles: what was measured on one device under one mode, and the predictions made of it."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from senas.architecture import Architecture, Input, Part
from senas.costs.measure import Measurement, cpu_name
from senas.errors import ProfileError
from senas.parsing import digest_of, read_json, write_json
from senas.resources import shipped_folder
from senas.spaces.space import SearchSpace


@dataclass(frozen=True, kw_only=True)
class Device:
    """What was measured on."""

    kind: Literal["cpu", "cuda"]
    name: str
    cores: int


@dataclass(frozen=True, kw_only=True)
class Software:
    """What it was measured with."""

    senas: str
    torch: str
    python: str
    system: str


@dataclass(frozen=True, kw_only=True)
class Mode:
    """How the network was run."""

    execution: Literal["eager", "graph", "compiled"]
    dtype: Literal["fp32", "tf32", "fp16", "bf16"]
    memory_format: Literal["contiguous", "channels_last"]
    batch: int
    threads: int
    input: Input


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How it was measured."""

    clock: Literal["thread_cpu_time"]
    estimator: Literal["lower_half_mean"]
    seconds: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """From the sum over parts to the whole network.

    Attributes:
        scale: median of measured / summed latency over the anchor networks.
        bound: 95 % of networks take at most `bound` times their predicted latency: the largest ratio among the
            held-out networks, a one-sided split conformal bound (Vovk et al. 2005; Lei et al. 2018, section 2).
    """

    scale: float
    bound: float


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Prediction against measurement on networks that no fit has seen.

    Attributes:
        networks: how many.
        mean_error: mean of abs(predicted / measured - 1).
        worst_error: the largest of them.
    """

    networks: int
    mean_error: float
    worst_error: float


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A whole network measured among the entries, to tie later sessions to this one."""

    architecture: Architecture
    summed_ms: float
    measured: Measurement


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """A predicted latency.

    Attributes:
        latency_ms: the expected latency of one forward pass.
        upper_ms: the one-sided 95 % bound, what budgets are held to.
    """

    latency_ms: float
    upper_ms: float


@dataclass(frozen=True, kw_only=True)
class LatencyProfile:
    """What was measured on one device under one mode; a JSON file in `profiles/`.

    Attributes:
        space: name of the space whose parts were measured.
        entries: the measurement of each part, by the part's name.
    """

    format: Literal["senas-latency-profile/1"] = "senas-latency-profile/1"
    created: str
    space: str
    device: Device
    software: Software
    mode: Mode
    protocol: Protocol
    calibration: Calibration
    validation: Validation
    anchors: tuple[Anchor, ...] = ()
    entries: dict[str, Measurement] = field(default_factory=dict)

    def predict(self, arch: Architecture) -> Latency:
        """The latency of an architecture: the sum over its parts, calibrated on whole networks.

        Raises:
            ProfileError: a part of the architecture was not measured.
        """
        latency = sum(map(self.part_ms, arch.parts()))
        return Latency(latency_ms=latency, upper_ms=latency * self.calibration.bound)

    def part_ms(self, part: Part) -> float:
        """What one part adds to the predicted latency.

        Raises:
            ProfileError: the part was not measured.
        """
        found = self._parts_ms.get(part)
        if found is None:
            entry = self.entries.get(part.key)
            if entry is None:
                raise ProfileError(f"profile of space {self.space}: entries: no measurement of '{part.key}'")
            found = self._parts_ms[part] = entry.estimate_ms * self.calibration.scale
        return found

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that name the content of the profile."""
        return digest_of(self)

    @cached_property
    def _parts_ms(self) -> dict[Part, float]:
        return {}

    def require(self, space: SearchSpace, device: str) -> None:
        """Check that the profile fits a search.

        Args:
            space: every part of it must have been measured.
            device: the kind that the search is for, `cpu` or `cuda`; a CPU must also be this machine's.

        Raises:
            ProfileError: it does not fit; the message names the field, what was found and what is needed.
        """
        here = cpu_name() if device == "cpu" else self.device.name
        fields = (
            ("device.kind", self.device.kind, device),
            ("device.name", self.device.name, here),
            ("mode.input.channels", self.mode.input.channels, space.input.channels),
            ("mode.input.size", self.mode.input.size, space.input.size),
        )
        for name, found, needed in fields:
            if found != needed:
                raise ProfileError(f"profile of space {self.space}: {name}: found {found}, the search needs {needed}")
        for part in space.parts:
            self.part_ms(part)

    @classmethod
    def load(cls, name_or_path: Path | str) -> "LatencyProfile":
        """Read a profile.

        Args:
            name_or_path: the name of a shipped profile (see `profiles/`) or a path to a JSON file.

        Raises:
            SenasError: missing, not JSON, or not a profile; the message names the field.
        """
        shipped = {path.stem: path for path in shipped_folder("profiles").glob("*.json")}
        path = shipped.get(str(name_or_path), Path(name_or_path))
        profile = read_json(path, cls)
        _check(profile, str(path))
        return profile

    def save(self, path: Path | str) -> None:
        """Write the profile, whole or not at all."""
        write_json(Path(path), self)


def _check(profile: LatencyProfile, where: str) -> None:
    positive = {
        "calibration.scale": profile.calibration.scale,
        "mode.batch": profile.mode.batch,
        "mode.threads": profile.mode.threads,
    }
    positive |= {f"entries['{name}'].estimate_ms": entry.estimate_ms for name, entry in profile.entries.items()}
    for name, value in positive.items():
        if not value > 0:
            raise ProfileError(f"{where}: {name}: found {value}, expected more than 0")
    if profile.calibration.bound < 1:
        raise ProfileError(f"{where}: calibration.bound: found {profile.calibration.bound}, expected at least 1")
    if not profile.entries:
        raise ProfileError(f"{where}: entries: found none, expected one for each part of the space")
