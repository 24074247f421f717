"""Zero-cost proxies: what one mini-batch through an untrained network tells of the accuracy it may reach."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from senas.architecture import Architecture
from senas.nn.network import build_network
from senas.training.data import Split
from senas.training.loop import pixel_statistics

_ACTIVATIONS = (nn.ReLU, nn.Hardswish, nn.SiLU)


def synflow(network: nn.Module, batch: Split) -> float:
    """The logarithm of the synaptic flow: sum of |w dR/dw|, R the sum of the logits of an image of ones.

    All weights are taken by their absolute values and batch norms let everything pass, in evaluation mode and double
    precision (Tanaka et al. 2020, algorithm 1; Abdelfattah et al. 2021, section 3.2).

    Args:
        network: untrained; what is left of it is of no further use.
        batch: (B, C, H, W) images, of which only the shape matters.
    """
    network.double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    network(torch.ones_like(batch.images[:1], dtype=torch.float64)).sum().backward()
    flows = [(p * p.grad).sum() for p in network.parameters() if p.grad is not None and p.ndim > 1]
    return math.log(max(float(torch.stack(flows).sum().detach()), 1e-300))


def naswot(network: nn.Module, batch: Split) -> float:
    """How differently a network treats the images of a batch: log |det K| (Mellor et al. 2021, section 3).

    K counts, for each pair of images, the units of all activations that are on for both or off for both, (B, B).
    """
    kernel = torch.zeros(len(batch), len(batch), dtype=torch.float64)

    def count(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        on = (inputs[0] > 0).flatten(1).double()  # (B, units)
        kernel.add_((on @ on.T + (1 - on) @ (1 - on).T).cpu())

    hooks = [m.register_forward_pre_hook(count) for m in network.modules() if isinstance(m, _ACTIVATIONS)]
    with torch.inference_mode():
        network.train()(_normalised(batch))
    for hook in hooks:
        hook.remove()
    return float(torch.linalg.slogdet(kernel).logabsdet)


def gradient_norm(network: nn.Module, batch: Split) -> float:
    """The logarithm of the Euclidean norm of the loss's gradient (Abdelfattah et al. 2021, section 3.1)."""
    loss = F.cross_entropy(network.train()(_normalised(batch)), batch.labels)
    gradients = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    total = sum(float(gradient.double().square().sum()) for gradient in gradients if gradient is not None)
    return 0.5 * math.log(max(total, 1e-300))


PROXIES: dict[str, Callable[[nn.Module, Split], float]] = {
    "synflow": synflow,
    "naswot": naswot,
    "gradient norm": gradient_norm,
}


def proxy_score(name: str, arch: Architecture, batch: Split, *, seed: int = 0) -> float:
    """What a proxy says of an architecture; only comparisons within one batch mean anything.

    Args:
        name: a key of `PROXIES`.
        arch: what is judged.
        batch: training images, a few dozen.
        seed: of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # for what the network itself draws
        return PROXIES[name](build_network(arch, seed=seed).to(batch.images.device), batch)


def _normalised(batch: Split) -> Tensor:
    mean, deviation = pixel_statistics(batch)
    return (batch.images.float() - mean) / deviation
