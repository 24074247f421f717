"""Torch modules for operations that torch has no module for."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BranchSum(nn.ModuleDict):
    """The sum of the outputs of all branches."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the shape that all branches return."""
        first, *others = [branch(x) for branch in self.values()]
        for other in others:
            first = first + other
        return first


class BranchConcat(nn.ModuleDict):
    """The concatenation of the outputs of all branches along the channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C1 + C2 + ..., H', W')."""
        return torch.cat([branch(x) for branch in self.values()], dim=1)


class BranchShakeSum(nn.ModuleDict):
    """Shake-shake regularisation of two branches, drawn per image (Gastaldi 2017).

    In training, alpha for the output and, independently, beta for the gradient are drawn from U(0, 1) for each image;
    in evaluation mode both are 0.5.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to alpha * first(x) + (1 - alpha) * second(x)."""
        first, second = (branch(x) for branch in self.values())
        if not self.training:
            return 0.5 * (first + second)
        alpha, beta = first.new_empty(2, first.shape[0], 1, 1, 1).uniform_()
        seen_by_gradient = torch.lerp(second, first, beta)
        return seen_by_gradient + (torch.lerp(second, first, alpha) - seen_by_gradient).detach()


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
