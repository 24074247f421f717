"""The torch modules of operations that torch has no module for."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Sum(nn.ModuleDict):
    """The sum of what the branches make of x."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to what each branch gives."""
        first, *others = [branch(x) for branch in self.values()]
        for other in others:
            first = first + other
        return first


class Concat(nn.ModuleDict):
    """What the branches make of x, their channels one after the other."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C1 + C2 + ..., H', W')."""
        return torch.cat([branch(x) for branch in self.values()], dim=1)


class ShakeSum(nn.ModuleDict):
    """Shake-shake regularisation of two branches, drawn per image (Gastaldi 2017).

    In training each image draws alpha for the output and, independently, beta for the gradient from U(0, 1); in
    evaluation mode both are 0.5.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to alpha * first(x) + (1 - alpha) * second(x)."""
        first, second = (branch(x) for branch in self.values())
        if not self.training:
            return 0.5 * (first + second)
        alpha, beta = first.new_empty(2, first.shape[0], 1, 1, 1).uniform_()
        seen_by_gradient = torch.lerp(second, first, beta)
        return seen_by_gradient + (torch.lerp(second, first, alpha) - seen_by_gradient).detach()


class Subsample(nn.Module):
    """Every `stride`-th pixel."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, ceil(H / stride), ceil(W / stride))."""
        return x[:, :, :: self.stride, :: self.stride]


class Shift(nn.Module):
    """The map moved right and down by one pixel, zeros in the first row and column."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return F.pad(x, (1, -1, 1, -1))


class PadChannels(nn.Module):
    """Zeros for channels that are new."""

    def __init__(self, extra: int):
        super().__init__()
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C + extra, H, W)."""
        return F.pad(x, (0, 0, 0, 0, 0, self.extra))


class Scale(nn.Module):
    """Multiplication by a constant."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return x * self.factor
