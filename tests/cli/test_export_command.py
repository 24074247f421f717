"""`senas export`: the network of a folder or of a run, and lines that run the file without senas."""

import json

import pytest
import torch
from PIL import Image
from test_cli import cli  # noqa: F401  # a fixture

import senas
from senas.architecture.network import Architecture
from senas.testing import run_in_process


def random_accuracy(arch: Architecture, seed: int, report) -> float:
    return int(arch.digest, 16) % 100 / 100


@pytest.fixture
def run(tiny, cli):  # noqa: F811  # after `cli` has changed to the empty folder
    return senas.search(
        tiny, evaluate=random_accuracy, objective="params", trials=2, strategy="random", execute=run_in_process,
        out="runs/x",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["onnx", "torch"])
def test_a_network_of_a_run_is_exported_and_the_printed_lines_run_it(cli, run, name):  # noqa: F811
    pytest.importorskip("onnxruntime")
    trial = run.pick("best")
    status, out, err = cli("export", "runs/x", "--pick", trial.number, "--format", name)
    assert (status, out) == (2, "")
    assert f"found no network.json, expected a retrained network: senas retrain runs/x --pick {trial.number}" in err
    folder = run.folder / "retrain" / trial.digest
    data = senas.load_data("digits", trial.architecture.input)
    result = senas.retrain(trial.architecture, data=data, recipe=senas.Recipe(epochs=1), out=folder)
    status, out, err = cli("export", "runs/x", "--format", name)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    path = folder / {"onnx": "network.onnx", "torch": "network.pt2"}[name]
    assert lines[0].startswith("checked in ") and lines[0].endswith(" on 359 test images of digits")
    assert lines[2] == "equal predictions 100.00%"
    assert lines[3] == f"accuracy {result.test_accuracy:.2%} in PyTorch, {result.test_accuracy:.2%} in the file"
    assert lines[4] == str(path) and path.exists()
    Image.fromarray(data.test.images[0, 0].numpy()).save("photo.jpg", quality=95)
    ran: dict = {}
    exec("\n".join(lines[-5:]), ran)
    expected = senas.load_network(folder).predict("photo.jpg")
    assert torch.as_tensor(ran["logits"]).softmax(1).max().item() == pytest.approx(max(expected.values()), rel=1e-4)
    assert cli("export", folder, "--format", name, "--out", "elsewhere")[0] == 0  # the folder itself
    assert json.loads((folder / "network.json").read_text())["digest"] == trial.digest
