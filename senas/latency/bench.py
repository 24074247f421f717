"""Where modules run while they are measured: one device under one mode."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from senas.latency.identity import Device, DeviceKind, Mode
from senas.latency.measurement import Sample

TORCH_DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

TakeSample = Callable[[], Sample | None]  # `None` is a sample that something disturbed


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a GPU was like while it was measured, from the least to the most that was read; `None`: it does not say.

    Attributes:
        sm_clock_mhz: of the streaming multiprocessors.
        power_w: drawn.
        temperature_c: of the chip.
        readings: how many, one during each sample.
        throttled: how many of them said that the GPU was throttled; `None` where it does not say.
    """

    sm_clock_mhz: tuple[float, float] | None
    power_w: tuple[float, float] | None
    temperature_c: tuple[float, float] | None
    readings: int
    throttled: int | None


class Bench(Protocol):
    """One device under one mode; `running` must be entered before anything else is used.

    Attributes:
        device: what it is.
        mode: how modules run.
        clock: the name of what times them.
    """

    device: Device
    mode: Mode
    clock: str

    def running(self) -> AbstractContextManager[None]:
        """Hold the device as measuring needs it, and let go of it afterwards."""
        ...

    def prepare(self, module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> TakeSample:
        """Make a module ready, with random images.

        Args:
            module: is put into evaluation mode and cast as the mode says.
            shape: of its input, batch included.
            generator: of the images, which are drawn from a normal distribution.

        Returns:
            A function that takes one sample.
        """
        ...

    def conditions(self) -> Conditions | None:
        """What the device was like during the samples so far; `None` where that cannot be asked."""
        ...


def open_bench(kind: DeviceKind, mode: Mode, *, reuse_bytes: int = 0) -> Bench:
    """The bench of this machine.

    Args:
        kind: of the device.
        mode: how modules run.
        reuse_bytes: weights that a whole network touches between two uses of one weight; a GPU keeps those of a part
            as far apart, because its cache would hold them otherwise.

    Raises:
        ProfileError: there is no such device here.
    """
    if kind == "cpu":
        from senas.latency.cpu import CpuBench

        return CpuBench(mode)
    from senas.latency.cuda import CudaBench

    return CudaBench(mode, reuse_bytes=reuse_bytes)


def ready_images(shape: tuple[int, ...], mode: Mode, generator: torch.Generator, device: str = "cpu") -> torch.Tensor:
    """Random images (B, C, H, W) in the mode's type and memory format, on a device."""
    with torch.inference_mode(False):
        images = torch.randn(shape, generator=generator).to(device, TORCH_DTYPES[mode.dtype])
        return images.contiguous(memory_format=MEMORY_FORMATS[mode.memory_format])


def ready_module(module: nn.Module, mode: Mode, device: str = "cpu") -> nn.Module:
    """The module for inference, in the mode's type and memory format, on a device."""
    with torch.inference_mode(False):
        module = module.eval().requires_grad_(False).to(device, TORCH_DTYPES[mode.dtype])
        return module.to(memory_format=MEMORY_FORMATS[mode.memory_format])  # type: ignore[call-overload]
