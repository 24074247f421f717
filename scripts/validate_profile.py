"""Validation of a latency profile by new measurements of networks not used in any fit and of winners of budgets.

Like a search, the script first measures the profile's anchors again and predicts with the drift that they show. It then
measures networks in measurement sessions like those of the profile, each network in two or more. The mean over the
sessions, with the drift of each removed, is compared with the prediction; the difference between the sessions is the
noise floor. `coverage` is the share of single measurements, unchanged, within the 95 % bound. `coverage_drift_removed`
is the same without the drift since the start, which a machine that nobody else uses would not have. `--winners N` also
takes, for each of N budgets, the network with the most FLOPs among many whose bound is within the budget, measures
these networks, and counts violations in the same two ways.

FLOPs alone, as a straight line fitted to the same networks, are judged beside the prediction. Where fvcore is not
installed, as on a device that only has torch, the measurements are kept with `--json` and FLOPs added elsewhere:

    python scripts/validate_profile.py profiles/se-resnet-cifar-cpu-eager-fp32-b1.json --networks 60 --winners 20
    python scripts/validate_profile.py gpu.json --json > measured.json
    python scripts/validate_profile.py gpu.json --measured measured.json
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for a checkout that is not installed

import numpy as np

import senas
from senas.io import from_plain, read_plain
from senas.latency import (
    Drift,
    LatencyModel,
    MeasureNetworks,
    drift_of,
    measure_in_subprocess,
    networks_seen,
    recheck,
    repeat_error,
    run_profile_session,
    validate,
)

_NETWORKS_PER_SESSION = 25  # about as many as in a session of a profile
_CANDIDATES = 100_000  # random architectures among which the winners of budgets are chosen


@dataclass(frozen=True, kw_only=True)
class NetworkLatency:
    """Latency of one network in one measurement session.

    Attributes:
        current_ms: Latency as measured.
        at_profile_ms: Latency with the drift of the session removed.
    """

    current_ms: float
    at_profile_ms: float


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """Settings of the measurement sessions.

    Attributes:
        repeats: Number of sessions in which each network is measured.
        seconds: Time limit of a session.
        seed: Random seed for networks and order.
        measure: Function that measures the networks of a session.
    """

    repeats: int
    seconds: float
    seed: int
    measure: MeasureNetworks


def measured_in(
    sessions: Sessions, profile: senas.LatencyProfile, archs: Sequence[senas.Architecture], *, seed: int
) -> dict[str, list[NetworkLatency]]:
    """Measure each network in several sessions, with other networks each time; return the measurements by digest."""
    found: dict[str, list[NetworkLatency]] = {arch.digest: [] for arch in archs}
    for repeat in range(sessions.repeats):
        order = np.random.default_rng([seed, repeat]).permutation(len(archs))
        for number, group in enumerate(np.array_split(order, max(1, round(len(archs) / _NETWORKS_PER_SESSION)))):
            members = [archs[i] for i in group]
            session = run_profile_session(
                profile,
                members,
                seconds=sessions.seconds,
                seed=seed + 100 * repeat + number,
                measure=sessions.measure,
            )
            drift = drift_of(profile.anchors, session.anchors)
            for arch in members:
                current_ms = session.networks[arch.digest].estimate_ms
                at_profile_ms = drift.at_profile_ms(current_ms, profile.network_features(arch).operations)
                found[arch.digest].append(NetworkLatency(current_ms=current_ms, at_profile_ms=at_profile_ms))
    return found


def flops_of() -> Callable[[senas.Architecture], float] | None:
    """Return a function that counts FLOPs; `None` if fvcore is not installed."""
    if find_spec("fvcore") is None:
        return None
    return lambda arch: senas.complexity(arch).flops


@dataclass(frozen=True, kw_only=True)
class NetworkRow:
    """Prediction and measurements of one network, as in the JSON that this script prints.

    Attributes:
        digest: Digest of the network.
        predicted_ms: Predicted latency, without drift.
        measured_ms: Mean of the measured latencies, with the drift of each session removed.
    """

    digest: str
    predicted_ms: float
    measured_ms: float


def fresh_networks(
    profile: senas.LatencyProfile, space: senas.SearchSpace, *, networks: int, seed: int
) -> list[senas.Architecture]:
    """Return random networks that the profile has not seen."""
    used = {arch.digest for arch in networks_seen(space, profile.protocol.seed)}
    if space.size < len(used) + networks:
        raise senas.SenasError(f"networks: found {networks}, allowed: at most {space.size - len(used)} not in a fit")
    rng = np.random.default_rng([seed, 1])
    archs: dict[str, senas.Architecture] = {}
    while len(archs) < networks:
        arch = space.random(rng)
        if arch.digest not in used:
            archs[arch.digest] = arch
    return list(archs.values())


def against_networks(
    sessions: Sessions, profile: senas.LatencyProfile, chosen: Sequence[senas.Architecture]
) -> dict[str, object]:
    """Compare predictions with new measurements of networks; return the figures by name."""
    measurements = measured_in(sessions, profile, chosen, seed=sessions.seed)
    without_drift = profile.drifted(Drift())
    predictions = [without_drift.predict(arch) for arch in chosen]
    current = [profile.predict(arch) for arch in chosen]
    times = [[each.at_profile_ms for each in measurements[arch.digest]] for arch in chosen]
    measured = [mean(single) for single in times]
    found: dict[str, object] = asdict(
        validate([latency.latency_ms for latency in predictions], measured, repeat_error=repeat_error(times))
    )
    found["coverage"] = share(
        (each.current_ms, latency.upper_ms)
        for arch, latency in zip(chosen, current, strict=True)
        for each in measurements[arch.digest]
    )
    found["coverage_drift_removed"] = share(
        (time_ms, latency.upper_ms) for single, latency in zip(times, predictions, strict=True) for time_ms in single
    )
    drifts = [each.current_ms / each.at_profile_ms for singles in measurements.values() for each in singles]
    drifts_at_start = [
        latency.latency_ms / plain.latency_ms for latency, plain in zip(current, predictions, strict=True)
    ]
    found["drift_at_the_start"], found["drift_later"] = float(np.median(drifts_at_start)), float(np.median(drifts))
    found["rows"] = [
        asdict(NetworkRow(digest=arch.digest, predicted_ms=latency.latency_ms, measured_ms=ms))
        for arch, latency, ms in zip(chosen, predictions, measured, strict=True)
    ]
    return found


def judge_flops(archs: Sequence[senas.Architecture], rows: Sequence[NetworkRow]) -> dict[str, float] | None:
    """Return how well FLOPs alone predict the measured latencies; `None` if fvcore is not installed.

    The straight line is fitted on the networks that it is judged by, so this is its best case.
    """
    flops = flops_of()
    if flops is None:
        return None
    if [arch.digest for arch in archs] != [row.digest for row in rows]:
        raise senas.SenasError("--measured: found other networks than those of --networks and --seed")
    columns = np.array([(1.0, flops(arch)) for arch in archs])  # (n, 2)
    targets = np.array([row.measured_ms for row in rows])
    fit, *_ = np.linalg.lstsq(columns / targets[:, None], np.ones(len(targets)), rcond=None)
    linear = validate((columns @ fit).tolist(), targets.tolist(), repeat_error=0.0)
    return {"mean_error": linear.mean_error, "spearman": linear.spearman}


def against_budgets(
    sessions: Sessions, profile: senas.LatencyProfile, space: senas.SearchSpace, *, winners: int
) -> dict[str, object]:
    """Measure winners of budgets across the latencies of the space; return how many exceed their budgets."""
    rows = space.random_indices(np.random.default_rng([sessions.seed, 2]), _CANDIDATES)
    latency, upper = LatencyModel(space, profile).latencies(rows)
    flops = flops_of()
    size = latency if flops is None else senas.CostModel(space).complexities(rows)[0]
    low, high = np.quantile(upper, (0.02, 0.98))
    budgets = np.linspace(low, high, winners)
    picked = []
    for budget in budgets:
        within = np.flatnonzero(upper <= budget)
        picked.append(space.architecture(space.sample_at(rows[within[np.argmax(size[within])]])))
    distinct = list({arch.digest: arch for arch in picked}.values())
    found = measured_in(sessions, profile, distinct, seed=sessions.seed + 5000)
    exceeded, exceeded_no_drift = 0, 0
    for arch, budget in zip(picked, budgets, strict=True):
        operations = profile.network_features(arch).operations
        at_profile_ms = mean(each.at_profile_ms for each in found[arch.digest])
        exceeded += mean(each.current_ms for each in found[arch.digest]) > budget
        exceeded_no_drift += profile.calibration.drift.current_ms(at_profile_ms, operations) > budget
    return {
        "winners": winners,
        "broke_the_budget": int(exceeded),
        "broke_it_drift_removed": int(exceeded_no_drift),
    }


def share(pairs: Iterable[tuple[float, float]]) -> float:
    """Return the share of pairs whose first value is at most the second."""
    kept = [value <= bound for value, bound in pairs]
    return sum(kept) / len(kept)


def _read_figures(path: Path) -> dict[str, object]:
    found = read_plain(path)
    if not isinstance(found, dict):
        raise senas.SenasError(f"{path}: found {type(found).__name__}, expected what --json printed")
    return found


def show(found: dict[str, object]) -> None:
    """Print each figure on a line with its name."""
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{name}: " + ", ".join(f"{key} {item:.4f}" for key, item in value.items()))
        elif name != "rows":
            print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")


def main(measure: MeasureNetworks = measure_in_subprocess) -> None:
    """Validate a profile and print the figures; `measure` measures the networks of a session."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile", help="JSON file of the profile.")
    parser.add_argument("--space", help="Shipped space or TOML file; by default the profile's space by its name.")
    parser.add_argument("--networks", type=int, default=60, help="Number of random networks.")
    parser.add_argument("--winners", type=int, default=0, help="Number of budgets whose largest network is measured.")
    parser.add_argument("--repeats", type=int, default=2, help="Number of sessions in which each network is measured.")
    parser.add_argument("--seconds", type=float, default=7.5, help="Time limit of a session.")
    parser.add_argument("--seed", type=int, default=1, help="Random seed for networks and order.")
    parser.add_argument("--measured", type=Path, help="JSON of an earlier run, to add FLOPs to; nothing is measured.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    arguments = parser.parse_args()
    if arguments.networks < 2 or arguments.winners < 0 or arguments.repeats < 2 or not arguments.seconds > 0:
        parser.error("--networks, --winners, --repeats, --seconds: allowed: at least 2, 0, 2, more than 0")
    try:
        profile = senas.LatencyProfile.load(arguments.profile)
        space = senas.load_space(arguments.space or profile.space.name)
        chosen = fresh_networks(profile, space, networks=arguments.networks, seed=arguments.seed)
        if arguments.measured:
            found = _read_figures(arguments.measured)
        else:
            profile.require(space, profile.device.kind)
            sessions = Sessions(
                repeats=arguments.repeats, seconds=arguments.seconds, seed=arguments.seed, measure=measure
            )
            profile = recheck(profile, seconds=sessions.seconds, measure=measure)
            found = against_networks(sessions, profile, chosen)
            if arguments.winners:
                profile = recheck(profile, seconds=sessions.seconds, measure=measure)
                found |= against_budgets(sessions, profile, space, winners=arguments.winners)
        rows = from_plain(tuple[NetworkRow, ...], found.get("rows"), "rows")
        if (line := judge_flops(chosen, rows)) is not None:
            found["flops_linear"] = line
    except senas.SenasError as error:
        parser.error(str(error))
    if arguments.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
