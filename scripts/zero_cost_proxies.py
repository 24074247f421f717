"""Zero-cost proxies: estimates of the accuracy of an untrained network from one mini-batch."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from senas.architecture import Architecture
from senas.nn import build_network
from senas.training import Split, pixel_statistics

_ACTIVATIONS = (nn.ReLU, nn.Hardswish, nn.SiLU)


def synflow(network: nn.Module, batch: Split) -> float:
    """Return the logarithm of the synaptic flow: sum of |w dR/dw|, with R the sum of the logits of an image of ones.

    The weights are replaced by their absolute values. The network is in evaluation mode, in which untrained batch norms
    pass values on unchanged, and in double precision (Tanaka et al. 2020, algorithm 1; Abdelfattah et al. 2021, section
    3.2).

    Args:
        network: Untrained network, which is changed and cannot be used afterwards.
        batch: Images, (B, C, H, W), of which only the shape matters.
    """
    network.double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    network(torch.ones_like(batch.images[:1], dtype=torch.float64)).sum().backward()
    flows = [(p * p.grad).sum() for p in network.parameters() if p.grad is not None and p.ndim > 1]
    return math.log(max(float(torch.stack(flows).sum().detach()), 1e-300))


def naswot(network: nn.Module, batch: Split) -> float:
    """Return how differently a network treats the images of a batch: log |det K| (Mellor et al. 2021, section 3).

    K, (B, B), counts for each pair of images the units of all activation modules that are active for both or for
    neither. The hidden units of SE blocks are not among them.
    """
    kernel = torch.zeros(len(batch), len(batch), dtype=torch.float64)

    def count(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        active = (inputs[0] > 0).flatten(1).double()  # (B, units)
        kernel.add_((active @ active.T + (1 - active) @ (1 - active).T).cpu())

    hooks = [m.register_forward_pre_hook(count) for m in network.modules() if isinstance(m, _ACTIVATIONS)]
    with torch.inference_mode():
        network.train()(_normalised(batch))
    for hook in hooks:
        hook.remove()
    return float(torch.linalg.slogdet(kernel).logabsdet)


def gradient_norm(network: nn.Module, batch: Split) -> float:
    """Return the logarithm of the Euclidean norm of the loss's gradient (Abdelfattah et al. 2021, section 3.1)."""
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
    """Return the score of an architecture by a proxy; only scores on the same batch can be compared.

    Args:
        name: Key of `PROXIES`.
        arch: Architecture to score.
        batch: A few dozen training images.
        seed: Random seed of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # for the network's own random numbers
        return PROXIES[name](build_network(arch, seed=seed).to(batch.images.device), batch)


def _normalised(batch: Split) -> Tensor:
    """Return the images of a batch with zero mean and unit variance per channel, (B, C, H, W)."""
    mean, deviation = pixel_statistics(batch)
    return (batch.images.float() - mean) / deviation
