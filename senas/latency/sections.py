"""The sections of a latency profile, as its file has them; see `profiles/README.md`."""

from dataclasses import dataclass
from typing import Literal

from senas.architecture import Architecture
from senas.errors import ProfileError
from senas.latency.bench import Conditions
from senas.latency.calibration import Load
from senas.latency.measurement import Measurement


@dataclass(frozen=True, kw_only=True)
class Space:
    """Which space was measured."""

    name: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How it was measured.

    Attributes:
        clock: what timed the samples.
        estimator: what was made of them.
        seconds: the limit; `Provenance.seconds` is what it took.
        rounds: of the parts.
        sittings: in which whole networks were measured.
        sure_parts: share of the parts whose 95 % interval is within 1 % of the estimate.
        sure_networks: share of the networks whose 95 % interval is within 0.5 %.
        dropped: samples of parts that something disturbed.
        share: of the parts with SE that were to be measured; the others were filled in.
        seed: of networks, images and order.
        conditions: of the GPU while the parts were measured, in the last session.
    """

    clock: str
    estimator: Literal["lower-half mean"] = "lower-half mean"
    seconds: float
    rounds: int
    sittings: int
    sure_parts: float
    sure_networks: float
    dropped: int
    share: float
    seed: int
    conditions: Conditions | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a profile comes from.

    Attributes:
        created: when it was finished, in UTC.
        seconds: what measuring took in all.
        sessions: processes that measured; more than one where it was interrupted and gone on with.
    """

    created: str
    seconds: float
    sessions: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One part of the space.

    Attributes:
        weight_bytes: of its parameters.
        operations: it issues.
        measured: its latency.
        filled_ms: or what was filled in for it from parts like it, where it was not measured.
    """

    weight_bytes: int
    operations: int
    measured: Measurement | None = None
    filled_ms: float | None = None

    def __post_init__(self) -> None:
        if (self.measured is None) == (self.filled_ms is None):
            raise ProfileError("measured and filled_ms: found both or neither, expected one of them")
        if not self.estimate_ms > 0:
            raise ProfileError(f"estimate_ms: found {self.estimate_ms}, expected more than 0")

    @property
    def estimate_ms(self) -> float:
        """What predictions are made of."""
        value = self.filled_ms if self.measured is None else self.measured.estimate_ms
        assert value is not None
        return value

    @property
    def load(self) -> Load:
        """What the prediction looks at."""
        return Load(entries_ms=self.estimate_ms, weight_bytes=self.weight_bytes, operations=self.operations)


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A network whose latency ties a later session to the one that made the profile.

    Attributes:
        architecture: of the network.
        operations: it issues.
        latency_ms: when the profile was made, the median over its sittings.
    """

    architecture: Architecture
    operations: int
    latency_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """A predicted latency.

    Attributes:
        latency_ms: the expected latency of one forward pass.
        upper_ms: the one-sided bound, 95 % unless another confidence was asked for; what budgets are held to.
    """

    latency_ms: float
    upper_ms: float
