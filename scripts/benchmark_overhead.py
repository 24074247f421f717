"""Overhead of a trial beyond its training: time per trial of a search with a trivial evaluate function.

For comparison, plain Ray Tune with its own random search over the same choices runs in the same process. Start-up is
left out: the time is measured from the end of the tenth trial to the end of the last.

    python scripts/benchmark_overhead.py --trials 200 --concurrency 2
"""

import argparse
import json
import logging
import os
import tempfile
import time
from pathlib import Path

import senas
from senas.strategies import STRATEGIES, check_strategy

_SKIPPED = 10  # trials at the start that are not counted


def trivial(arch: senas.Architecture, seed: int, report: object) -> float:  # noqa: ARG001
    """Return an accuracy that depends on the seed alone."""
    return seed % 1000 / 1000


def through_senas(space: senas.SearchSpace, strategy: str, trials: int, concurrency: int) -> float:
    """Return milliseconds per trial of a whole `senas.search`."""
    ends: list[float] = []
    recorded = 0

    def on_progress(progress: object) -> None:
        nonlocal recorded
        ended = getattr(progress, "ended", 0)
        if ended > recorded:
            recorded = ended
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        senas.search(
            space,
            evaluate=trivial,
            out=Path(folder) / "run",
            strategy=strategy,
            trials=trials,
            concurrency=concurrency,
            on_progress=on_progress,
        )
    return _per_trial_ms(ends)


def through_ray_alone(space: senas.SearchSpace, trials: int, concurrency: int) -> float:
    """Return milliseconds per trial of Ray Tune's random search, with the same settings and a trivial trainable."""
    from ray import tune

    logging.getLogger("ray").setLevel(logging.CRITICAL)  # it would warn that there are no result files, as in a search
    ends: list[float] = []

    class Clock(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: list, trial: object, **info: object) -> None:  # noqa: ARG002
            ends.append(time.perf_counter())

    def trainable(config: dict[str, object]) -> None:
        tune.report({"accuracy": len(config) / 100})

    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            trainable,
            param_space={choice.label: tune.choice(list(range(len(choice.options)))) for choice in space.choices},
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=concurrency, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Clock()]),
        ).fit()
    return _per_trial_ms(ends)


def _per_trial_ms(ends: list[float]) -> float:
    return 1e3 * (ends[-1] - ends[_SKIPPED - 1]) / (len(ends) - _SKIPPED)


def main() -> None:
    """Print milliseconds per trial of every strategy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="se-resnet-digits", help="Shipped space or TOML file.")
    parser.add_argument("--trials", type=int, default=200, help="Number of trials.")
    parser.add_argument("--concurrency", type=int, default=2, help="Number of trials at a time.")
    parser.add_argument("--strategy", action="append", help="May be repeated; all by default.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    arguments = parser.parse_args()
    if arguments.trials <= _SKIPPED:
        parser.error(f"--trials: found {arguments.trials}, allowed: more than {_SKIPPED}")
    if arguments.concurrency < 1:
        parser.error(f"--concurrency: found {arguments.concurrency}, allowed: at least 1")
    strategies = arguments.strategy or list(STRATEGIES)
    try:
        space = senas.load_space(arguments.space)
        for name in strategies:
            check_strategy(name)
    except senas.SenasError as error:
        parser.error(str(error))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    import ray

    ray.init(address="local", num_cpus=arguments.concurrency, include_dashboard=False, log_to_driver=False)
    figures = {
        strategy: through_senas(space, strategy, arguments.trials, arguments.concurrency) for strategy in strategies
    }
    figures["Ray Tune alone, its own random search"] = through_ray_alone(space, arguments.trials, arguments.concurrency)
    ray.shutdown()
    if arguments.json:
        print(json.dumps(figures))
        return
    print(f"milliseconds per trial beyond start-up, {arguments.trials} trials, {arguments.concurrency} at a time")
    for name, value in figures.items():
        print(f"{value:8.1f}  {name}")


if __name__ == "__main__":
    main()
