"""Test accuracy of networks after equal trainings: the winner of a run, ResNet-20 and SE-ResNet-20, for instance.

Each network is retrained from scratch with several seeds by the training loop of senas, on all training data, and
tested once at the end. On CUDA, several trainings share the GPU.

    python scripts/compare_trainings.py runs/x resnet20 resnet20+se --data npz:FILE --epochs 60 --device cuda
"""

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for a checkout that is not installed

from measure_front import read_front

import senas
from senas.latency.devices import this_device

REDUCTION = 16


def network_of(name: str) -> senas.Architecture:
    """Return the most accurate network of a run, the architecture of a JSON file, or a reference, with SE for `+se`."""
    if Path(name).is_dir():
        return max(read_front(Path(name)), key=lambda network: network[1])[0]
    if name.endswith(".json"):
        return senas.Architecture.load(name)
    reference, plus, extra = name.partition("+")
    if plus and extra != "se":
        raise senas.SenasError(f"network: found {name}, allowed: a run, a JSON file, a reference, or one with +se")
    return senas.reference(reference, se=senas.SEConfig(reduction=REDUCTION) if plus else None)


def train(job: tuple[str, int], *, data: str, recipe: senas.Recipe, device: str) -> float:
    """Return the test accuracy of one training, in [0, 1]."""
    import torch

    torch.set_num_threads(1)
    name, seed = job
    arch = network_of(name)
    with TemporaryDirectory() as folder:
        loaded = senas.load_data(data, arch.input)
        return senas.retrain(arch, data=loaded, recipe=recipe, out=folder, seed=seed, device=device).test_accuracy


def main() -> None:
    """Print mean and standard deviation of each network's test accuracy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="+", help="Run, JSON file of an architecture, or reference, +se for SE.")
    parser.add_argument("--data", required=True, help="Data set.")
    parser.add_argument("--epochs", type=int, default=60, help="Passes over the training set.")
    parser.add_argument("--batch", type=int, default=128, help="Images per step.")
    parser.add_argument("--precision", default="fp32", help="Precision: fp32, tf32 or bf16.")
    parser.add_argument("--seeds", type=int, default=3, help="Trainings of each network.")
    parser.add_argument("--workers", type=int, default=1, help="Trainings at a time.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="Device to train on.")
    parser.add_argument("--json", action="store_true", help="Print JSON lines.")
    arguments = parser.parse_args()
    if arguments.seeds < 1 or arguments.workers < 1:
        parser.error("--seeds, --workers: allowed: at least 1")
    try:
        recipe = senas.Recipe(
            epochs=arguments.epochs, batch=arguments.batch, learning_rate=0.2, precision=arguments.precision
        )
        this_device(arguments.device)  # raises if there is none
        archs = {name: network_of(name) for name in arguments.network}
        jobs = [(name, seed) for seed in range(arguments.seeds) for name in archs]
        work = partial(train, data=arguments.data, recipe=recipe, device=arguments.device)
        accuracies: dict[str, list[float]] = {name: [] for name in archs}
        with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
            for (name, seed), accuracy in zip(jobs, pool.map(work, jobs), strict=True):
                accuracies[name].append(accuracy)
                if arguments.json:
                    row = {"network": name, "digest": archs[name].digest, "seed": seed, "test_accuracy": accuracy}
                    print(json.dumps(row), flush=True)
    except senas.SenasError as error:
        parser.error(str(error))
    if not arguments.json:
        for name, found in accuracies.items():
            spread = stdev(found) if len(found) > 1 else 0.0
            print(f"{name}: {mean(found):.2%} ± {spread:.2%} over {len(found)} seeds")


if __name__ == "__main__":
    main()
