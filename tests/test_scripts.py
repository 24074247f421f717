"""The benchmarks run, check what they claim to check, and refuse wrong arguments."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY_SPACE

SCRIPTS = Path(__file__).parent.parent / "scripts"


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_costs_are_faster_by_look_up_than_by_tracing():
    arguments = ("se-resnet-digits", "--one", "200", "--many", "20000", "--check", "3", "--json")
    done = run("benchmark_costs.py", *arguments)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["se-resnet-digits"]
    assert found["checked"] == 3
    assert found["vectorised_per_second"] > found["one_per_second"] > 100 * found["traced_per_second"]


def test_the_se_benchmark_compares_every_variant_at_every_shape():
    done = run("benchmark_se.py", "--batch", "1", "--seconds", "0.01", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert {(row["memory_format"], row["pass"]) for row in results} == {
        (layout, which) for layout in ("contiguous", "channels_last") for which in ("forward", "forward and backward")
    }
    for row in results:
        assert row["ratios"]["common"] == [1.0] * 4
        assert all(len(values) == 4 and min(values) > 0 for values in row["ratios"].values())
        assert "senas" in row["ratios"]


def test_a_profile_made_by_one_script_is_held_against_measurements_by_another(tmp_path):
    space = tmp_path / "tiny.toml"
    space.write_text(TINY_SPACE)
    made = run("profile_device.py", str(space), "--seconds", "0.5", "--batch", "2", "--out", str(tmp_path))
    assert made.returncode == 0, made.stderr
    path = tmp_path / "tiny-cpu-eager-fp32-b2.json"
    assert made.stdout.startswith(f"{path}: ")
    options = ("--networks", "8", "--winners", "2", "--seconds", "0.3", "--space", str(space), "--json")
    done = run("validate_profile.py", str(path), *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["networks"] == 8
    assert 0 < found["mean_error"] <= found["worst_error"] < 1
    assert 0 < found["flops_linear"]["mean_error"] < 1
    assert found["winners"] == 2 >= found["broke_the_budget"] >= 0
    assert 0 <= found["coverage"] <= 1 >= found["coverage_drift_removed"] >= 0


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("benchmark_costs.py", ("--check", "0"), "allowed: 1 <= check <= one <= many"),
        ("benchmark_costs.py", ("no-such-space",), "search space: found 'no-such-space'"),
        ("benchmark_se.py", ("--device", "tpu"), "invalid choice: 'tpu'"),
        ("benchmark_se.py", ("--batch", "0"), "--batch: found 0, allowed: at least 1"),
        ("validate_profile.py", ("none.json",), "none.json: no such file or directory"),
        (
            "validate_profile.py",
            ("none.json", "--networks", "1"),
            "--networks, --winners, --repeats, --seconds: allowed",
        ),
        ("profile_device.py", ("nope",), "search space: found 'nope'"),
        ("profile_device.py", ("se-resnet-digits", "--dtype", "fp7"), "dtype on cpu: found 'fp7'"),
        ("benchmark_overhead.py", ("--trials", "3"), "allowed: more than 10"),
        ("benchmark_overhead.py", ("--strategy", "randon"), "did you mean 'random'?"),
        ("benchmark_overhead.py", ("--space", "nope"), "search space: found 'nope'"),
    ],
)
def test_wrong_arguments_are_refused_with_status_2(script, arguments, message):
    done = run(script, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
