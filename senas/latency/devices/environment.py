"""Device, mode and software that a latency was measured with.

A latency is valid only for the combination that it was measured with.
"""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, get_args

from senas.architecture import Input
from senas.errors import ProfileError, one_of
from senas.version import __version__

DeviceKind = Literal["cpu", "cuda"]
Execution = Literal["eager", "compiled", "graph"]
DType = Literal["fp32", "tf32", "fp16", "bf16"]
MemoryFormat = Literal["contiguous", "channels_last"]

# modes of each kind of device; the first execution is the default, the one that budgets refer to
EXECUTIONS: dict[DeviceKind, tuple[Execution, ...]] = {"cpu": ("eager", "compiled"), "cuda": ("graph", "eager")}
DTYPES: dict[DeviceKind, tuple[DType, ...]] = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "tf32", "fp16", "bf16")}
MAX_BATCH = 4_096


@dataclass(frozen=True, kw_only=True)
class Device:
    """Device that was measured on.

    Attributes:
        kind: Kind of device.
        name: Name of the processor or the GPU.
        cores: Number of CPU cores, or of streaming multiprocessors of the GPU.
        driver: Version of the GPU's driver; `None` for a CPU, or if NVML does not report it.
    """

    kind: DeviceKind
    name: str
    cores: int
    driver: str | None = None


@dataclass(frozen=True, kw_only=True)
class Software:
    """Software versions that a measurement was made with; `triton` where SE blocks are fused with it."""

    senas: str
    torch: str
    python: str
    system: str
    cuda: str | None = None
    cudnn: int | None = None
    triton: str | None = None


@dataclass(frozen=True, kw_only=True)
class Mode:
    """How networks are run.

    Attributes:
        execution: `eager`; `compiled` by torch.compile (CPU); `graph`, replay of a CUDA graph.
        dtype: Number format of weights and images; `tf32` is fp32 whose products may round to TF32.
        memory_format: Memory format of weights and images.
        batch: Images per forward pass.
        threads: Number of CPU threads that compute.
        input: Shape of one image.
    """

    execution: Execution
    dtype: DType
    memory_format: MemoryFormat
    batch: int
    threads: int
    input: Input

    @property
    def bytes_per_weight(self) -> int:
        """Bytes of one weight in the number format."""
        return 2 if self.dtype in ("fp16", "bf16") else 4


def make_mode(
    device: DeviceKind,
    network_input: Input,
    *,
    execution: str | None = None,
    dtype: str = "fp32",
    batch: int = 1,
    memory_format: str = "contiguous",
) -> Mode:
    """Return a mode, checked against what the kind of device supports.

    Args:
        device: Kind of device.
        network_input: Shape of one image.
        execution: Execution of the networks, see `EXECUTIONS`; by default the kind's first.
        dtype: Number format, see `DTYPES`.
        batch: Images per forward pass.
        memory_format: `contiguous` or `channels_last`.

    Raises:
        ProfileError: A value that this kind of device does not support; the message names the field.
    """
    _check_kind(device)
    chosen = EXECUTIONS[device][0] if execution is None else execution
    for name, value, allowed in (
        ("execution", chosen, EXECUTIONS[device]),
        ("dtype", dtype, DTYPES[device]),
        ("memory format", memory_format, get_args(MemoryFormat)),
    ):
        if value not in allowed:
            raise ProfileError(f"{name} on {device}: {one_of(value, allowed)}")
    if not 1 <= batch <= MAX_BATCH:
        raise ProfileError(f"batch: found {batch}, allowed: 1 to {MAX_BATCH}")
    return Mode(
        execution=chosen,  # type: ignore[arg-type]  # checked above, as are the next two lines
        dtype=dtype,  # type: ignore[arg-type]
        memory_format=memory_format,  # type: ignore[arg-type]
        batch=batch,
        threads=1,
        input=network_input,
    )


def _check_kind(kind: str) -> None:
    if kind not in EXECUTIONS:
        raise ProfileError(f"device: {one_of(kind, EXECUTIONS)}")


def this_device(kind: DeviceKind) -> Device:
    """Return the device of a kind that this process would measure on.

    Raises:
        ProfileError: This machine has no device of this kind.
    """
    _check_kind(kind)
    if kind == "cpu":
        return Device(kind="cpu", name=cpu_name(), cores=os.cpu_count() or 1)
    import torch

    if not torch.cuda.is_available():
        raise ProfileError("device: found cuda, but torch sees no CUDA device here, allowed: cpu")
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    return Device(kind="cuda", name=properties.name, cores=properties.multi_processor_count)


def count_gpus() -> int:
    """Return the number of CUDA devices that torch sees on this machine."""
    import torch

    return torch.cuda.device_count()


def this_software() -> Software:
    """Return the software versions of this process."""
    import torch

    from senas.nn import has_triton  # here, since it imports torch

    cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None
    return Software(
        senas=__version__,
        torch=torch.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cuda=torch.version.cuda,
        cudnn=cudnn,
        triton=version("triton") if torch.cuda.is_available() and has_triton() else None,
    )


def cpu_name() -> str:
    """Return the name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    if "model name" in found:
        return found["model name"]
    plain = platform.processor() or platform.machine()  # on ARM "aarch64", whatever the core
    codes = [f"{key} {found[key]}" for key in ("CPU implementer", "CPU part", "CPU variant") if key in found]
    return f"{plain} ({', '.join(codes)})" if codes else plain
