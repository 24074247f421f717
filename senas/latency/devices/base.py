"""Contract of a device backend, which runs and times modules on one device in one mode."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import nn

from senas.latency.devices.environment import Device, Mode
from senas.latency.devices.readings import DeviceConditions, TimingSample

TORCH_DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

RunPass = Callable[[], object]
TakeSample = Callable[[], TimingSample | None]  # `None` if something disturbed the sample


class DeviceBackend(Protocol):
    """One device in one mode; `running` must be entered before any other method is called.

    Attributes:
        device: Device that modules run on.
        mode: Mode in which the modules run.
        clock: Name of the clock that times them.
    """

    device: Device
    mode: Mode
    clock: str

    def running(self) -> AbstractContextManager[None]:
        """Set the device up for measuring, and restore its settings on exit."""
        ...

    def prepare(self, module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> TakeSample:
        """Prepare a module and random images to measure it with.

        Args:
            module: Module to measure, built outside of `running`, whose inference mode would make weights that cannot
                be cast. It is put into evaluation mode and cast to the mode's type.
            shape: Shape of its input, batch included.
            generator: Random generator for the images, which are drawn from a normal distribution.

        Returns:
            Function that takes one sample.
        """
        ...

    def forward_pass(self, module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> RunPass:
        """Return a function that runs one forward pass and waits for its end; the arguments are those of `prepare`."""
        ...

    def conditions(self) -> DeviceConditions | None:
        """Return the state of the device during the samples so far; `None` if the device does not report it."""
        ...


def ready_images(shape: tuple[int, ...], mode: Mode, generator: torch.Generator, device: str = "cpu") -> torch.Tensor:
    """Return random images (B, C, H, W) in the mode's type and memory format, on a device."""
    with torch.inference_mode(False):
        images = torch.randn(shape, generator=generator).to(device, TORCH_DTYPES[mode.dtype])
        return images.contiguous(memory_format=MEMORY_FORMATS[mode.memory_format])


def ready_module(module: nn.Module, mode: Mode, device: str = "cpu") -> nn.Module:
    """Return the module ready for inference, in the mode's type and memory format, on a device."""
    with torch.inference_mode(False):
        module = module.eval().requires_grad_(False).to(device, TORCH_DTYPES[mode.dtype])
        return module.to(memory_format=MEMORY_FORMATS[mode.memory_format])  # type: ignore[call-overload]
