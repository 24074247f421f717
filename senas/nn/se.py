"""The Squeeze-and-Excitation block: the only one in senas, hosted by every kind of cell."""

from torch import Tensor, nn

from senas.se import SEConfig

_SQUEEZES = {"avg": nn.AdaptiveAvgPool2d, "max": nn.AdaptiveMaxPool2d}
_EXCITATIONS = {"sigmoid": nn.Sigmoid, "hardsigmoid": nn.Hardsigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


class SqueezeExcite(nn.Module):
    """Channel recalibration, x * gate(W2 relu(W1 squeeze(x))): Hu et al. 2018, equations 2 to 4.

    Both poolings are adaptive pooling modules, so that the FLOP count sees either (one per input element). Without a
    squeeze the two layers become 1x1 convolutions on the full map and the gate varies over space (section 7.1).

    Args:
        channels: C of the input and of the output.
        config: reduction, squeeze, excitation and bias; where the block sits is its cell's business.

    Raises:
        ArchitectureError: the reduction is larger than the channels.
    """

    def __init__(self, channels: int, config: SEConfig):
        super().__init__()
        hidden = config.hidden(channels)
        self.pooled = config.squeeze != "none"
        if self.pooled:
            self.squeeze = nn.Sequential(_SQUEEZES[config.squeeze](1), nn.Flatten())
            self.reduce: nn.Module = nn.Linear(channels, hidden, bias=config.bias)
            self.expand: nn.Module = nn.Linear(hidden, channels, bias=config.bias)
        else:
            self.squeeze = nn.Sequential()
            self.reduce = nn.Conv2d(channels, hidden, 1, bias=config.bias)
            self.expand = nn.Conv2d(hidden, channels, 1, bias=config.bias)
        self.relu = nn.ReLU(inplace=True)
        self.gate = _EXCITATIONS[config.excitation]()

    def forward(self, x: Tensor) -> Tensor:
        """Recalibrate (B, C, H, W) to (B, C, H, W)."""
        descriptor = self.squeeze(x)  # (B, C), or (B, C, H, W) without a squeeze
        scale = self.gate(self.expand(self.relu(self.reduce(descriptor))))
        if self.pooled:
            scale = scale[:, :, None, None]  # (B, C, 1, 1)
        return x * scale
