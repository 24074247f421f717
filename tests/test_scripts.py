"""The benchmarks run, check what they claim to check, and refuse wrong arguments."""

import importlib
import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import senas
from senas.latency.measurement.session import measure_in_process
from senas.testing import SMALL_SPACE, run_in_process

SCRIPTS = Path(__file__).parent.parent / "scripts"


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run_here(monkeypatch, capsys, script: str, *arguments: str, **options) -> str:
    """What a script prints when it runs in this process, which has imported torch already; options are for `main`."""
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    importlib.import_module(script.removesuffix(".py")).main(**options)
    return capsys.readouterr().out


@pytest.mark.slow  # a script in a process of its own
def test_costs_are_faster_by_look_up_than_by_tracing():
    arguments = ("se-resnet-digits", "--one", "200", "--many", "20000", "--check", "3", "--json")
    done = run("benchmark_costs.py", *arguments)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["se-resnet-digits"]
    assert found["checked"] == 3
    assert found["vectorised_per_second"] > found["one_per_second"] > 100 * found["traced_per_second"]


def test_the_se_benchmark_compares_every_variant_at_every_shape(monkeypatch, capsys):
    lines = run_here(monkeypatch, capsys, "benchmark_se.py", "--batch", "1", "--seconds", "0.01", "--json")
    results = [json.loads(line) for line in lines.splitlines()]
    assert {(row["memory_format"], row["pass"]) for row in results} == {
        (layout, which) for layout in ("contiguous", "channels_last") for which in ("forward", "forward and backward")
    }
    for row in results:
        assert row["ratios"]["common"] == [1.0] * 4
        assert all(len(values) == 4 and min(values) > 0 for values in row["ratios"].values())
        assert "senas" in row["ratios"]


def test_what_se_adds_is_measured_on_whole_networks(monkeypatch, capsys, tmp_path):
    options = ("--network", "resnet20", "mobilenet_v3_large", "--seconds", "0.01", "--json")
    lines = run_here(monkeypatch, capsys, "benchmark_added_latency.py", *options)
    rows = [json.loads(line) for line in lines.splitlines()]
    (tmp_path / "rows.jsonl").write_text(lines)
    picture = tmp_path / "added.png"
    run_here(
        monkeypatch,
        capsys,
        "benchmark_added_latency.py",
        "--measured",
        f"{tmp_path}/rows.jsonl",
        "--plot",
        f"{picture}",
    )
    assert picture.stat().st_size > 5_000
    assert [row["network"] for row in rows] == ["resnet20", "mobilenet_v3_large"]
    for row in rows:
        assert row["added"]["se"] == pytest.approx(row["ms"]["se"] / row["ms"]["plain"] - 1)
    final = importlib.import_module("benchmark_added_latency").variants("resnet50")["se, but in the final stage"]
    assert {cell.stage for cell in final.cells if cell.se is not None} == {2, 3, 4}


def test_the_training_loop_is_held_against_a_bare_one(monkeypatch, capsys):
    options = ("--network", "resnet20:32:4", "--steps", "2", "--precision", "fp32", "bf16", "--seconds", "0", "--json")
    rows = [json.loads(line) for line in run_here(monkeypatch, capsys, "benchmark_training.py", *options).splitlines()]
    assert [row["precision"] for row in rows] == ["fp32", "bf16"]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["loop_images_per_second"] / row["bare_images_per_second"])
        assert row["epochs"] >= 3 and 0 < row["ratio"] < 10


