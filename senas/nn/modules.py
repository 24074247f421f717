"""Torch modules for operations that torch has no module for."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Branches(nn.ModuleDict):
    """Modules that all take the same input."""

    def outputs(self, x: Tensor) -> list[Tensor]:
        """Return the output of each branch."""
        found: list[Tensor] = []
        for branch in self.values():  # a loop, since TorchScript has no list comprehensions over modules
            found.append(branch(x))  # noqa: PERF401
        return found


class BranchSum(_Branches):
    """The sum of the outputs of all branches."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the shape that all branches return."""
        outputs = self.outputs(x)
        total = outputs[0]
        for other in outputs[1:]:
            total = total + other
        return total


class BranchConcat(_Branches):
    """The concatenation of the outputs of all branches along the channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C1 + C2 + ..., H', W')."""
        return torch.cat(self.outputs(x), dim=1)


class BranchShakeSum(_Branches):
    """Shake-shake regularisation of two branches, drawn per image (Gastaldi 2017).

    In training, alpha for the output and, independently, beta for the gradient are drawn from U(0, 1) for each image;
    in evaluation mode both are 0.5.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to alpha * first(x) + (1 - alpha) * second(x)."""
        first, second = self.outputs(x)
        if not self.training:
            return 0.5 * (first + second)
        alpha, beta = first.new_empty((2, first.shape[0], 1, 1, 1)).uniform_().unbind()
        seen_by_gradient = torch.lerp(second, first, beta)
        return seen_by_gradient + (torch.lerp(second, first, alpha) - seen_by_gradient).detach()


class ShuffleModule(nn.Module):
    """Interleaving of `groups` groups of channels, as `torch.nn.ChannelShuffle`."""

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        if not torch.jit.is_scripting():  # noqa: SIM102  # pyright: ignore[reportPrivateImportUsage]
            # Nested, since TorchScript compiles both sides of `and`.
            if torch.onnx.is_in_onnx_export():  # by torch's older exporter, which has no shuffle
                return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)
        return F.channel_shuffle(x, self.groups)


class SubsampleModule(nn.Module):
    """Every `stride`-th pixel in both directions."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, ceil(H / stride), ceil(W / stride))."""
        return x[:, :, :: self.stride, :: self.stride]


class ShiftModule(nn.Module):
    """A shift of the map by one pixel to the right and down; the first row and column become zero."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return F.pad(x, (1, -1, 1, -1))


class PadChannelsModule(nn.Module):
    """Padding with `extra` channels of zeros."""

    def __init__(self, extra: int):
        super().__init__()
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C + extra, H, W)."""
        return F.pad(x, (0, 0, 0, 0, 0, self.extra))


class ScaleModule(nn.Module):
    """Multiplication by a constant."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return x * self.factor
