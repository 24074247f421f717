"""The Squeeze-and-Excitation block: the only implementation in senas, used by every kind of cell."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from senas.architecture import SEConfig

_SQUEEZES = {"avg": F.adaptive_avg_pool2d, "max": F.adaptive_max_pool2d}
_EXCITATIONS = {"sigmoid": torch.sigmoid, "hardsigmoid": F.hardsigmoid, "tanh": torch.tanh, "relu": F.relu}


class SqueezeExcite(nn.Module):
    """Channel recalibration, x * gate(W2 relu(W1 squeeze(x))): Hu et al. 2018, equations 2 to 4.

    Both poolings are adaptive poolings, so that the FLOP count includes either (one per input element). Without a
    squeeze the two layers become 1x1 convolutions on the full map and the gate varies over space (section 7.1).

    At batch size 1 the time of a block is mostly call overhead. It therefore uses linear layers on the squeezed vector,
    and calls functions rather than torch modules. Its time divided by that of the common formulation (mean, 1x1
    convolutions; numerically equal), measured by `scripts/benchmark_se.py`, median over the shapes of SE-ResNet-50,
    fp32, one core of an AMD EPYC, torch 2.13:

    | batch, pass             | eager, NCHW | channels_last | compiled, NCHW | channels_last |
    | ----------------------- | ----------- | ------------- | -------------- | ------------- |
    | 1, forward              | 0.89        | 0.90          | 0.94           | 0.94          |
    | 1, forward + backward   | 0.93        | 0.94          | 0.56           | 0.82          |
    | 16, forward             | 0.92        | 0.78          | 0.90           | 0.87          |
    | 16, forward + backward  | 0.91        | 0.88          | 0.56           | 0.90          |

    On CUDA the kernels of a block cost more than its arithmetic; `senas.fuse_squeeze_excite` makes them three.

    Args:
        channels: Number C of channels of the input and of the output.
        config: Reduction, squeeze, excitation and bias. The integration is not used here: the cell places the block.

    Raises:
        ArchitectureError: The reduction is larger than the number of channels.
    """

    def __init__(self, channels: int, config: SEConfig):
        super().__init__()
        hidden = config.hidden(channels)
        self.squeeze, self.excitation = config.squeeze, config.excitation  # names: some functions cannot be pickled
        if config.squeeze != "none":
            self.reduce: nn.Linear | nn.Conv2d = nn.Linear(channels, hidden, bias=config.bias)
            self.expand: nn.Linear | nn.Conv2d = nn.Linear(hidden, channels, bias=config.bias)
        else:
            self.reduce = nn.Conv2d(channels, hidden, 1, bias=config.bias)
            self.expand = nn.Conv2d(hidden, channels, 1, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Recalibrate (B, C, H, W) to (B, C, H, W)."""
        reduce, expand, gate = self.reduce, self.expand, _EXCITATIONS[self.excitation]
        if self.squeeze == "none":
            return x * gate(expand(reduce(x).relu_()))
        pooled = _SQUEEZES[self.squeeze](x, 1)  # (B, C, 1, 1)
        hidden = F.linear(pooled.flatten(1), reduce.weight, reduce.bias).relu_()  # (B, hidden)
        scale = gate(F.linear(hidden, expand.weight, expand.bias))  # (B, C)
        return x * scale.view_as(pooled)
