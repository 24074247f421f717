"""From an architecture to a torch module, part by part: a part measured alone is the same module as in the network."""

import torch
from torch import Tensor, nn

from senas.architecture import Architecture, Part
from senas.nn.build import build


class Network(nn.Module):
    """The network of an architecture.

    Args:
        arch: Architecture to build.
    """

    def __init__(self, arch: Architecture):
        super().__init__()
        stem, *cells, head = map(build_part, arch.parts())
        self.stem = stem
        self.cells = nn.Sequential(*cells)
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, input channels, size, size) to class logits (B, classes)."""
        return self.head(self.cells(self.stem(images)))


def build_network(arch: Architecture, *, seed: int = 0) -> Network:
    """Build the torch module of an architecture, with weights that depend on `seed` alone.

    Returns:
        A module in training mode that maps (B, input channels, size, size) to logits (B, classes).
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # unlike torch.manual_seed, leaves the generators of GPUs alone
        network = Network(arch)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def build_part(part: Part) -> nn.Module:
    """Build the torch module of one part; its input is (B, C, H, W) with the channels and size of `part.in_shape`."""
    return build(part.layout, part.in_shape)
