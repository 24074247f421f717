"""Sections of a latency profile and of its file, see `profiles/README.md`."""

from dataclasses import dataclass, field
from typing import Literal

from senas.architecture import Architecture
from senas.errors import ProfileError
from senas.latency.devices import DeviceConditions
from senas.latency.measurement import Measurement
from senas.latency.prediction import PredictorFeatures


@dataclass(frozen=True, kw_only=True)
class ProfiledSpace:
    """Search space that was measured."""

    name: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class MeasurementProtocol:
    """Measurement protocol of a profile.

    Attributes:
        clock: Name of the clock that timed the samples.
        estimator: Statistic of the samples that is used as the latency.
        seconds: Time limit of the measurement; `Provenance.seconds` is the time that it took.
        rounds: Number of rounds over the parts.
        sessions: Number of measurement sessions of whole networks.
        precise_parts: Share of the parts whose 95 % interval is at most 1 % of the estimate wide.
        precise_networks: Share of the networks whose 95 % interval is at most 0.5 % of the estimate wide.
        dropped: Number of samples of parts that were dropped because something disturbed them.
        share: Share of the parts with SE that was to be measured; the others were imputed.
        seed: Random seed for networks, images and order.
        conditions: State of the GPU while the parts were measured, in the last invocation.
    """

    clock: str
    estimator: Literal["lower-half mean"] = "lower-half mean"
    seconds: float
    rounds: int
    sessions: int = field(metadata={"key": "sittings"})
    precise_parts: float = field(metadata={"key": "sure_parts"})
    precise_networks: float = field(metadata={"key": "sure_networks"})
    dropped: int
    share: float
    seed: int
    conditions: DeviceConditions | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Origin of a profile.

    Attributes:
        created: Time when it was finished, in UTC.
        seconds: Total time that the measuring took.
        invocations: Number of invocations that measured; more than 1 if it was interrupted and continued.
    """

    created: str
    seconds: float
    invocations: int = field(metadata={"key": "sessions"})


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Latency and predictor features of one part of the space.

    Attributes:
        weight_bytes: Size of its parameters.
        operations: Number of operations that it issues.
        measured: Its measured latency; `None` if it was imputed.
        imputed_ms: Its latency imputed from similar parts; `None` if it was measured.
    """

    weight_bytes: int
    operations: int
    measured: Measurement | None = None
    imputed_ms: float | None = field(default=None, metadata={"key": "filled_ms"})

    def __post_init__(self) -> None:
        if (self.measured is None) == (self.imputed_ms is None):
            raise ProfileError("measured and filled_ms: found both or neither, expected one of them")
        if not self.estimate_ms > 0:
            raise ProfileError(f"estimate_ms: found {self.estimate_ms}, expected more than 0")

    @property
    def estimate_ms(self) -> float:
        """Latency that predictions use, measured or imputed."""
        value = self.imputed_ms if self.measured is None else self.measured.estimate_ms
        assert value is not None
        return value

    @property
    def features(self) -> PredictorFeatures:
        """Predictor features of the part."""
        return PredictorFeatures(
            entries_ms=self.estimate_ms, weight_bytes=self.weight_bytes, operations=self.operations
        )


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """Network that is measured again later to find how the machine has drifted since the profile was made.

    Attributes:
        architecture: Architecture of the network.
        operations: Number of operations that it issues.
        latency_ms: Latency when the profile was made, as the median over its sessions.
    """

    architecture: Architecture
    operations: int
    latency_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Predicted latency of one forward pass.

    Attributes:
        latency_ms: Expected latency.
        upper_ms: One-sided upper bound, 95 % unless another confidence was asked for; budgets are compared with it.
    """

    latency_ms: float
    upper_ms: float
