"""Speed of the training loop beside that of a bare loop: forward pass, backward pass and step on one fixed batch.

The training loop is the one of searches and retrainings: it takes each batch from the data, augments it, follows the
learning rate and sums up the loss. The bare loop has the same network, optimizer, number format and memory format. One
epoch of the one and as many steps of the other alternate in one process, and medians are compared. The images are
random, which changes no time.

    python scripts/benchmark_training.py --seconds 20
    python scripts/benchmark_training.py --device cuda --precision fp32 tf32 bf16 --compile no yes --json
"""

import argparse
import itertools
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for a checkout that is not installed

import numpy as np
import torch
from torch.nn import functional as F

import senas
from senas.latency.devices import this_device
from senas.nn import compiled as compile_network
from senas.training.loop import computing_in, make_network, make_optimizer, memory_format_of, train_epochs

CLASSES = 10
REDUCTION = 16


@dataclass(frozen=True, kw_only=True)
class Case:
    """One measurement.

    Attributes:
        network: Reference network, which gets SE blocks in all stages.
        size: Height = width of the images.
        batch: Images per step.
        steps: Steps per epoch.
        recipe: Recipe of both loops.
        device: Device to train on.
    """

    network: str
    size: int
    batch: int
    steps: int
    recipe: senas.Recipe
    device: str


def measure(case: Case, seconds: float) -> dict[str, object]:
    """Return images per second of both loops and their ratio."""
    arch = senas.reference(case.network, se=senas.SEConfig(reduction=REDUCTION), input_size=case.size, classes=CLASSES)
    generator = torch.Generator().manual_seed(0)
    count = case.batch * case.steps
    split = senas.Split(
        images=torch.randint(256, (count, 3, case.size, case.size), dtype=torch.uint8, generator=generator),
        labels=torch.randint(CLASSES, (count,), generator=generator),
    ).to(case.device)
    data = senas.Dataset(name="random", train=split, test=split, classes=CLASSES)
    epoch, bare = _training_epoch(arch, data, case), _bare_epoch(arch, data, case)
    began = time.monotonic()
    for run in (epoch, bare) * 2:  # compiles, chooses kernels, allocates
        run()
    prepared = time.monotonic()
    samples: tuple[list[float], list[float]] = ([], [])
    while time.monotonic() - prepared < seconds or len(samples[0]) < 3:
        for run, times in zip((epoch, bare), samples, strict=True):
            _synchronize(case.device)
            start = time.perf_counter()
            run()
            _synchronize(case.device)
            times.append(time.perf_counter() - start)
    ours, theirs = (count / float(np.median(times)) for times in samples)
    return {
        "network": case.network,
        "size": case.size,
        "batch": case.batch,
        "precision": case.recipe.precision,
        "memory_format": "channels_last" if case.recipe.channels_last else "contiguous",
        "compiled": case.recipe.compile,
        "loop_images_per_second": ours,
        "bare_images_per_second": theirs,
        "ratio": ours / theirs,
        "epochs": len(samples[0]),
        "preparation_seconds": prepared - began,
    }


def _training_epoch(arch: senas.Architecture, data: senas.Dataset, case: Case):
    """Return a function that trains for one more epoch by the training loop."""
    network = make_network(arch, case.recipe, seed=0, device=case.device)
    epochs = train_epochs(network, make_optimizer(network, case.recipe), data, case.recipe, seed=0)
    return lambda: next(epochs)


def _bare_epoch(arch: senas.Architecture, data: senas.Dataset, case: Case):
    """Return a function that makes as many steps as an epoch has, all on the first batch."""
    network = make_network(arch, case.recipe, seed=0, device=case.device)
    optimizer = make_optimizer(network, case.recipe)
    images = data.train.images[: case.batch].float() / 255
    images = images.contiguous(memory_format=memory_format_of(case.recipe))
    labels = data.train.labels[: case.batch]
    forward = compile_network(network) if case.recipe.compile else network
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    network.train()

    def run() -> None:
        with computing_in(case.recipe.precision, images.device):
            for _ in range(case.steps):
                loss = F.cross_entropy(forward(images), labels, label_smoothing=case.recipe.label_smoothing)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

    return run


def _parts(named: str) -> tuple[str, int, int]:
    """Return name, image size and batch size of NAME:SIZE:BATCH."""
    name, *numbers = named.split(":")
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        raise senas.SenasError(f"--network: found {named}, expected NAME:SIZE:BATCH")
    return name, int(numbers[0]), int(numbers[1])


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="Device to train on.")
    parser.add_argument("--network", nargs="+", default=["resnet20:32:128"], help="NAME:SIZE:BATCH of each network.")
    parser.add_argument("--precision", nargs="+", default=["fp32"], help="Precisions: fp32, tf32, bf16.")
    parser.add_argument(
        "--memory-format", nargs="+", default=["channels_last"], choices=("channels_last", "contiguous"),
        help="Memory formats of images and weights.",
    )  # fmt: skip
    parser.add_argument(
        "--compile", nargs="+", default=["no"], choices=("no", "yes"), help="Under torch.compile or not."
    )
    parser.add_argument("--steps", type=int, default=20, help="Steps per epoch.")
    parser.add_argument("--seconds", type=float, default=10.0, help="Time for each case.")
    parser.add_argument("--json", action="store_true", help="Print JSON lines.")
    arguments = parser.parse_args()
    for named, compiled, precision, layout in itertools.product(
        arguments.network, arguments.compile, arguments.precision, arguments.memory_format
    ):
        try:
            name, size, batch = _parts(named)
            recipe = senas.Recipe(
                epochs=10**6,
                batch=batch,
                learning_rate=1e-3,
                precision=precision,
                channels_last=layout == "channels_last",
                compile=compiled == "yes",
            )
            case = Case(
                network=name,
                size=size,
                batch=batch,
                steps=arguments.steps,
                recipe=recipe,
                device=arguments.device,
            )
            this_device(arguments.device)  # raises if there is none
            found = measure(case, arguments.seconds)
        except senas.SenasError as error:
            parser.error(str(error))
        if arguments.json:
            print(json.dumps(found), flush=True)
        else:
            print(
                f"{name} at {size}, batch {batch}, {precision}, {layout}{', compiled' if recipe.compile else ''}: "
                f"{found['loop_images_per_second']:.0f} images/s, bare loop {found['bare_images_per_second']:.0f}, "
                f"ratio {found['ratio']:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
