"""Clock, power, temperature and throttling of an NVIDIA GPU, from the NVML library that comes with its driver."""

import ctypes
from dataclasses import dataclass, field

_SM_CLOCK, _CHIP_TEMPERATURE = 1, 0  # NVML_CLOCK_SM, NVML_TEMPERATURE_GPU
# nvmlClocksEventReasons that slow a GPU down: software power cap, hardware slowdown, software and hardware thermal
# slowdown, hardware power brake. Being idle or at set application clocks are not among them.
_THROTTLED = 0x4 | 0x8 | 0x20 | 0x40 | 0x80


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The state of a GPU at one moment."""

    sm_clock_mhz: float
    power_w: float
    temperature_c: float
    throttled: bool


@dataclass(kw_only=True)
class Gpu:
    """A GPU that NVML knows.

    Attributes:
        driver: its version.
        readings: all so far.
    """

    driver: str
    library: ctypes.CDLL
    handle: ctypes.c_void_p
    readings: list[Reading] = field(default_factory=list)

    def read(self) -> Reading:
        """Ask now; 0 where the GPU does not say."""
        clock, power, temperature, reasons = ctypes.c_uint(), ctypes.c_uint(), ctypes.c_uint(), ctypes.c_ulonglong()
        ask, handle = self.library, self.handle
        ask.nvmlDeviceGetClockInfo(handle, _SM_CLOCK, ctypes.byref(clock))
        ask.nvmlDeviceGetPowerUsage(handle, ctypes.byref(power))  # in milliwatts
        ask.nvmlDeviceGetTemperature(handle, _CHIP_TEMPERATURE, ctypes.byref(temperature))
        ask.nvmlDeviceGetCurrentClocksThrottleReasons(handle, ctypes.byref(reasons))
        reading = Reading(
            sm_clock_mhz=float(clock.value),
            power_w=power.value / 1e3,
            temperature_c=float(temperature.value),
            throttled=bool(reasons.value & _THROTTLED),
        )
        self.readings.append(reading)
        return reading


def open_gpu(uuid: str) -> Gpu | None:
    """The GPU of a UUID as torch writes it; `None` where NVML or the GPU cannot be found."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    handle, version = ctypes.c_void_p(), ctypes.create_string_buffer(96)
    name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    found = (
        library.nvmlInit_v2() == 0
        and library.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(handle)) == 0
        and library.nvmlSystemGetDriverVersion(version, ctypes.c_uint(len(version))) == 0
    )
    return Gpu(driver=version.value.decode(), library=library, handle=handle) if found else None
