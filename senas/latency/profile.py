"""Latency profiles: what was measured on one device under one mode, and the predictions made of it."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from senas.architecture import Architecture, Part
from senas.errors import ProfileError
from senas.latency.calibration import CONFIDENCE, NO_LOAD, Calibration, Drift, Load
from senas.latency.identity import (
    MAX_BATCH,
    Code,
    Device,
    DeviceKind,
    Mode,
    Software,
    this_code,
    this_device,
    this_software,
)
from senas.latency.sections import Anchor, Entry, Latency, Protocol, Provenance, Space
from senas.latency.validation import Validation
from senas.parsing import digest_of, from_plain, read_plain, to_plain, write_json
from senas.resources import shipped_folder
from senas.spaces.space import SearchSpace

_HASHES = "hashes"


@dataclass(frozen=True, kw_only=True)
class LatencyProfile:
    """What was measured on one device under one mode; a JSON file, see `profiles/README.md`.

    Attributes:
        entries: one for each part of the space, by the part's name; also for the parts without SE that it varies.
    """

    format: Literal["senas-latency-profile/2"] = "senas-latency-profile/2"
    unit: Literal["ms"] = "ms"
    space: Space
    device: Device
    software: Software
    code: Code
    mode: Mode
    protocol: Protocol
    calibration: Calibration
    validation: Validation
    provenance: Provenance
    anchors: tuple[Anchor, ...]
    entries: dict[str, Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.entries or not self.anchors:
            raise ProfileError("entries, anchors: found none, expected one entry for each part, and anchors")
        ratios = self.calibration.ratios
        if not ratios or list(ratios) != sorted(ratios) or ratios[0] <= 0:
            raise ProfileError("calibration: ratios: found none, one of 0 or less, or not in order, expected ascending")
        for name, value in (
            ("calibration: scale", self.calibration.scale),
            ("calibration: drift: factor", self.calibration.drift.factor),
            ("mode: batch", self.mode.batch),
            *((f"anchors: {anchor.architecture.digest}: latency_ms", anchor.latency_ms) for anchor in self.anchors),
        ):
            if not value > 0:
                raise ProfileError(f"{name}: found {value}, expected more than 0")
        if self.mode.batch > MAX_BATCH:
            raise ProfileError(f"mode: batch: found {self.mode.batch}, allowed: at most {MAX_BATCH}")

    def predict(self, arch: Architecture, confidence: float = CONFIDENCE) -> Latency:
        """The latency of an architecture, and what it takes at most with a confidence.

        Raises:
            ProfileError: a part of the architecture has no entry, or not a confidence that the profile can give.
        """
        latency = self.calibration.predict(self.network_load(arch))
        return Latency(latency_ms=latency, upper_ms=latency * self.bound(confidence))

    def bound(self, confidence: float = CONFIDENCE) -> float:
        """How many times its predicted latency a network takes at most; see `Calibration.bound`."""
        found = self._bounds.get(confidence)
        if found is None:
            found = self._bounds[confidence] = self.calibration.bound(confidence)
        return found

    def network_load(self, arch: Architecture) -> Load:
        """The sum over the parts of an architecture.

        Raises:
            ProfileError: a part has no entry.
        """
        return sum(map(self.part_load, arch.parts()), NO_LOAD)

    def part_load(self, part: Part) -> Load:
        """What a part adds.

        Raises:
            ProfileError: it has no entry.
        """
        found = self._loads.get(part)
        if found is None:
            entry = self.entries.get(part.key)
            if entry is None:
                raise ProfileError(f"profile of space {self.space.name}: entries: no measurement of '{part.key}'")
            found = self._loads[part] = entry.load
        return found

    def part_ms(self, part: Part) -> float:
        """What one part adds to the predicted latency; the sum over all of a network lacks the offset alone.

        Raises:
            ProfileError: it has no entry.
        """
        return self.calibration.share(self.part_load(part))

    def drifted(self, drift: Drift) -> "LatencyProfile":
        """The same profile with predictions for a session that differs from the one that made it."""
        return replace(self, calibration=replace(self.calibration, drift=drift))

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that name the content of the profile."""
        return digest_of(self)

    @cached_property
    def _loads(self) -> dict[Part, Load]:
        return {}

    @cached_property
    def _bounds(self) -> dict[float, float]:
        return {}

    def require(
        self,
        space: SearchSpace,
        device: DeviceKind,
        *,
        execution: str | None = None,
        dtype: str | None = None,
        batch: int | None = None,
        here: bool = True,
    ) -> None:
        """Check that the profile fits a search.

        Args:
            space: must be the one that was measured, every part of it.
            device: the kind that the search is for.
            execution: asked for, or whatever the profile has.
            dtype: likewise.
            batch: likewise.
            here: whether the device is to be that of this machine; not so on a cluster's head that has none.

        Raises:
            ProfileError: it does not fit; the message names the field, what was found and what is needed.
        """
        mode, where = self.mode, f"profile of space {self.space.name}"
        if self.device.kind != device:
            raise ProfileError(f"{where}: device.kind: found {self.device.kind}, the search needs {device}")
        needed = (
            ("device.name", self.device.name, this_device(device).name if here else self.device.name),
            ("mode.input.channels", mode.input.channels, space.input.channels),
            ("mode.input.size", mode.input.size, space.input.size),
            ("space.digest", self.space.digest, space.digest),
            ("mode.execution", mode.execution, mode.execution if execution is None else execution),
            ("mode.dtype", mode.dtype, mode.dtype if dtype is None else dtype),
            ("mode.batch", mode.batch, mode.batch if batch is None else batch),
            ("code.se", self.code.se, this_code().se),
        )
        for name, found, need in needed:
            if found != need:
                raise ProfileError(f"{where}: {name}: found {found}, the search needs {need}")
        if self.validation.mean_error > self.validation.limit:
            raise ProfileError(
                f"{where}: validation.mean_error: found {self.validation.mean_error:.2%}, allowed: at most its own "
                f"limit of {self.validation.limit:.2%}; measure it anew when the machine is less busy"
            )
        for part in space.parts:
            self.part_load(part)

    def changes(self) -> list[str]:
        """What software is another one here than the profile was made with, such as `torch 2.12.0, here 2.13.0`.

        Such a profile is used all the same, once its anchors were measured again (`senas.latency.sitting.recheck`).
        """
        there, here = asdict(self.software), asdict(this_software())
        found = [f"{name} {there[name]}, here {here[name]}" for name in there if there[name] != here[name]]
        other = self.code.networks != this_code().networks
        return found + (["the code that builds networks"] if other else [])

    @classmethod
    def load(cls, name_or_path: Path | str) -> "LatencyProfile":
        """Read a profile.

        Args:
            name_or_path: the name of a shipped profile (see `profiles/`) or a path to a JSON file.

        Raises:
            SenasError: missing, not a profile, or changed after it was written; the message names the field.
        """
        shipped = {path.stem: path for path in shipped_folder("profiles").glob("*.json")}
        path = shipped.get(str(name_or_path), Path(name_or_path))
        data = read_plain(path)
        hashes = data.pop(_HASHES, {}) if isinstance(data, dict) else {}
        profile = from_plain(cls, data, str(path))
        assert isinstance(data, dict)
        hashes = from_plain(dict[str, str], hashes, f"{path}: {_HASHES}")
        if set(hashes) != set(data):
            raise ProfileError(f"{path}: {_HASHES}: found none or others, expected one for each section")
        for name, expected in hashes.items():
            found = _hash(data[name])
            if found != expected:
                raise ProfileError(
                    f"{path}: {name}: found content of hash {found}, expected {expected[:16]}; it was changed "
                    "after it was written"
                )
        return profile

    def save(self, path: Path | str) -> None:
        """Write the profile, whole or not at all, with a hash of each section."""
        data = to_plain(self)
        write_json(Path(path), data | {_HASHES: {name: _hash(section) for name, section in data.items()}})


def _hash(section: object) -> str:
    text = json.dumps(section, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
