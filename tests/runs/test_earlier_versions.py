"""Files that version 0.1 wrote before its modules were moved: still read, drawn, retrained and resumed."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import senas
from senas.analysis.summary import summarize_run
from senas.cli import main
from senas.errors import SenasError
from senas.testing import run_in_process

KEPT = Path(__file__).parents[1] / "data" / "version_0.1"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(KEPT, tmp_path / "kept")
    return tmp_path / "kept"


def cli(*arguments) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def test_a_run_is_read_with_the_digests_it_was_written_with(folder):
    run = senas.Run(folder / "profiled")
    assert run.record.space_digest == run.record.space.digest == "373e5bc3326af7c2"
    assert run.profile is not None
    assert run.record.profile_digest == run.profile.digest == "6c39abbba19da397"
    assert [(t.number, t.digest, t.purpose) for t in run.trials()][::7] == [
        (1, "75c494126df8470c", "search"),
        (8, "e49938a7595ed564", "replicate"),
    ]
    assert all(trial.epochs and trial.accuracy for trial in run.trials())
    for path in (folder / "profiled" / "architectures").iterdir():
        assert senas.Architecture.load(path).digest == path.stem
    summary = summarize_run(run)
    assert summary is not None and set(summary.estimates) == {trial.digest for trial in run.trials()}
    front = json.loads((folder / "profiled" / "front.json").read_text())
    assert [row["digest"] for row in front] == [trial.digest for trial in run.front()]


def test_a_profile_has_an_entry_for_every_part_of_its_space(folder):
    profile = senas.LatencyProfile.load(folder / "profiled" / "profile.json")
    space = senas.Run(folder / "profiled").record.space
    assert {part.key for part in space.parts} <= set(profile.entries)
    for trial in senas.Run(folder / "profiled").trials():
        assert profile.predict(trial.architecture).latency_ms == pytest.approx(trial.cost.latency_ms)
    profile.save(folder / "again.json")
    again, before = (json.loads((folder / name).read_text()) for name in ("again.json", "profiled/profile.json"))
    assert again.pop("hashes").keys() == before.pop("hashes").keys()
    assert again.pop("software") == before.pop("software") | {"triton": None}  # which version 0.1 did not have
    assert again == before
    assert senas.LatencyProfile.load(folder / "again.json").digest == profile.digest
    assert all("code" not in change for change in profile.software_changes())


def test_a_run_is_shown_drawn_and_retrained(folder, capsys):
    assert cli("front", folder / "profiled") == 0
    assert "75c49412" in capsys.readouterr().out
    assert cli("front", folder / "profiled", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["digest"] == "75c494126df8470c"
    assert cli("plot", folder / "profiled") == 0
    assert (folder / "profiled" / "pareto.html").exists()
    assert cli("retrain", folder / "profiled", "--epochs", 1, "--out", folder / "trained") == 0
    assert senas.load_network(folder / "trained")(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_weights_are_read_and_give_the_accuracy_that_was_written_beside_them(folder):
    with pytest.warns(UserWarning, match=r"network\.json: missing"):
        network = senas.load_network(folder / "retrained")
    result = json.loads((folder / "retrained" / "result.json").read_text())
    data = senas.load_data("digits", senas.Input(channels=1, size=8))
    from senas.training.loop import top1_accuracy

    assert top1_accuracy(network, data.test, data.statistics) == pytest.approx(result["test_accuracy"], abs=1e-9)


def test_resuming_is_refused_by_name_and_continues_with_force(folder):
    with pytest.raises(SenasError, match=r"was searched with source \w{16}, found \w{16}.*--force continues"):
        senas.resume(folder / "plain", trials=6, execute=run_in_process)
    before = senas.Run(folder / "plain").trials()
    resumed = senas.resume(folder / "plain", trials=6, execute=run_in_process, force=True)
    assert resumed.trials()[: len(before)] == before
    assert [trial.status for trial in resumed.trials()] == ["finished"] * 6
