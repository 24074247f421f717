"""Fresh measurement of the front of a run, on the machine of its profile, which may be another than that of the search.

Of the run only `front.json`, `run.json`, `profile.json` and the architectures are read, so that the machine needs torch
and numpy alone.

The anchors of the profile are measured first, as at the start of a search, to adjust the predictions to the machine's
speed. Each network of the front is then measured in two or more measurement sessions. The script prints for each the
prediction, its 95 % bound and the measured latency, and how many kept the bound and the budget of the search.

    python scripts/measure_front.py runs/se-resnet-cifar-1
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for a checkout that is not installed

import senas
from senas.io import read_json, read_plain
from senas.latency import drift_of, recheck, run_profile_session
from senas.runs.config import RunRecord


def read_front(folder: Path) -> list[tuple[senas.Architecture, float]]:
    """Return architecture and accuracy of each network of a run's front.

    Raises:
        SenasError: Not a run, or one without a front.
    """
    rows = read_plain(folder / "front.json")
    if not isinstance(rows, list) or not rows:
        raise senas.SenasError(f"{folder}: found no front, expected at least one trial that has finished")
    return [(senas.Architecture.load(folder / "architectures" / f"{r['digest']}.json"), r["accuracy"]) for r in rows]


def measure(folder: Path, *, repeats: int, seconds: float) -> dict[str, object]:
    """Return the figures by name, with a row for each network of the front."""
    front, record = read_front(folder), read_json(folder / "run.json", RunRecord)
    profile = senas.LatencyProfile.load(folder / "profile.json")
    profile.require(record.space, profile.device.kind)
    current = recheck(profile, seconds=seconds)
    archs = [arch for arch, _ in front]
    sessions = [run_profile_session(profile, archs, seconds=seconds, seed=100 + number) for number in range(repeats)]
    budget = record.options.budget.latency_ms
    rows = []
    for arch, accuracy in front:
        measured_ms = mean(session.networks[arch.digest].estimate_ms for session in sessions)
        predicted, at_profile = current.predict(arch), profile.predict(arch)
        rows.append(
            {
                "digest": arch.digest,
                "accuracy": accuracy,
                "predicted_ms": predicted.latency_ms,
                "upper_ms": predicted.upper_ms,
                "searched_upper_ms": at_profile.upper_ms,
                "measured_ms": measured_ms,
                "within_bound": measured_ms <= predicted.upper_ms,
                "within_budget": None if budget is None else measured_ms <= budget,
            }
        )
    drifts = [drift_of(profile.anchors, session.anchors).factor for session in sessions]
    return {
        "device": profile.device.name,
        "budget_ms": budget,
        "networks": len(rows),
        "within_bound": sum(row["within_bound"] for row in rows),
        "within_budget": None if budget is None else sum(bool(row["within_budget"]) for row in rows),
        "mean_error": mean(abs(row["predicted_ms"] / row["measured_ms"] - 1) for row in rows),
        "drift_at_the_start": current.calibration.drift.factor,
        "drift_later": mean(drifts),
        "rows": rows,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="Folder of the run.")
    parser.add_argument("--repeats", type=int, default=2, help="Number of sessions in which each network is measured.")
    parser.add_argument("--seconds", type=float, default=6.0, help="Time limit of a session.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    arguments = parser.parse_args()
    if arguments.repeats < 1 or not arguments.seconds > 0:
        parser.error("--repeats, --seconds: allowed: at least 1, more than 0")
    try:
        found = measure(arguments.run, repeats=arguments.repeats, seconds=arguments.seconds)
    except senas.SenasError as error:
        parser.error(str(error))
    if arguments.json:
        print(json.dumps(found))
        return
    rows = found["rows"]
    assert isinstance(rows, list)
    for row in rows:
        print(
            f"{row['digest']}: predicted {row['predicted_ms']:.4f} ms, at most {row['upper_ms']:.4f}, measured "
            f"{row['measured_ms']:.4f}"
        )
    budget = (
        "" if found["budget_ms"] is None else f", {found['within_budget']} its budget of {found['budget_ms']:.4f} ms"
    )
    print(f"of {found['networks']} networks, {found['within_bound']} kept their bound{budget}, on {found['device']}")


if __name__ == "__main__":
    main()
