"""Signals that predict the accuracy of a run's architectures before or early in their training.

    python scripts/check_proxies.py RUN [--images 64] [--most 100]

For every signal, the script prints the rank correlation with the final accuracy over the finished trials of a run
(Spearman 1904), and the partial rank correlation given FLOPs and parameters, which the strategies know. The signals are
the costs themselves, zero-cost proxies on one mini-batch of training images, and the accuracy after each reported epoch
but the last. The printed seconds are those of one architecture.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from zero_cost_proxies import PROXIES, proxy_score

from senas.errors import SenasError
from senas.runs import Run, Trial, averaged
from senas.training import Split, load_data

Vector = NDArray[np.float64]


def signals(trials: list[Trial], batch: Split) -> Iterator[tuple[str, Vector, float]]:
    """Yield name, values (N,) and seconds per architecture of every signal."""
    yield "FLOPs", np.array([float(trial.cost.flops) for trial in trials]), 0.0
    yield "parameters", np.array([float(trial.cost.params) for trial in trials]), 0.0
    for name in PROXIES:
        started = time.perf_counter()
        scores = np.array([proxy_score(name, trial.architecture, batch) for trial in trials])
        yield name, scores, (time.perf_counter() - started) / len(trials)
    epochs = min(len(trial.epochs) for trial in trials)
    for epoch in range(epochs - 1):
        accuracies = np.array([trial.epochs[epoch][1] for trial in trials])
        seconds = float(np.mean([(trial.seconds or 0.0) * (epoch + 1) / len(trial.epochs) for trial in trials]))
        yield f"epoch {epoch + 1} of {epochs}", accuracies, seconds


def partial(one: Vector, other: Vector, known: Vector) -> float:
    """Return the partial rank correlation of two signals, (N,) each, given known quantities, (K, N)."""
    design = np.column_stack([np.ones(len(one)), *map(rankdata, known)])
    residuals = [ranks - design @ np.linalg.lstsq(design, ranks)[0] for ranks in (rankdata(one), rankdata(other))]
    norms = [np.linalg.norm(residual) for residual in residuals]
    return float(residuals[0] @ residuals[1] / (norms[0] * norms[1])) if min(norms) > 1e-6 else 0.0


def main() -> None:
    """Print the correlations of every signal."""
    parser = argparse.ArgumentParser(description="Check which signals predict the accuracy of a run's architectures.")
    parser.add_argument("run", type=Path, metavar="RUN", help="Folder of a run.")
    parser.add_argument("--images", type=int, default=64, help="Number of images in the mini-batch.")
    parser.add_argument("--most", type=int, default=100, help="Maximal number of architectures.")
    arguments = parser.parse_args()
    try:
        run = Run(arguments.run)
    except SenasError as error:
        parser.error(str(error))
    if run.record.training is None:
        parser.error(f"{run.folder}: was searched with an evaluate function of its own, so there is no data set")
    trials = averaged(run.trials())[: arguments.most]
    if len(trials) < 10:
        parser.error(f"{run.folder}: found {len(trials)} finished architectures, allowed: at least 10")
    train = load_data(run.record.training.data, run.record.space.input).with_validation().train
    batch = train.take(torch.from_numpy(np.random.default_rng(0).permutation(len(train))[: arguments.images]))
    accuracy = np.array([trial.accuracy for trial in trials])
    known = np.array([[trial.cost.flops, trial.cost.params] for trial in trials], dtype=float).T
    print(
        f"{run.record.space.name}: {len(trials)} architectures, accuracy {accuracy.min():.2%} to {accuracy.max():.2%}"
    )
    print(f"by chance alone a correlation is within +-{1.96 / np.sqrt(len(trials) - 1):.2f} in 95 % of cases")
    print(f"{'signal':16s} {'correlation':>12s} {'beyond costs':>13s} {'seconds':>8s}")
    for name, values, seconds in signals(trials, batch):
        no_costs = np.empty((0, len(trials)))
        total, beyond = partial(values, accuracy, no_costs), partial(values, accuracy, known)
        print(f"{name:16s} {total:12.2f} {beyond:13.2f} {seconds:8.3f}", flush=True)


if __name__ == "__main__":
    main()
