"""Readings of a device backend: the timing of one forward pass, and the state of the GPU during it."""

from dataclasses import dataclass
from typing import NamedTuple


class TimingSample(NamedTuple):
    """One timing of one forward pass.

    Attributes:
        ms: Latency.
        host_ms: Time that the host took to issue the work; `None` if host and device are one.
    """

    ms: float
    host_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class DeviceConditions:
    """Ranges of a GPU's state while it was measured, as (lowest, highest); `None` for what it does not report.

    Attributes:
        sm_clock_mhz: Clock of the streaming multiprocessors.
        power_w: Power drawn.
        temperature_c: Temperature of the chip.
        readings: Number of readings, one during each sample.
        throttled: Number of readings that reported throttling.
    """

    sm_clock_mhz: tuple[float, float] | None
    power_w: tuple[float, float] | None
    temperature_c: tuple[float, float] | None
    readings: int
    throttled: int | None
