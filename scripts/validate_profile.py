"""Hold a latency profile against fresh measurements: networks that no fit has seen, and winners of budgets.

As a search does, it measures the profile's anchors again first, and predicts with the drift that they show. Then
networks are measured in sittings like those that made the profile, each in two or more: their mean, the drift of each
sitting taken out, counts as the latency that is compared; their difference is the noise floor. `coverage` is the share
of single measurements, as they are, within the 95 % bound; `coverage_drift_removed` is the same without the drift since
the start, which a machine of one's own would not have. `--winners` also picks, for as many budgets, the network with
the most FLOPs among many whose bound keeps it, measures those, and counts in the same two ways.

    python scripts/validate_profile.py profiles/se-resnet-cifar-cpu-eager-fp32-b1.json --networks 60 --winners 20
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import mean

import numpy as np

import senas
from senas.latency.calibration import Drift
from senas.latency.model import LatencyModel
from senas.latency.plan import networks_seen
from senas.latency.sitting import drift_of, recheck, sit_with
from senas.latency.validation import repeat_error, validate

_TOGETHER = 25  # networks in a sitting, about as many as when a profile is made
_CANDIDATES = 100_000


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """One network in one sitting.

    Attributes:
        now_ms: as measured.
        then_ms: with the drift of the sitting taken out.
    """

    now_ms: float
    then_ms: float


def measure(
    profile: senas.LatencyProfile, archs: Sequence[senas.Architecture], *, repeats: int, seconds: float, seed: int
) -> dict[str, list[Fresh]]:
    """Measure each network in several sittings, with other networks each time; by digest."""
    found: dict[str, list[Fresh]] = {arch.digest: [] for arch in archs}
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(len(archs))
        for number, group in enumerate(np.array_split(order, max(1, round(len(archs) / _TOGETHER)))):
            members = [archs[i] for i in group]
            sitting = sit_with(profile, members, seconds=seconds, seed=seed + 100 * repeat + number)
            drift = drift_of(profile.anchors, sitting.anchors)
            for arch in members:
                now = sitting.networks[arch.digest].estimate_ms
                then = drift.then(now, profile.network_load(arch).operations)
                found[arch.digest].append(Fresh(now_ms=now, then_ms=then))
    return found


def flops_of() -> Callable[[senas.Architecture], float] | None:
    """FLOPs, where fvcore is installed to count them."""
    try:
        from senas.costs.complexity import complexity
    except ImportError:
        return None
    return lambda arch: complexity(arch).flops


def against_networks(
    profile: senas.LatencyProfile, space: senas.SearchSpace, *, networks: int, repeats: int, seconds: float, seed: int
) -> dict[str, object]:
    """Predictions against fresh random networks."""
    seen = {arch.digest for arch in networks_seen(space, profile.protocol.seed)}
    if space.size < len(seen) + networks:
        raise senas.SenasError(f"networks: found {networks}, allowed: at most {space.size - len(seen)} that are unseen")
    rng = np.random.default_rng([seed, 1])
    archs: dict[str, senas.Architecture] = {}
    while len(archs) < networks:
        arch = space.random(rng)
        if arch.digest not in seen:
            archs[arch.digest] = arch
    chosen = list(archs.values())
    fresh = measure(profile, chosen, repeats=repeats, seconds=seconds, seed=seed)
    base = profile.drifted(Drift())
    predictions = [base.predict(arch) for arch in chosen]
    tied = [profile.predict(arch) for arch in chosen]
    times = [[each.then_ms for each in fresh[arch.digest]] for arch in chosen]
    measured = [mean(single) for single in times]
    noise = repeat_error(times)
    found: dict[str, object] = asdict(
        validate([latency.latency_ms for latency in predictions], measured, repeat_error=noise)
    )
    found["coverage"] = share(
        (each.now_ms, latency.upper_ms)
        for arch, latency in zip(chosen, tied, strict=True)
        for each in fresh[arch.digest]
    )
    found["coverage_drift_removed"] = share(
        (then, latency.upper_ms) for single, latency in zip(times, predictions, strict=True) for then in single
    )
    drifts = [each.now_ms / each.then_ms for singles in fresh.values() for each in singles]
    before = [latency.latency_ms / plain.latency_ms for latency, plain in zip(tied, predictions, strict=True)]
    found["drift_at_the_start"], found["drift_later"] = float(np.median(before)), float(np.median(drifts))
    flops = flops_of()
    if flops is not None:
        columns = np.array([(1.0, flops(arch)) for arch in chosen])  # (n, 2)
        truth = np.array(measured)
        fit, *_ = np.linalg.lstsq(columns / truth[:, None], np.ones(len(truth)), rcond=None)
        # Fitted on what it is judged by: at its best.
        linear = validate((columns @ fit).tolist(), measured, repeat_error=noise)
        found["flops_linear"] = {"mean_error": linear.mean_error, "spearman": linear.spearman}
    return found


def against_budgets(
    profile: senas.LatencyProfile, space: senas.SearchSpace, *, winners: int, repeats: int, seconds: float, seed: int
) -> dict[str, object]:
    """Winners of budgets from the least to the largest latency of the space, measured afresh."""
    rows = space.random_indices(np.random.default_rng([seed, 2]), _CANDIDATES)
    latency, upper = LatencyModel(space, profile).latencies(rows)
    flops = flops_of()
    size = latency if flops is None else senas.CostModel(space).complexities(rows)[0]
    low, high = np.quantile(upper, (0.02, 0.98))
    budgets = np.linspace(low, high, winners)
    picked = []
    for budget in budgets:
        fits = np.flatnonzero(upper <= budget)
        picked.append(space.architecture(space.sample_at(rows[fits[np.argmax(size[fits])]])))
    distinct = list({arch.digest: arch for arch in picked}.values())
    found = measure(profile, distinct, repeats=repeats, seconds=seconds, seed=seed + 5000)
    broken, without_drift = 0, 0
    for arch, budget in zip(picked, budgets, strict=True):
        operations = profile.network_load(arch).operations
        then = mean(each.then_ms for each in found[arch.digest])
        broken += mean(each.now_ms for each in found[arch.digest]) > budget
        without_drift += profile.calibration.drift.now(then, operations) > budget
    return {"winners": winners, "broke_the_budget": int(broken), "broke_it_drift_removed": int(without_drift)}


def share(pairs) -> float:
    """How many of the first are at most the second."""
    kept = [value <= bound for value, bound in pairs]
    return sum(kept) / len(kept)


def show(found: dict[str, object]) -> None:
    """Print as lines of name and figure."""
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{name}: " + ", ".join(f"{key} {item:.4f}" for key, item in value.items()))
        else:
            print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile", help="a JSON file")
    parser.add_argument("--space", help="a shipped space or a TOML file; the profile's space by its name otherwise")
    parser.add_argument("--networks", type=int, default=60, help="fresh random networks")
    parser.add_argument("--winners", type=int, default=0, help="budgets whose largest network is measured")
    parser.add_argument("--repeats", type=int, default=2, help="sittings that each network is measured in")
    parser.add_argument("--seconds", type=float, default=7.5, help="limit of a sitting")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if arguments.networks < 2 or arguments.winners < 0 or arguments.repeats < 2 or not arguments.seconds > 0:
        parser.error("--networks, --winners, --repeats, --seconds: allowed: at least 2, 0, 2, more than 0")
    try:
        profile = senas.LatencyProfile.load(arguments.profile)
        space = senas.load_space(arguments.space or profile.space.name)
        profile.require(space, profile.device.kind)
        profile = recheck(profile, seconds=arguments.seconds)
        options = {"repeats": arguments.repeats, "seconds": arguments.seconds, "seed": arguments.seed}
        found = against_networks(profile, space, networks=arguments.networks, **options)
        if arguments.winners:
            profile = recheck(profile, seconds=arguments.seconds)
            found |= against_budgets(profile, space, winners=arguments.winners, **options)
    except senas.SenasError as error:
        parser.error(str(error))
    if arguments.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
