"""The command line in-process: what is printed, and wrong input in one line with status 2."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import formula_ms, formula_profile
from PIL import Image

import senas
from senas.analysis.summary import summarize_run
from senas.cli import main
from senas.runs.lock import run_lock
from senas.runs.run import Run
from senas.testing import SMALL_SPACE, run_in_process


@pytest.fixture
def cli(capsys, tmp_path, monkeypatch):
    """Run a command in an empty folder; returns (status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return run


@pytest.fixture
def tiny_file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(SMALL_SPACE)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "se-resnet-digit"), "search space: found 'se-resnet-digit', did you mean 'se-resnet-digits'?"),
        (("search", "none.toml"), "none.toml: no such file or directory"),
        (("search", "se-resnet-digits", "--latency-budget", "-3"), "--latency-budget: found '-3', expected a positive"),
        (("search", "se-resnet-digits", "--latency-budget", "5 bananas"), "--latency-budget: found '5 bananas'"),
        (("search", "se-resnet-digits", "--latency-budget", "0ms"), "--latency-budget: found '0ms'"),
        (("search", "se-resnet-digits", "--max-flops", "3ms"), "--max-flops: found '3ms', expected a positive count"),
        (("search", "se-resnet-digits", "--max-params", "nan"), "--max-params: found 'nan'"),
        (("search", "se-resnet-digits", "--time-budget", "2 weeks"), "--time-budget: found '2 weeks'"),
        (("search", "se-resnet-digits", "--data", "digit"), "data set: found 'digit', did you mean 'digits'?"),
        (("search", "se-resnet-digits", "--data", "npz:no.npz"), "no.npz: no such file or directory"),
        (("search", "se-resnet-cifar", "--data", "digits"), "found images (1, 8, 8), the network needs (3, 32, 32)"),
        (("search", "se-resnet-cifar", "--objective", "flops"), "(3, 32, 32); name a data set with --data"),
        (("search", "se-resnet-digits", "--classes", "0"), "classes: found 0, allowed: 1 to"),
        (("search", "se-resnet-digits", "--classes", "3"), "or --classes 10"),
        (("search", "se-resnet-digits", "--strategy", "tep"), "--strategy: found 'tep', did you mean 'tpe'?"),
        (("search", "se-resnet-digits", "--objective", "speed"), "--objective: found 'speed'"),
        (("search", "se-resnet-digits", "--trials", "0"), "--trials: found 0, allowed: 1 to 1000000000"),
        (("search", "se-resnet-digits", "--trials", "many"), "Invalid value for '--trials'"),
        (("search", "se-resnet-digits", "--profile", "none.json"), "none.json: no such file or directory"),
        (("search", "se-resnet-digits", "--elsewhere"), "--elsewhere: needs --profile FILE, the profile of another"),
        (("search", "se-resnet-digits", "--elsewhere", "--profile", "measure"), "--elsewhere: needs --profile FILE"),
        (("plot", "--profile", "se-resnet-cifar-cpu-eager-fp32"), "did you mean 'se-resnet-cifar-cpu-eager-fp32-b1'?"),
        (("plot", "--profile", "p.json", "--out", "there"), "--out: found there with --profile"),
        (("plot", "nowhere", "--space", "tiny.toml"), "--space: found tiny.toml with a run"),
        (("retrain", "a.json", "--pick", "best"), "--pick: found best beside a.json, which is one architecture"),
        (
            ("search", "se-resnet-digits", "--device", "tpu"),
            "--device: found 'tpu', did you mean 'cpu'? allowed: cpu, cuda",
        ),
        (("search", "se-resnet-digits", "--objective", "params", "--max-params", "10"), "the smallest achievable is"),
        (("search",), "Missing argument 'SPACE'"),
        (("serch", "se-resnet-digits"), "No such command 'serch'"),
        (("search", "se-resnet-digits", "--trails", "3"), "No such option: --trails"),
        (("search", "se-resnet-digits", "--objective", "params", "--seed", "-1"), "seed: found -1, allowed: 0 to"),
        (
            ("search", "se-resnet-digits", "--objective", "params", "--cpus-per-trial", "nan"),
            "--cpus-per-trial: found nan",
        ),
        (("search", "se-resnet-digits", "--max-params", ""), "--max-params: found ''"),
        (("search", "se-resnet-digits", "--objective", "params", "--address", "ray://x:1"), "a Ray Client address"),
        (("search", "se-resnet-digits", "--objective", "params", "--out", "x" * 300), "file name too long"),
        (("resume", "nowhere"), "nowhere: not a run folder, it has no journal.sqlite"),
        (("front", "nowhere"), "nowhere: not a run folder"),
        (("plot", "nowhere"), "nowhere: not a run folder"),
        (("retrain", "nowhere"), "nowhere: not a run folder"),
        (("retrain", "none.json"), "none.json: no such file or directory"),
        (("predict", "nowhere", "a.png"), "nowhere: no such folder, expected that of a retrained network"),
        (("export", "nowhere", "--format", "torch"), "nowhere: no such folder, expected that of a retrained network"),
        (("export", "nowhere", "--format", "onx"), "format: found 'onx', did you mean 'onnx'? allowed: onnx, torch"),
        (("export", ".", "--pick", "best"), "--pick: found best beside ., which is not a run"),
        (("predict", ".", "a.png"), ".: found no architecture.json, expected the folder of a retrained network"),
        (("predict", "nowhere"), "Missing argument 'IMAGE...'"),
        (("predict", "nowhere", "a.png", "--top", "0"), "--top: found 0, allowed: at least 1"),
        (("profile", "se-resnet-digits", "--device", "tpu"), "--device: found 'tpu'"),
        (("profile", "se-resnet-digits", "--dtype", "fp12"), "dtype on cpu: found 'fp12', did you mean 'fp32'?"),
        (("profile", "se-resnet-digits", "--batch", "0"), "batch: found 0, allowed: 1 to 4096"),
        (("profile", "se-resnet-digits", "--execution", "graph"), "execution on cpu: found 'graph'"),
        (("profile", "se-resnet-digits", "--share", "0"), "--share, --seconds: found 0 and 120"),
        (
            ("profile", "se-resnet-digits", "--batch", "1", "--batch", "2", "--out", "p.json"),
            "--out: found one file for 2",
        ),
        (
            ("profile", "se-resnet-digits", "--batch", "1", "--batch", "1"),
            "--batch: found 1, 1, allowed: each size once",
        ),
        (("search", "se-resnet-digits", "--confidence", "1"), "--confidence: found 1, allowed: 0.5 to 0.999"),
        (
            ("search", "se-resnet-digits", "--objective", "flops", "--batch", "2"),
            "--batch: needs a latency objective, a latency budget or a profile",
        ),
        (("plot",), "plot: found a run and --profile or neither, expected one of them"),
        (("plot", "--profile", "none.json"), "none.json: no such file or directory"),
        (("search", "se-resnet-digits", "--latency-budget", "70%", "--dtype", "fp12"), "dtype on cpu: found 'fp12'"),
        (("complexity", "vgg61"), "architecture: found 'vgg61', did you mean 'vgg16'?"),
        (("complexity", "se-resnet-cifar"), "found 'se-resnet-cifar', a search space, which holds many (senas spaces"),
        (("complexity", "vgg61", "--se", "r=16"), "architecture: found 'vgg61', did you mean 'vgg16'?"),
        (("complexity", "mine.toml"), "found 'mine.toml', a search space, which holds many"),
        (("complexity", "."), ".: found neither journal.sqlite, which a run has, nor architecture.json, which a"),
        (("complexity", "resnet20", "--pick", "3"), "--pick: found 3 beside resnet20, which is one architecture"),
        (("complexity", "a.json", "--se", "r=16"), "--se, --se-stages: found r=16 beside a.json, which has its own SE"),
        (("complexity", "resnet20", "--profile", "none.json"), "none.json: no such file or directory"),
        (
            ("complexity", "resnet50", "--profile", "se-resnet-cifar-cpu-eager-fp32-b1"),
            "mode.input: found 3x32x32, architecture 15f3160fa551d748 needs 3x224x224",
        ),
        (("complexity", "resnet20", "--se", "16"), "--se: found '16'"),
        (("complexity", "resnet20", "--se", "r=x"), "--se r: found 'x', expected whole numbers"),
        (("complexity", "resnet20", "--se", "r=64"), "SE reduction: found 64, allowed: at most its 16 channels"),
        (("complexity", "resnet20", "--se-stages", "2"), "--se-stages: needs --se"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(cli, arguments, message):
    status, out, err = cli(*arguments)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1 and "Traceback" not in err
    assert out == ""


def test_wrong_input_is_refused_without_importing_what_is_slow_to_import(tmp_path):
    """In a process of its own, in which importing any of it fails; `scripts/benchmark_startup.py` measures the time."""
    refused = [
        ("search", "se-resnet-digit"),
        ("search", "se-resnet-digits", "--strategy", "tep"),
        ("search", "se-resnet-digits", "--execution", "graph"),
        ("search", "se-resnet-digits", "--data", "digit"),
        ("search", "se-resnet-digits", "--data", "npz:nowhere.npz"),
        ("search", "se-resnet-cifar", "--data", "digits"),
        ("profile", "se-resnet-digits", "--dtype", "fp12"),
        ("complexity", "vgg61"),
        *((command, "nowhere") for command in ("front", "resume", "retrain")),
    ]
    code = f"""
import sys
for name in ("torch", "ray", "nni", "fvcore", "scipy", "matplotlib"):
    sys.modules[name] = None
from senas.cli import main
for arguments in {refused!r}:
    try:
        main(arguments)
    except SystemExit as ended:
        print(ended.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.split() == ["2"] * len(refused), done.stderr


@pytest.mark.slow  # measures the anchors of a profile again, in processes that import torch
def test_an_impossible_latency_budget_ends_at_once(cli, tiny, tiny_file, tmp_path):
    formula_profile(tiny).save(tmp_path / "p.json")
    status, _, err = cli("search", tiny_file, "--profile", tmp_path / "p.json", "--latency-budget", "1us")
    assert status == 2
    assert re.search(r"the smallest achievable is 0\.\d+ ms by architecture [0-9a-f]{16} \(3 cells, SE 2\[-\]", err)
    assert re.search(r"of which (stage \d|the \w+) takes \d+%", err)
    status, _, err = cli("search", tiny_file, "--profile", tmp_path / "p.json", "--batch", "32")
    assert status == 2 and "mode.batch: found 1, the search needs 32" in err
    status, _, err = cli("search", tiny_file, "--profile", tmp_path / "p.json", "--confidence", "0.99")
    assert status == 2 and "confidence: found 0.99, allowed with 19 networks: above 0, up to 0.95" in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow  # starts processes that import torch
def test_from_search_to_weights(cli, tiny, tiny_file, tmp_path, ray_local):
    formula_profile(tiny).save(tmp_path / "p.json")
    status, out, err = cli(
        "search", tiny_file, "--profile", tmp_path / "p.json", "--latency-budget", "80%", "--trials", 3, "--epochs", 1,
    )  # fmt: skip
    assert status == 0, err
    assert "3/3: trial " in err and "80% of the largest in the space, kept by the 95 % bound" in err
    assert re.search(r"the machine takes \d\.\d{3} times as long as when the profile was made", err)
    assert (
        "Pareto front" in out
        and "measured again: " in out
        and "within the budget of" in out
        and "times as long as at the start" in out
    )
    assert out.splitlines()[-1] == "next: senas retrain runs/tiny-1"
    run = Run("runs/tiny-1")
    assert all((run.folder / f"pareto.{ending}").stat().st_size > 5_000 for ending in ("png", "svg", "html"))

    status, out, _ = cli("front", run.folder, "--json")
    assert [row["digest"] for row in json.loads(out)] == [t.digest for t in run.front()]
    status, out, _ = cli("front", run.folder)
    assert all(t.architecture.describe_se() in out for t in run.front())
    status, out, err = cli("retrain", run.folder, "--epochs", 2)
    assert status == 0 and "epoch 2/2" in err
    cost = run.front()[0].cost
    assert f"latency predicted {cost.latency_ms:.3f} ms, 95 % bound {cost.upper_ms:.3f} ms: one forward pass on" in out
    assert re.search(r"latency measured \d+\.\d{3} ms \(median\), \d+\.\d{3} ms \(95th percentile\).*, 1 thread\n", out)
    folder = run.folder / "retrain" / run.front()[0].digest
    assert float(out.split("test accuracy ")[1].split("%")[0]) == pytest.approx(
        100 * json.loads((folder / "result.json").read_text())["test_accuracy"], abs=0.01
    )
    network = senas.load_network(folder)
    data = senas.load_data("digits", network.input)
    assert network.description is not None
    told, found = network.description.accuracy, network(data.test.images).argmax(1) == data.test.labels
    assert told == float(found.double().mean()) == json.loads((folder / "result.json").read_text())["test_accuracy"]
    image, expected = data.test.images[0], network.predict(data.test.images[0])
    Image.fromarray(image[0].numpy()).save("digit.png")
    status, out, _ = cli("predict", folder, "digit.png", "--json")
    assert status == 0 and json.loads(out) == {"digit.png": pytest.approx(expected)}
    status, out, _ = cli("predict", folder, "digit.png", "--top", 1)
    best = next(iter(expected))
    assert (status, out) == (0, f"digit.png: {best} {expected[best]:.1%}\n")
    status, out, err = cli("predict", folder, "none.png")
    assert (status, out) == (2, "") and "none.png: no such file or directory" in err
    status, _, err = cli("retrain", run.folder, "--epochs", 3)
    assert status == 2 and "holds a retraining with epochs 2, found 3" in err
    status, _, err = cli("search", tiny_file, "--profile", tmp_path / "p.json", "--out", run.folder)
    assert status == 2 and "holds a run already; resume it (senas resume runs/tiny-1)" in err
    status, out, _ = cli("resume", run.folder, "--trials", 4)
    assert status == 0 and len(run.trials()) == 4
    status, _, err = cli("resume", run.folder, "--trials", 3)
    assert status == 2 and "trials: found 3, allowed: at least the 4 that have ended" in err
    with run_lock(run.folder):
        status, _, err = cli("resume", run.folder, "--trials", 5)
    assert status == 2 and "another process is searching here" in err
    (folder / "weights.safetensors").unlink()  # of what was best before the fourth trial
    status, _, err = cli("retrain", run.folder, "--epochs", 2, "--pick", folder.name)
    assert status == 0 and (folder / "weights.safetensors").exists()


def test_a_data_set_is_described(cli, tmp_path):
    images, labels = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8), np.array([0, 1, 0, 1, 0, 0])
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images[:2], y_test=labels[:2])
    status, out, _ = cli("data", "npz:a.npz")
    assert status == 0
    assert "│ total │     6 │    2 │" in out and "width x height: 8 x 8" in out
    assert "warning: 2 images of test are in train as well: train 0 = test 0; train 1 = test 1" in out
    status, out, _ = cli("data", "npz:a.npz", "--json")
    assert json.loads(out)["counts"] == {"train": [4, 2], "test": [1, 1]}
    status, _, err = cli("data", "imagefolder:nowhere")
    assert status == 2 and "found 'imagefolder:nowhere', which is not a folder" in err


def test_the_page_escapes_what_it_shows(tiny, tiny_file, tmp_path):
    tiny_file.write_text(SMALL_SPACE.replace('name = "tiny"', 'name = "<script>alert(1)</script>"'))
    space = senas.load_space(tiny_file)
    run = senas.search(space, evaluate=lambda *_: 0.5, objective="flops", trials=2, out=tmp_path / "run",
                       execute=run_in_process)  # fmt: skip
    from senas.report.figure import plot_run

    plot_run(run, summarize_run(run))
    assert "<script>alert(1)" not in (run.folder / "pareto.html").read_text()


def test_spaces_and_complexity_print_exact_numbers(cli):
    _, out, _ = cli("spaces")
    assert f"{senas.load_space('se-resnet-cifar').size:,}" in out
    _, out, _ = cli("complexity", "resnet20", "--se", "r=16")
    assert "40,643,168" in out and "272,095" in out
    _, out, _ = cli("complexity", "resnet20", "--se", "r=16,integration=pre,squeeze=max,bias=false", "--json")
    found = json.loads(out)
    assert found["flops"] == sum(part["flops"] for part in found["parts"])
    assert found["params"] == sum(part["params"] for part in found["parts"])
    for place in ("flops", "params"):
        plain = getattr(senas.complexity(senas.reference("resnet20")), place)
        assert found[place] - found[f"se_{place}"] == plain
    first = found["parts"][1]
    assert (first["stage"], first["kind"], first["input"], first["output"]) == (2, "basic", [16, 32, 32], [16, 32, 32])
    _, out, _ = cli("complexity", "resnet50", "--se", "r=16", "--se-stages", "5")
    assert "stage 5: bottleneck" in out
    assert "2048x7x7" in out


def test_complexity_with_a_profile_shows_latency_and_its_json_is_an_architecture(cli, tiny, tmp_path):
    profile, arch = formula_profile(tiny), tiny.costliest(formula_ms)
    profile.save(tmp_path / "p.json")
    (tmp_path / "retrained").mkdir()
    arch.save(tmp_path / "retrained" / "architecture.json")
    status, out, _ = cli("complexity", "retrained", "--profile", "p.json")
    predicted = profile.predict(arch)
    assert status == 0
    assert f"predicted {predicted.latency_ms:.3f} ms, of which SE " in out
    assert f"95 % bound {predicted.upper_ms:.3f} ms" in out
    assert "batch 1, 1 thread, a formula" in out and "SE ms" in out
    _, out, _ = cli("complexity", "retrained", "--profile", "p.json", "--json")
    (tmp_path / "c.json").write_text(out)
    assert senas.Architecture.load("c.json") == arch
    _, again, _ = cli("complexity", "c.json", "--profile", "p.json", "--json")
    assert again == out


def test_complexity_of_a_run_takes_its_profile_and_a_trial(cli, tiny, tmp_path):
    profile = formula_profile(tiny)
    run = senas.search(tiny, evaluate=lambda *_: 0.5, objective="latency", profile=profile, trials=2,
                       out=tmp_path / "run", execute=run_in_process, strategy="random")  # fmt: skip
    picked = run.trials()[1]
    status, out, _ = cli("complexity", "run", "--pick", "2")
    assert status == 0 and f"architecture {picked.digest}" in out
    assert f"predicted {picked.cost.latency_ms:.3f} ms" in out
    status, out, _ = cli("front", "run")
    assert status == 0 and "expected accuracy, on front and the comparison with random search need 5 finished" in out
    assert f"ms: one forward pass on {profile.device.name}" in out


def test_what_se_costs_is_drawn_for_profiles_of_one_space(cli, tiny, tiny_file, tmp_path):
    profile = formula_profile(tiny)
    profile.save(tmp_path / "p.json")
    replace(profile, mode=replace(profile.mode, batch=32)).save(tmp_path / "p32.json")
    replace(profile, mode=replace(profile.mode, dtype="bf16")).save(tmp_path / "bf16.json")
    status, out, _ = cli("plot", "--profile", "p.json", "--profile", "p32.json", "--space", tiny_file)
    assert status == 0
    assert out.splitlines() == ["p-se.png", "p-se.svg"]
    drawn = (tmp_path / "p-se.svg").read_text()
    assert all(word in drawn for word in ("batch 1", "batch 32", "stage 2", "stage 4", "latency, pre", "FLOPs"))
    status, _, err = cli("plot", "--profile", "p.json", "--profile", "bf16.json", "--space", tiny_file)
    assert status == 2 and "bf16.json: device and mode: found others than in p.json" in err
    status, _, err = cli("plot", "--profile", "p.json", "--profile", "p.json", "--space", tiny_file)
    assert status == 2 and "mode.batch: found the same in two profiles" in err
    status, _, err = cli("plot", "--profile", "p.json")
    assert status == 2 and "search space: found 'tiny'" in err
    status, _, err = cli("plot", "--profile", "p.json", "--space", "se-resnet-digits")
    assert status == 2 and "space.digest: found" in err
