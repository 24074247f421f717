"""The Squeeze-and-Excitation block: the only implementation in senas, used by every kind of cell."""

import torch
from torch import Tensor, nn
from torch._C._nn import adaptive_avg_pool2d  # that of F, without its half a microsecond of Python
from torch.nn import functional as F
from torch.nn.modules.module import _has_any_global_hook

from senas.architecture import SEConfig


class SqueezeExcite(nn.Module):
    """Channel recalibration, x * gate(W2 relu(W1 squeeze(x))): Hu et al. 2018, equations 2 to 4.

    Both poolings are adaptive poolings, so that the FLOP count includes either (one per input element). Without a
    squeeze the two layers become 1x1 convolutions on the full map and the gate varies over space (section 7.1).

    At batch size 1 the time of a block is mostly call overhead. It therefore uses linear layers on the squeezed vector,
    and calls functions rather than torch modules, unless a layer has hooks or is no longer an `nn.Linear`. Its time
    divided by that of the common formulation (mean, 1x1 convolutions; numerically equal), measured by
    `scripts/benchmark_se.py`, median over the shapes of SE-ResNet-50, fp32, one core of an AMD EPYC, torch 2.13:

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
        self.squeeze, self.excitation = config.squeeze, config.excitation
        if config.squeeze != "none":
            self.reduce: nn.Linear | nn.Conv2d = nn.Linear(channels, hidden, bias=config.bias)
            self.expand: nn.Linear | nn.Conv2d = nn.Linear(hidden, channels, bias=config.bias)
        else:
            self.reduce = nn.Conv2d(channels, hidden, 1, bias=config.bias)
            self.expand = nn.Conv2d(hidden, channels, 1, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Recalibrate (B, C, H, W) to (B, C, H, W)."""
        pooled = squeezed = x
        if self.squeeze != "none":
            pooled = adaptive_avg_pool2d(x, 1) if self.squeeze == "avg" else F.adaptive_max_pool2d(x, 1)
            squeezed = pooled.flatten(1)  # (B, C)
        if torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
            # TorchScript compiles no function of modules.
            scale = self.expand(self.reduce(squeezed).relu_())
        else:
            scale = _bottleneck(self.reduce, self.expand, squeezed)
        return x * _excite(scale, self.excitation).view_as(pooled)


def _bottleneck(reduce: nn.Module, expand: nn.Module, x: Tensor) -> Tensor:
    """Return expand(relu(reduce(x))), without the microsecond that calling a module takes where nothing observes it.

    Hooks, `torch.fx` and layers that were replaced, as by quantised ones, need the call.
    """
    if (
        _has_any_global_hook()
        or reduce._forward_hooks
        or reduce._forward_pre_hooks
        or reduce._backward_hooks
        or reduce._backward_pre_hooks
        or expand._forward_hooks
        or expand._forward_pre_hooks
        or expand._backward_hooks
        or expand._backward_pre_hooks
    ):
        return expand(reduce(x).relu())  # not in place, which backward hooks forbid
    if type(x) is Tensor and type(reduce) is nn.Linear and type(expand) is nn.Linear:
        return F.linear(F.linear(x, reduce.weight, reduce.bias).relu_(), expand.weight, expand.bias)
    return expand(reduce(x).relu_())


def _excite(x: Tensor, excitation: str) -> Tensor:
    """Apply an excitation function, chosen by comparisons since TorchScript has no dictionaries of functions."""
    if excitation == "sigmoid":
        return torch.sigmoid(x)
    if excitation == "hardsigmoid":
        return F.hardsigmoid(x)
    return torch.tanh(x) if excitation == "tanh" else F.relu(x)
