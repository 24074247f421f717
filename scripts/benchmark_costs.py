"""Speed of counting FLOPs and parameters: by look-up, one sample at a time and vectorised, and by fvcore's tracing.

Everything runs on one core in one process. The script also checks that the counts are equal: both kinds of look-up with
each other on every single sample, and with fvcore's count of the whole network on `--check` random architectures.

    python scripts/benchmark_costs.py se-resnet-imagenet
"""

import argparse
import json
import os
import time

os.environ["OMP_NUM_THREADS"] = "1"  # torch and numpy read it on import

import numpy as np

import senas
from senas.costs import Complexity, CostModel, complexity, count_module


def figures(space: senas.SearchSpace, *, one: int, many: int, check: int, seed: int) -> dict[str, float]:
    """Return architectures per second: the best of five repetitions of look-ups, the mean of the traced networks.

    Args:
        space: Space to sample from.
        one: Number of samples that are looked up one at a time.
        many: Number of samples that are looked up vectorised.
        check: Number of architectures that fvcore traces.
        seed: Random seed of the samples.

    Raises:
        AssertionError: Two counts of one architecture differ.
    """
    rng = np.random.default_rng(seed)
    start = time.perf_counter()
    model = CostModel(space)
    table_seconds = time.perf_counter() - start

    rows = space.random_indices(rng, many)
    samples = [space.sample_at(row) for row in rows[:one]]
    singly: list[Complexity] = []
    one_seconds, many_seconds = [], []
    for _ in range(5):
        start = time.perf_counter()
        singly = [model.complexity(sample) for sample in samples]
        one_seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        flops, params = model.complexities(rows)
        many_seconds.append(time.perf_counter() - start)
        assert [cost.flops for cost in singly] == flops[:one].tolist()
        assert [cost.params for cost in singly] == params[:one].tolist()

    traced_seconds = []
    for row, expected in zip(rows[:check], singly, strict=False):
        arch = space.architecture(space.sample_at(row))
        assert complexity(arch) == expected
        network = senas.build_network(arch)
        start = time.perf_counter()
        traced = count_module(network, arch.input.shape.batch(1))
        traced_seconds.append(time.perf_counter() - start)
        assert traced == expected, f"{arch.digest}: fvcore counts {traced}, the model {expected}"
    return {
        "parts": len(space.parts),
        "table_seconds": table_seconds,
        "one_per_second": one / min(one_seconds),
        "vectorised_per_second": many / min(many_seconds),
        "traced_per_second": len(traced_seconds) / sum(traced_seconds),
        "checked": len(traced_seconds),
    }


def main() -> None:
    """Print the figures of each space."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", nargs="*", default=["se-resnet-imagenet"], help="Shipped spaces or TOML files.")
    parser.add_argument("--one", type=int, default=20_000, help="Samples one at a time.")
    parser.add_argument("--many", type=int, default=500_000, help="Samples vectorised.")
    parser.add_argument("--check", type=int, default=15, help="Architectures of each space that fvcore traces.")
    parser.add_argument("--seed", type=int, default=0, help="Random seed of the samples.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    arguments = parser.parse_args()
    if not 1 <= arguments.check <= arguments.one <= arguments.many:
        parser.error("--check, --one, --many: allowed: 1 <= check <= one <= many")
    try:
        spaces = {name: senas.load_space(name) for name in arguments.space}
    except senas.SenasError as error:
        parser.error(str(error))
    results = {}
    for name, space in spaces.items():
        results[name] = row = figures(
            space,
            one=arguments.one,
            many=arguments.many,
            check=arguments.check,
            seed=arguments.seed,
        )
        if not arguments.json:
            print(
                f"{name}: {row['parts']} parts counted in {row['table_seconds']:.1f} s; architectures per second:\n"
                f"{row['one_per_second']:14,.0f}  one sample at a time\n"
                f"{row['vectorised_per_second']:14,.0f}  vectorised\n"
                f"{row['traced_per_second']:14.2f}  fvcore on the whole network\n"
                f"look-up is {row['one_per_second'] / row['traced_per_second']:,.0f} times as fast as tracing, "
                f"vectorised {row['vectorised_per_second'] / row['traced_per_second']:,.0f} times; "
                f"equal on {row['checked']} of {row['checked']} traced networks",
                flush=True,
            )
    if arguments.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
