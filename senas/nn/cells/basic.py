"""The basic residual cell of ResNet for CIFAR."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from senas.architecture import Cell, Integration
from senas.nn.se import SqueezeExcite


class PadShortcut(nn.Module):
    """Parameter-free skip path: every `stride`-th pixel, zeros for new channels (He et al. 2016, option A)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.extra_channels = out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.extra_channels))


class BasicCell(nn.Module):
    """Two 3x3 convolutions beside a parameter-free shortcut, hosting SE at any of the five places of the paper.

    Args:
        cell: the description; its `se.integration` says where the SE block sits (Hu et al. 2018, figure 5).
        in_channels: C flowing in.
    """

    def __init__(self, cell: Cell, in_channels: int):
        super().__init__()

        def se_at(place: Integration, channels: int) -> list[tuple[str, nn.Module]]:
            hosted = cell.se is not None and cell.se.integration == place
            return [("se", SqueezeExcite(channels, cell.se))] if hosted and cell.se else []

        channels = cell.channels
        self.branch = nn.Sequential(
            OrderedDict(
                [
                    *se_at("pre", in_channels),
                    ("conv1", nn.Conv2d(in_channels, channels, 3, stride=cell.stride, padding=1, bias=False)),
                    ("norm1", nn.BatchNorm2d(channels)),
                    ("relu1", nn.ReLU(inplace=True)),
                    *se_at("inner", channels),
                    ("conv2", nn.Conv2d(channels, channels, 3, padding=1, bias=False)),
                    ("norm2", nn.BatchNorm2d(channels)),
                    *se_at("standard", channels),
                ]
            )
        )
        resized = cell.stride != 1 or in_channels != channels
        shortcut = [("pad", PadShortcut(in_channels, channels, cell.stride))] if resized else []
        self.skip = nn.Sequential(OrderedDict([*shortcut, *se_at("identity", channels)]))
        self.join = nn.Sequential(OrderedDict([("relu", nn.ReLU(inplace=True)), *se_at("post", channels)]))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        return self.join(self.branch(x) + self.skip(x))