@pytest.mark.slow  # trains and measures in processes of their own
def test_what_was_found_for_a_gpu_is_checked_step_by_step(tmp_path):
    """A rehearsal of one step, on the CPU; what fails or is refused is recorded, too."""
    found = run_shell("gpu_check.sh", str(tmp_path / "out"), "--rehearse", "--only", "environment")
    assert found.returncode == 0, found.stdout + found.stderr
    steps = [json.loads(line) for line in (tmp_path / "out" / "steps.jsonl").read_text().splitlines()]
    assert [(step["step"], step["status"]) for step in steps] == [("environment", 0)]
    described = json.loads((tmp_path / "out" / "environment.out").read_text())
    assert described["device"]["kind"] == "cpu"
    arguments = (str(tmp_path / "out"), str(tmp_path / "nowhere"), "none.npz")
    found = run_shell("gpu_verify.sh", *arguments, "--rehearse", "--only", "front")
    assert found.returncode == 1 and "nowhere/front.json: no such file or directory" in found.stdout
    assert json.loads((tmp_path / "out" / "steps.jsonl").read_text().splitlines()[-1])["status"] == 2
    assert run_shell("gpu_verify.sh", "out").returncode == 2


def run_shell(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(SCRIPTS / script), *arguments]
    environment = os.environ | {"PYTHON": sys.executable}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow  # measures a profile
def test_a_profile_made_by_one_script_is_held_against_measurements_by_another(tmp_path, monkeypatch, capsys):
    space = tmp_path / "tiny.toml"
    space.write_text(SMALL_SPACE)
    options = ("--seconds", "0.5", "--batch", "2", "--out", str(tmp_path / "new"))
    out = run_here(monkeypatch, capsys, "profile_device.py", str(space), *options, measure=measure_in_process)
    path = tmp_path / "new" / "tiny-cpu-eager-fp32-b2.json"
    assert out.startswith(f"{path}: ")
    assert [*path.parent.iterdir()] == [path]  # the checkpoint is gone
    options = ("--networks", "8", "--winners", "2", "--seconds", "0.3", "--space", str(space), "--json")
    validate = partial(run_here, monkeypatch, capsys, "validate_profile.py", str(path), *options)
    found = json.loads(validate(measure=measure_in_process))
    assert found["networks"] == 8
    assert 0 < found["mean_error"] <= found["worst_error"] < 1
    assert 0 < found["flops_linear"]["mean_error"] < 1
    assert found["winners"] == 2 >= found["broke_the_budget"] >= 0
    assert 0 <= found["coverage"] <= 1 >= found["coverage_drift_removed"] >= 0
    line = found.pop("flops_linear")  # as printed by a machine without fvcore
    (tmp_path / "measured.json").write_text(json.dumps(found))
    again = validate("--measured", str(tmp_path / "measured.json"))
    assert json.loads(again) == found | {"flops_linear": line}


@pytest.fixture
def table(tmp_path) -> str:
    """Of 4 ^ 4 networks whose accuracy rises with every choice, and their cost with the square of it."""
    choices = np.indices((4, 4, 4, 4)).reshape(4, -1).T
    accuracy = 70 + 2.0 * choices.sum(axis=1)
    observed = accuracy[:, None] + np.random.default_rng(0).normal(0, 0.5, (len(choices), 2))
    path = tmp_path / "table.npz"
    np.savez(path, choices=choices, observed=observed, accuracy=accuracy, cost=(choices**2).sum(axis=1), cost_unit="ms")
    return str(path)


@pytest.mark.slow  # a script in a process of its own
def test_strategies_are_compared_on_a_table(table, tmp_path):
    options = ("--strategy", "ehvi", "--strategy", "random", "--evaluations", "25", "--seeds", "2")
    done = run(
        "benchmark_search.py", table, *options, "--json", str(tmp_path / "r.json"), "--plot", str(tmp_path / "r.png")
    )
    assert done.returncode == 0, done.stderr
    ehvi, random = json.loads((tmp_path / "r.json").read_text())
    assert (ehvi["table"], ehvi["strategy"], random["strategy"]) == ("table", "ehvi", "random")
    for result in (ehvi, random):
        curves = np.array(result["curves"])
        assert curves.shape == (2, 25)
        assert (np.diff(curves) >= 0).all() and 0 < curves[:, -1].min() <= curves.max() <= 1
        assert result["at"]["20"][0] == pytest.approx(np.median(curves[:, 19]), abs=1e-5)
    assert ehvi["at"]["20"][0] > random["at"]["20"][0]
    assert (tmp_path / "r.png").stat().st_size > 5_000


