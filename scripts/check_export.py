"""Export of every reference network and of random architectures of every shipped space, compared with PyTorch.

Weights are random, and batch norms have seen the random images. Each network is exported, run in its
runtime on batches of 1, 3 and 32 and on all images, and compared, as `senas export` does. Then the variance of one of
its batch norms is multiplied by 4, and the file, now wrong, must be recognised.

    python scripts/check_export.py --format onnx torch --random 30 --size 96
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for a checkout that is not installed

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from senas.architecture import REFERENCES, Architecture, SEConfig, reference
from senas.errors import ExportFailedError
from senas.export import FORMATS, compare, export_module
from senas.spaces import load_space, shipped_spaces
from senas.training import Recipe, TrainedNetwork
from senas.training.trained import NetworkDescription

BATCH = 32

NetworkKind = TypeVar("NetworkKind", bound=nn.Module)


def architectures(
    references: Iterable[str], random: int, *, size: int, seed: int
) -> Iterator[tuple[str, Architecture]]:
    """Yield references with an SE block in each cell, then random architectures of the spaces in turn."""
    for name in references:
        yield name, at_most(reference(name, se=SEConfig(reduction=4)), size)
    rng, names = np.random.default_rng(seed), list(shipped_spaces())
    for number in range(random):
        name = names[number % len(names)]
        arch = load_space(name).random(rng)
        yield f"{name} {arch.digest}", at_most(arch, size)


def at_most(arch: Architecture, size: int) -> Architecture:
    """Return an architecture for images of at most a size, which take less time."""
    return replace(arch, input=replace(arch.input, size=min(arch.input.size, size)))


def random_images(count: int, arch: Architecture, seed: int = 0) -> Tensor:
    """Return random uint8 images (N, C, H, W): smooth patterns, which unlike noise differ from each other."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, arch.input.channels, 4, 4, generator=generator)
    return (255 * F.interpolate(coarse, size=(arch.input.size,) * 2, mode="bicubic").clamp(0, 1)).to(torch.uint8)


def random_network(arch: Architecture, images: Tensor) -> TrainedNetwork:
    """Return a network of random weights in evaluation mode, whose batch norms have seen the images."""
    channels = arch.input.channels
    network = TrainedNetwork(
        arch,
        NetworkDescription(
            digest=arch.digest,
            input=arch.input,
            mean=(127.5,) * channels,
            deviation=(64.0,) * channels,
            classes=tuple(map(str, range(arch.head.classes))),
            accuracy=0.0,
            data="random",
            data_digest="",
            recipe=Recipe(),
            senas="",
        ),
    )
    return settled(network, images)


def settled(network: NetworkKind, images: Tensor) -> NetworkKind:
    """Return a network in evaluation mode after its batch norms have seen images three times.

    An eighth of the initial statistics remains: rounding errors are not divided by a variance that is almost zero.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.5
    with torch.no_grad():
        for _ in range(3):
            network.train()(images)
    return network.eval()


def break_statistics(network: nn.Module) -> bool:
    """Multiply the variance of the batch norm in the middle by 4; return whether there is one."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms[len(norms) // 2 :][:1]:
        assert norm.running_var is not None
        norm.running_var *= 4
    return bool(norms)


def check(arch: Architecture, format_name: str, folder: Path, images: Tensor) -> tuple[float, float, str]:
    """Export a network; return its largest relative difference, share of equal predictions, and if breakage is seen.

    Raises:
        ExportFailedError: The file disagrees.
    """
    torch.manual_seed(0)
    network = random_network(arch, images)
    batches = [(part, torch.zeros(len(part), dtype=torch.int64)) for part in images.split(BATCH)]
    path = folder / f"network{FORMATS[format_name].suffix}"
    found = export_module(network, path, format_name=format_name, batches=batches, data="random", metadata={})
    broken = "no batch norm"
    if break_statistics(network):
        file = FORMATS[format_name].load(path, ())
        with torch.no_grad():
            try:
                compare(network, file, batches).require("broken on purpose")
                broken = "MISSED"
            except ExportFailedError:
                broken = "caught"
    return found.agreement.largest_relative_difference, found.agreement.equal_predictions, broken


def main() -> None:
    """Print a line for each network and format, and exit with 1 if one disagrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", nargs="+", choices=FORMATS, default=["onnx"], help="Formats.")
    parser.add_argument("--reference", nargs="*", choices=REFERENCES, default=list(REFERENCES), help="References.")
    parser.add_argument("--random", type=int, default=30, help="Number of random architectures.")
    parser.add_argument("--size", type=int, default=96, help="Largest size of images.")
    parser.add_argument("--images", type=int, default=32, help="Number of images.")
    parser.add_argument("--seed", type=int, default=0, help="Random seed of the architectures.")
    arguments = parser.parse_args()
    worst, failed = 0.0, 0
    for name, arch in architectures(arguments.reference, arguments.random, size=arguments.size, seed=arguments.seed):
        images = random_images(arguments.images, arch)
        for format_name in arguments.format:
            start = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                try:
                    difference, equal, broken = check(arch, format_name, Path(folder), images)
                except ExportFailedError as error:
                    failed += 1
                    print(f"{name:44} {format_name:6} FAILED {error}", flush=True)
                    continue
            worst, failed = max(worst, difference), failed + (broken == "MISSED")
            seconds = time.monotonic() - start
            print(
                f"{name:44} {format_name:6} difference {difference:.1e}, equal predictions {equal:.2%}, "
                f"broken statistics {broken}, {seconds:.0f} s",
                flush=True,
            )
    print(f"largest relative difference {worst:.1e}; {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
