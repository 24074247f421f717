"""What a latency belongs to: a device, a mode, the software and the code that ran. Elsewhere it means nothing."""

import hashlib
import os
import platform
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch

from senas.architecture import Input
from senas.errors import ProfileError, one_of
from senas.nn import se
from senas.version import __version__

DeviceKind = Literal["cpu", "cuda"]
Execution = Literal["eager", "compiled", "graph"]
DType = Literal["fp32", "tf32", "fp16", "bf16"]
MemoryFormat = Literal["contiguous", "channels_last"]

# What each kind of device can be measured in; the first execution is the one that budgets are about by default.
EXECUTIONS: dict[DeviceKind, tuple[Execution, ...]] = {"cpu": ("eager", "compiled"), "cuda": ("graph", "eager")}
DTYPES: dict[DeviceKind, tuple[DType, ...]] = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "tf32", "fp16", "bf16")}
MAX_BATCH = 4_096

_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}
_BLOCKS = {tokenize.INDENT: b"\t>", tokenize.DEDENT: b"\t<"}


@dataclass(frozen=True, kw_only=True)
class Device:
    """What was measured on.

    Attributes:
        kind: of the device.
        name: of the processor or the GPU.
        cores: of the CPU, or streaming multiprocessors of the GPU.
        driver: of the GPU, where it could be asked.
    """

    kind: DeviceKind
    name: str
    cores: int
    driver: str | None = None


@dataclass(frozen=True, kw_only=True)
class Software:
    """What it was measured with: versions."""

    senas: str
    torch: str
    python: str
    system: str
    cuda: str | None = None
    cudnn: int | None = None


@dataclass(frozen=True, kw_only=True)
class Mode:
    """How the network was run.

    Attributes:
        execution: `eager`; `compiled` by torch.compile (CPU); `graph`, replay of a CUDA graph.
        dtype: of weights and images; `tf32` is fp32 whose products may round to TF32.
        memory_format: of weights and images.
        batch: images per forward pass.
        threads: of the CPU that compute.
        input: one image.
    """

    execution: Execution
    dtype: DType
    memory_format: MemoryFormat
    batch: int
    threads: int
    input: Input

    @property
    def bytes_per_weight(self) -> int:
        """Of the type."""
        return 2 if self.dtype in ("fp16", "bf16") else 4


@dataclass(frozen=True, kw_only=True)
class Code:
    """Which code ran, as digests of its source without comments and docstrings.

    Attributes:
        se: of the SE implementation.
        networks: of everything else that networks are described and built with.
    """

    se: str
    networks: str


def make_mode(
    device: DeviceKind,
    network_input: Input,
    *,
    execution: str | None = None,
    dtype: str = "fp32",
    batch: int = 1,
    memory_format: str = "contiguous",
) -> Mode:
    """A mode that the kind of device knows.

    Args:
        device: its kind.
        network_input: one image.
        execution: the kind's first by default, see `EXECUTIONS`.
        dtype: see `DTYPES`.
        batch: images per forward pass.
        memory_format: `contiguous` or `channels_last`.

    Raises:
        ProfileError: one that it does not know; the message names the field.
    """
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
        execution=chosen,  # type: ignore[arg-type]  # checked above, as are the next two
        dtype=dtype,  # type: ignore[arg-type]
        memory_format=memory_format,  # type: ignore[arg-type]
        batch=batch,
        threads=1,
        input=network_input,
    )


def profile_name(space: str, device: DeviceKind, mode: Mode) -> str:
    """The usual name of a profile, such as `se-resnet-cifar-cpu-eager-fp32-b1`.

    A plain file name, whatever the space is called.
    """
    words = [re.sub(r"[^\w.+-]", "_", space), device, mode.execution, mode.dtype]
    words += [] if mode.memory_format == "contiguous" else [mode.memory_format.replace("_", "-")]
    return "-".join([*words, f"b{mode.batch}"])


def this_device(kind: DeviceKind) -> Device:
    """The device of a kind that this process would measure on.

    Raises:
        ProfileError: there is none.
    """
    if kind == "cpu":
        return Device(kind="cpu", name=cpu_name(), cores=os.cpu_count() or 1)
    if not torch.cuda.is_available():
        raise ProfileError("device: found cuda, but torch sees no CUDA device here, allowed: cpu")
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    return Device(kind="cuda", name=properties.name, cores=properties.multi_processor_count)


def this_software() -> Software:
    """The versions that this process runs."""
    cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None
    return Software(
        senas=__version__,
        torch=torch.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cuda=torch.version.cuda,
        cudnn=cudnn,
    )


def this_code() -> Code:
    """The code that this process runs."""
    package = Path(str(se.__file__)).parent.parent
    implementation = Path(str(se.__file__))
    rooms = {path for room in ("layers", "cells", "nn") for path in (package / room).glob("*.py")}
    others = {package / "se.py", *rooms} - {implementation, package / "nn" / "weights.py"}  # files build no network
    return Code(se=source_digest(implementation), networks=source_digest(*sorted(others)))


def cpu_name() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def source_digest(*paths: Path) -> str:
    """16 hexadecimal digits of what Python files do; comments, docstrings and blanks do not count."""
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            tokens = [token for token in tokenize.tokenize(file.readline) if token.type not in _SILENT]
        start, docstring = True, False  # of a statement
        for token in tokens:
            if token.type == tokenize.NEWLINE:
                found.update(b"" if docstring else b"\n")
                start, docstring = True, False
            elif token.type in _BLOCKS:
                found.update(_BLOCKS[token.type])
            elif start and token.type == tokenize.STRING:
                start, docstring = False, True
            else:
                found.update(token.string.encode())
                start = False
    return found.hexdigest()[:16]
