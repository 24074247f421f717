"""Latency profile: measurements on one device in one mode, and the predictions based on them."""

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from senas.architecture import Architecture, Part
from senas.errors import ProfileError, one_of
from senas.io import digest_of, from_plain, read_plain, shipped_folder, to_plain, write_json
from senas.latency.devices import (
    MAX_BATCH,
    Device,
    DeviceKind,
    Mode,
    Software,
    this_device,
    this_software,
)
from senas.latency.prediction import CONFIDENCE, NO_FEATURES, Calibration, Drift, PredictorFeatures, Validation
from senas.latency.profile.code_version import NetworkCode, current_digest, network_code
from senas.latency.profile.sections import Anchor, Entry, Latency, MeasurementProtocol, ProfiledSpace, Provenance
from senas.spaces import SearchSpace

_HASHES = "hashes"


@dataclass(frozen=True, kw_only=True)
class LatencyProfile:
    """Measurements of a space on one device in one mode; stored as a JSON file, see `profiles/README.md`.

    Attributes:
        format: Name and version of the file format.
        unit: Unit of all latencies.
        space: Search space that was measured.
        device: Device that was measured on.
        software: Software versions that it was measured with.
        code: Digests of the source that the networks were built with.
        mode: How the networks were run.
        protocol: Measurement protocol.
        calibration: Coefficients of the prediction.
        validation: Errors of the prediction on held-out networks.
        provenance: Origin of the profile.
        anchors: Networks that are measured again to find the drift of a later session.
        entries: Entry of each part of the space, and of each of its cells without SE, by the part's name.
    """

    format: Literal["senas-latency-profile/2"] = "senas-latency-profile/2"
    unit: Literal["ms"] = "ms"
    space: ProfiledSpace
    device: Device
    software: Software
    code: NetworkCode
    mode: Mode
    protocol: MeasurementProtocol
    calibration: Calibration
    validation: Validation
    provenance: Provenance
    anchors: tuple[Anchor, ...]
    entries: dict[str, Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.entries or not self.anchors:
            raise ProfileError("entries, anchors: found none, expected one entry for each part, and anchors")
        ratios = self.calibration.ratios
        wrong = next((ratio for last, ratio in zip((0, *ratios), ratios, strict=False) if not 0 < ratio >= last), None)
        if not ratios or wrong is not None:
            found = "none" if wrong is None else f"{wrong}" if not wrong > 0 else f"{wrong} out of order"
            raise ProfileError(f"calibration.ratios: found {found}, expected more than 0, in ascending order")
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
        """Return the predicted latency of an architecture and its upper bound of a confidence.

        Raises:
            ProfileError: A part of the architecture has no entry, or the profile cannot give this confidence.
        """
        latency = self.calibration.predict(self.network_features(arch))
        return Latency(latency_ms=latency, upper_ms=latency * self.bound(confidence))

    def bound(self, confidence: float = CONFIDENCE) -> float:
        """Return the upper bound of latency / predicted latency; see `Calibration.bound`."""
        bound = self._bounds.get(confidence)
        if bound is None:
            bound = self._bounds[confidence] = self.calibration.bound(confidence)
        return bound

    def network_features(self, arch: Architecture) -> PredictorFeatures:
        """Return the predictor features of an architecture, the sum over its parts.

        Raises:
            ProfileError: A part has no entry.
        """
        return sum(map(self.part_features, arch.parts()), NO_FEATURES)

    def part_features(self, part: Part) -> PredictorFeatures:
        """Return the predictor features of a part.

        Raises:
            ProfileError: The part has no entry.
        """
        features = self._features.get(part)
        if features is None:
            entry = self.entries.get(part.key)
            if entry is None:
                raise ProfileError(f"profile of space {self.space.name}: entries: no measurement of '{part.key}'")
            features = self._features[part] = entry.features
        return features

    def part_ms(self, part: Part) -> float:
        """Return what a part adds to the predicted latency.

        The predicted latency of a network is the sum over its parts plus the offset of the calibration.

        Raises:
            ProfileError: The part has no entry.
        """
        return self.calibration.part_ms(self.part_features(part))

    def drifted(self, drift: Drift) -> "LatencyProfile":
        """Return the profile with its predictions adjusted to a session that differs by a drift."""
        return replace(self, calibration=replace(self.calibration, drift=drift))

    @cached_property
    def digest(self) -> str:
        """Digest of the profile's content, as 16 hexadecimal digits."""
        return digest_of(self)

    @cached_property
    def _features(self) -> dict[Part, PredictorFeatures]:
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
            space: Space of the search; it must be the one that was measured, and every part must have an entry.
            device: Kind of device that the search is for.
            execution: Required execution; by default any.
            dtype: Required number format; by default any.
            batch: Required batch size; by default any.
            here: Whether the device must be the one of this machine; false on the head of a cluster if the head has no
                such device.

        Raises:
            ProfileError: The profile does not fit; the message names the field, what was found and what is needed.
        """
        mode, where = self.mode, f"profile of space {self.space.name}"
        if self.device.kind != device:
            raise ProfileError(
                f"{where}: device.kind: found {self.device.kind}, the search needs {device}, or to be told `elsewhere`"
            )
        needed = (
            ("device.name", self.device.name, this_device(device).name if here else self.device.name),
            ("mode.input.channels", mode.input.channels, space.input.channels),
            ("mode.input.size", mode.input.size, space.input.size),
            ("space.digest", self.space.digest, space.digest),
            ("mode.execution", mode.execution, mode.execution if execution is None else execution),
            ("mode.dtype", mode.dtype, mode.dtype if dtype is None else dtype),
            ("mode.batch", mode.batch, mode.batch if batch is None else batch),
        )
        measured, asked = self.anchors[0].architecture.head.classes, space.head.classes
        if self.space.name == space.name and measured != asked:
            command = f"senas profile {space.name} --classes {asked}"
            raise ProfileError(f"{where}: classes: found {measured}, the search needs {asked}: {command}")
        for name, found, need in needed:
            if found != need:
                raise ProfileError(f"{where}: {name}: found {found}, the search needs {need}")
        self.require_reliable()
        for part in space.parts:
            self.part_features(part)

    def require_reliable(self) -> None:
        """Check that the predictions are of networks as this version builds them, and precise enough.

        Raises:
            ProfileError: Another SE implementation, or a mean error above the profile's limit.
        """
        where, found, needed = f"profile of space {self.space.name}", current_digest(self.code.se), network_code().se
        if found != needed:
            raise ProfileError(f"{where}: code.se: found {found}, this version of senas needs {needed}")
        if self.validation.mean_error > self.validation.limit:
            raise ProfileError(
                f"{where}: validation.mean_error: found {self.validation.mean_error:.2%}, allowed: at most "
                f"{self.validation.limit:.2%}; measure it again when the machine is less busy"
            )

    def software_changes(self) -> list[str]:
        """Return the software that differs from what the profile was made with, such as `torch 2.12.0, here 2.13.0`.

        Such a profile is still used once its anchors have been measured again (`senas.latency.recheck`).
        """
        profiled, current = asdict(self.software), asdict(this_software())
        changes = [
            f"{name} {profiled[name]}, here {current[name]}" for name in profiled if profiled[name] != current[name]
        ]
        if current_digest(self.code.networks) != network_code().networks:
            changes.append("the code that builds networks")
        return changes

    @classmethod
    def load(cls, name_or_path: Path | str) -> "LatencyProfile":
        """Read a profile.

        Args:
            name_or_path: Name of a shipped profile (see `profiles/`), or path of a JSON file.

        Raises:
            SenasError: The file is missing, not a profile, or was changed after it was written; the message names the
                field.
        """
        shipped = {path.stem: path for path in shipped_folder("profiles").glob("*.json")}
        name = str(name_or_path)
        path = shipped.get(name, Path(name))
        if name not in shipped and path.suffix != ".json" and not path.exists():
            raise ProfileError(f"profile: {one_of(name, shipped)}, or a path ending in .json")
        data = read_plain(path)
        hashes = data.pop(_HASHES, {}) if isinstance(data, dict) else {}
        profile = from_plain(cls, data, str(path))
        assert isinstance(data, dict)
        hashes = from_plain(dict[str, str], hashes, f"{path}: {_HASHES}")
        if set(hashes) != set(data):
            missing, extra = (", ".join(sorted(each)) for each in (set(data) - set(hashes), set(hashes) - set(data)))
            raise ProfileError(f"{path}: {_HASHES}: {f'missing for {missing}' if missing else f'no section {extra}'}")
        for name, expected in hashes.items():
            found = digest_of(data[name])
            if found != expected:
                raise ProfileError(
                    f"{path}: {name}: found content of hash {found}, expected {expected[:16]}; it was changed "
                    "after it was written"
                )
        return profile

    def save(self, path: Path | str) -> None:
        """Write the profile atomically, with a hash of each section."""
        data = to_plain(self)
        write_json(Path(path), data | {_HASHES: {name: digest_of(section) for name, section in data.items()}})
