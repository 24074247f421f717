"""Clock, power, temperature and throttling of an NVIDIA GPU, from the NVML library that comes with its driver."""

import ctypes
from dataclasses import dataclass

_SM_CLOCK, _CHIP_TEMPERATURE = 1, 0  # NVML_CLOCK_SM, NVML_TEMPERATURE_GPU
# nvmlClocksEventReasons that slow a GPU down: software power cap, hardware slowdown, software and hardware thermal
# slowdown, hardware power brake. Being idle or at set application clocks are not among them.
_THROTTLED = 0x4 | 0x8 | 0x20 | 0x40 | 0x80


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The state of a GPU at one moment; `None` is what it does not say."""

    sm_clock_mhz: float | None
    power_w: float | None
    temperature_c: float | None
    throttled: bool | None


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU that NVML knows.

    Attributes:
        driver: its version.
    """

    driver: str
    library: ctypes.CDLL
    handle: ctypes.c_void_p

    def read(self) -> Reading:
        """Ask now."""
        clock = self._ask("nvmlDeviceGetClockInfo", ctypes.c_uint(), _SM_CLOCK)
        power = self._ask("nvmlDeviceGetPowerUsage", ctypes.c_uint())  # in milliwatts
        temperature = self._ask("nvmlDeviceGetTemperature", ctypes.c_uint(), _CHIP_TEMPERATURE)
        reasons = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons", ctypes.c_ulonglong())
        return Reading(
            sm_clock_mhz=None if clock is None else float(clock),
            power_w=None if power is None else power / 1e3,
            temperature_c=None if temperature is None else float(temperature),
            throttled=None if reasons is None else bool(reasons & _THROTTLED),
        )

    def _ask(self, function: str, answer: ctypes.c_uint | ctypes.c_ulonglong, *which: int) -> int | None:
        """The answer of one function; `None` where this GPU or this version of NVML does not know it."""
        call = getattr(self.library, function, None)
        known = call is not None and call(self.handle, *which, ctypes.byref(answer)) == 0
        return int(answer.value) if known else None


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
