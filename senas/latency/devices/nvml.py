"""Clock, power, temperature and throttling of an NVIDIA GPU, from NVML by way of the package nvidia-ml-py."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# nvmlClocksEventReasons that slow a GPU down: software power cap, hardware slowdown, software and hardware thermal
# slowdown, hardware power brake. Being idle or at set application clocks are not among them.
_THROTTLED = 0x4 | 0x8 | 0x20 | 0x40 | 0x80


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """State of a GPU at one moment; `None` for what it does not report."""

    sm_clock_mhz: float | None
    power_w: float | None
    temperature_c: float | None
    throttled: bool | None


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU that NVML knows.

    Attributes:
        driver: Version of its driver.
        handle: NVML's handle of the GPU.
    """

    driver: str
    handle: Any

    def read(self) -> Reading:
        """Return the state of the GPU now."""
        import pynvml

        clock = _answer(lambda: pynvml.nvmlDeviceGetClockInfo(self.handle, pynvml.NVML_CLOCK_SM))
        power = _answer(lambda: pynvml.nvmlDeviceGetPowerUsage(self.handle))  # in milliwatts
        temperature = _answer(lambda: pynvml.nvmlDeviceGetTemperature(self.handle, pynvml.NVML_TEMPERATURE_GPU))
        reasons = _answer(lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(self.handle))
        return Reading(
            sm_clock_mhz=None if clock is None else float(clock),
            power_w=None if power is None else power / 1e3,
            temperature_c=None if temperature is None else float(temperature),
            throttled=None if reasons is None else bool(reasons & _THROTTLED),
        )


def open_gpu(uuid: str) -> Gpu | None:
    """Return the GPU with a UUID as torch writes it; `None` if the package, NVML or the GPU is missing."""
    try:
        import pynvml
    except ImportError:
        return None
    name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(name)
        driver = pynvml.nvmlSystemGetDriverVersion()
    except pynvml.NVMLError:
        return None
    return Gpu(driver=driver if isinstance(driver, str) else driver.decode(), handle=handle)


def _answer(ask: Callable[[], int]) -> int | None:
    """Return the answer of an NVML function; `None` if this GPU or this version of NVML does not support it."""
    import pynvml

    try:
        return ask()
    except pynvml.NVMLError:
        return None
