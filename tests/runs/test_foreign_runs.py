"""Runs that were copied, belong to somebody else, or lead out of their folder."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from conftest import run_record
from test_journal import start

from senas.errors import SenasError
from senas.runs.config import Training
from senas.runs.journal import Journal
from senas.runs.lock import run_lock
from senas.runs.run import Run
from senas.training.recipe import Recipe
from senas.training.trained import load_network


@pytest.fixture
def killed(tiny, tmp_path):
    """A run of three finished trials whose process was killed: SQLite's log is still beside the journal."""
    training = Training(data="digits", recipe=Recipe(epochs=1), device="cpu")
    (tmp_path / "live").mkdir()
    with closing(Journal.create(tmp_path / "live" / "journal.sqlite", run_record(tiny, training=training))) as journal:
        for number in (1, 2, 3):
            start(journal, number, _arch(tiny, number))
            journal.finished(number, number / 10, 1.0)
        shutil.copytree(tmp_path / "live", tmp_path / "elsewhere" / "killed")
    folder = tmp_path / "elsewhere" / "killed"
    assert (folder / "journal.sqlite-wal").stat().st_size > 0
    (folder / "journal.sqlite-shm").unlink()
    return folder


def _arch(space, seed):
    return space.random(np.random.default_rng(seed))


@pytest.fixture
def read_only(killed):
    """The same, to be read and not written to; `senas` gives up the privileges of root, which may do everything."""
    for path in (*killed.iterdir(), killed):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield killed
    killed.chmod(0o755)


def senas(*words, cwd):
    """Run a command without the privileges that root has over permissions."""
    unprivileged = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and setpriv is missing")
        unprivileged = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]
    command = [*unprivileged, sys.executable, "-c", "from senas.cli import main; main()", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_a_run_that_was_killed_and_copied_tells_everything(killed):
    run = Run(killed)
    assert [trial.accuracy for trial in run.trials()] == [0.1, 0.2, 0.3]
    assert run.save_front()


@pytest.mark.slow  # commands in processes without root's privileges
def test_a_run_that_may_only_be_read_is_shown_drawn_and_retrained_elsewhere(read_only, tmp_path):
    before = {path.name: path.read_bytes() for path in read_only.iterdir()}
    shown = senas("front", read_only, "--json", cwd=tmp_path)
    assert shown.returncode == 0 and '"accuracy": 0.3' in shown.stdout, shown.stderr
    refused = senas("plot", read_only, cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == f"senas: {read_only}/pareto.png: permission denied; choose another folder with --out\n"
    drawn = senas("plot", read_only, "--out", tmp_path / "pictures", cwd=tmp_path)
    assert drawn.returncode == 0 and (tmp_path / "pictures" / "pareto.html").exists(), drawn.stderr
    refused = senas("retrain", read_only, "--epochs", "1", cwd=tmp_path)
    assert refused.returncode == 2
    assert "(permission denied); choose another folder" in refused.stderr and refused.stderr.count("\n") == 1
    trained = senas("retrain", read_only, "--epochs", "1", "--out", tmp_path / "trained", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    load_network(tmp_path / "trained")
    refused = senas("resume", read_only, cwd=tmp_path)
    assert refused.returncode == 2 and "cannot be searched in (permission denied)" in refused.stderr
    assert {path.name: path.read_bytes() for path in read_only.iterdir()} == before


@pytest.mark.parametrize("kept", [8, 20, 100, 600])
def test_a_damaged_run_that_may_only_be_read_is_refused_in_one_line(killed, tmp_path, kept):
    with closing(sqlite3.connect(killed / "journal.sqlite")):
        pass  # merges the log
    path = killed / "journal.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:kept] + b"\xff" * (len(whole) - kept))
    path.with_name("journal.sqlite-wal").write_bytes(b"")
    path.chmod(0o444)
    killed.chmod(0o555)
    shown = senas("front", killed, cwd=tmp_path)
    killed.chmod(0o755)
    assert shown.returncode == 2 and shown.stderr.count("\n") == 1, shown.stderr
    assert "journal.sqlite: not a" in shown.stderr


@pytest.mark.parametrize("name", ["journal.sqlite", "front.json", "architectures", "run.lock", "trials"])
def test_links_lead_nowhere(killed, tmp_path, name):
    victim = tmp_path / "victim"
    if name in ("architectures", "trials"):
        victim.mkdir()
    else:
        victim.write_text("precious")
    (killed / name).unlink(missing_ok=True)
    (killed / name).symlink_to(victim)
    with pytest.raises(SenasError, match=r"found a link to|cannot be searched in"):
        run = Run(killed)
        run.scratch  # noqa: B018  # raises
        with run_lock(run.folder):
            run.save_front()
    assert victim.is_dir() or victim.read_text() == "precious"
    assert not victim.is_dir() or not list(victim.iterdir())


def test_a_second_driver_is_refused(killed):
    with (
        run_lock(killed),
        pytest.raises(SenasError, match="another process is searching here"),
        run_lock(killed),
    ):
        raise AssertionError("locked twice")


def test_a_journal_that_is_being_written_is_read_beside(tiny, tmp_path):
    (tmp_path / "run").mkdir()
    with closing(Journal.create(tmp_path / "run" / "journal.sqlite", run_record(tiny))) as journal:
        run = Run(tmp_path / "run")
        for number in (1, 2):
            start(journal, number, _arch(tiny, number))
            journal.finished(number, number / 10, 1.0)
            assert [trial.number for trial in run.trials()] == [*range(1, number + 1)]
    assert not (tmp_path / "run" / "journal.sqlite-wal").exists()
    with closing(sqlite3.connect(tmp_path / "run" / "journal.sqlite")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
