"""SE blocks for inference on CUDA in three kernels: pooling, the reducing layer with its ReLU, and all the rest.

`scripts/benchmark_se.py` compares the fused block with `SqueezeExcite` and with other formulations.
"""

import torch
from torch import Tensor, nn

from senas.errors import SenasError
from senas.nn.running import has_triton
from senas.nn.se import SqueezeExcite


class FusedSqueezeExcite(nn.Module):
    """SE block for inference on CUDA, with the weights of another.

    It computes gates in fp32 whatever the type of the weights, has no backward pass, and does not run hooks of its
    layers.

    Args:
        block: Block to take weights and functions from; its squeeze is not "none".

    Raises:
        RuntimeError: A forward pass that gradients are to flow through.
    """

    def __init__(self, block: SqueezeExcite):
        super().__init__()
        assert block.squeeze != "none"
        self.squeeze, self.excitation = block.squeeze, block.excitation
        self.reduce, self.expand = block.reduce, block.expand

    def forward(self, x: Tensor) -> Tensor:
        """Recalibrate (B, C, H, W), contiguous or channels last, to the same."""
        if torch.is_grad_enabled() and (x.requires_grad or self.reduce.weight.requires_grad):
            raise RuntimeError("a fused SE block has no backward pass; call it within torch.inference_mode()")
        from senas.nn.fused_kernel import expand_and_scale  # here, since Triton comes with CUDA builds of torch alone

        pooled = x.mean((2, 3)) if self.squeeze == "avg" else x.amax((2, 3))  # (B, C)
        weight, bias = self.reduce.weight, self.reduce.bias
        if bias is None:
            hidden = (pooled @ weight.t()).relu_()  # (B, hidden)
        else:  # one kernel, with the ReLU
            hidden = torch.ops.aten._addmm_activation(bias, pooled, weight.t())
        return expand_and_scale(x, hidden, self.expand.weight, self.expand.bias, self.excitation)


def fuse_squeeze_excite(module: nn.Module) -> nn.Module:
    """Replace the SE blocks of a module by fused ones for inference on CUDA, in place; those without squeeze stay.

    Returns:
        The module, or a fused block in its place if the module is itself an SE block.

    Raises:
        SenasError: Triton, which comes with torch for CUDA on Linux, is not installed.
    """
    if not has_triton():
        raise SenasError("fused SE blocks: found no package triton, expected the one that torch for CUDA comes with")
    return _fused(module)


def _fused(module: nn.Module) -> nn.Module:
    if isinstance(module, SqueezeExcite):
        return module if module.squeeze == "none" else FusedSqueezeExcite(module)
    for name, child in module.named_children():
        setattr(module, name, _fused(child))
    return module