@pytest.mark.slow  # a script in a process of its own
def test_claims_are_audited_on_a_table(table):
    done = run("benchmark_claims.py", table, "--strategy", "random", "--evaluations", "20", "--seeds", "2")
    assert done.returncode == 0, done.stderr
    found = dict(re.findall(r"^  (.+?) +(\d\.\d{3}) \+-", done.stdout, re.MULTILINE))
    assert 0.9 < float(found["claim by expected accuracies"]) < 1.1
    assert 0 < float(found["observed front, estimate"]) <= 1


@pytest.mark.slow  # trains ten networks
def test_signals_are_held_against_the_accuracies_of_a_run(tmp_path):
    space = tmp_path / "tiny.toml"
    space.write_text(SMALL_SPACE)
    evaluate = senas.TrainingEvaluator(data="digits", recipe=senas.Recipe(epochs=2))
    folder = tmp_path / "run"
    senas.search(
        senas.load_space(space),
        evaluate=evaluate,
        objective="flops",
        strategy="random",
        trials=10,
        out=folder,
        execute=run_in_process,
    )
    done = run("check_proxies.py", str(folder), "--images", "16")
    assert done.returncode == 0, done.stderr
    names = ("FLOPs", "parameters", "synflow", "naswot", "gradient norm", "epoch 1 of 2")
    rows = {name: re.search(rf"^{name} +(-?\d\.\d\d) +(-?\d\.\d\d) ", done.stdout, re.MULTILINE) for name in names}
    assert all(row and abs(float(row[1])) <= 1 >= abs(float(row[2])) for row in rows.values())
    done = run("check_proxies.py", str(folder), "--most", "5")
    assert done.returncode == 2 and "found 5 finished architectures, allowed: at least 10" in done.stderr


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("benchmark_costs.py", ("--check", "0"), "allowed: 1 <= check <= one <= many"),
        ("benchmark_costs.py", ("no-such-space",), "search space: found 'no-such-space'"),
        ("benchmark_se.py", ("--device", "tpu"), "invalid choice: 'tpu'"),
        ("benchmark_se.py", ("--batch", "0"), "--batch: found 0, allowed: at least 1"),
        ("benchmark_se.py", ("--mode", "graph"), "--mode: found graph on cpu, allowed: eager, compiled"),
        ("benchmark_added_latency.py", ("--dtype", "fp8"), "dtype on cpu: found 'fp8', did you mean"),
        ("benchmark_training.py", ("--precision", "fp8"), "precision: found 'fp8', did you mean"),
        ("benchmark_training.py", ("--network", "resnet20"), "--network: found resnet20, expected NAME:SIZE:BATCH"),
        ("measure_front.py", ("nowhere",), "nowhere/front.json: no such file or directory"),
        ("compare_trainings.py", ("resnet20+x", "--data", "digits"), "network: found resnet20+x, allowed: a run"),
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
        ("benchmark_startup.py", ("--repeats", "0"), "--repeats: found 0, allowed: at least 1"),
        ("benchmark_search.py", ("none.npz",), "none.npz: no such file or directory"),
        ("benchmark_search.py", (__file__,), "test_scripts.py: not an npz file of plain arrays"),
        ("benchmark_search.py", ("none.npz", "--strategy", "randon"), "invalid choice: 'randon'"),
        ("benchmark_claims.py", ("none.npz", "--evaluations", "1"), "--evaluations and --seeds: allowed: at least 5"),
        ("check_proxies.py", ("nowhere",), "nowhere: not a run folder"),
    ],
)
def test_wrong_arguments_are_refused_with_status_2(script, arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit) as caught:
        importlib.import_module(script.removesuffix(".py")).main()
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
