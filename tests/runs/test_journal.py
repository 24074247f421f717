"""The journal: what it tells, its order, its schema, what it refuses."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import formula_profile, run_record

from senas.costs.feasibility import cost_of
from senas.errors import SearchFailedError, SenasError
from senas.runs import schema
from senas.runs.journal import Journal
from senas.runs.trial import Failure, Trial, TrialTask


@pytest.fixture
def archs(tiny):
    return [tiny.random(np.random.default_rng(seed)) for seed in range(4)]


@pytest.fixture
def journal(tiny, tmp_path):
    with closing(Journal.create(tmp_path / "journal.sqlite", run_record(tiny))) as journal:
        yield journal


def start(journal, number, arch, **fields):
    journal.started(number, TrialTask(purpose="search", architecture=arch, seed=number), cost_of(arch, None), **fields)


def events(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT kind, trial FROM event ORDER BY id").fetchall()


def test_tells_every_trial(journal, archs, tiny):
    cost = cost_of(archs[0], formula_profile(tiny))
    for number, arch in enumerate(archs, 1):
        journal.started(number, TrialTask(purpose="search", architecture=arch, seed=number), cost)
    journal.reported(1, 1, 0.5)
    journal.reported(1, 2, 0.6)
    journal.finished(1, 0.7, 2.0)
    journal.measured(1, 1.25, 1.5)
    with pytest.raises(ValueError, match="not JSON compliant"):
        journal.reported(2, 3, float("nan"))
    lost = Failure(reason="lost", text="Traceback\n  no 'such' \"thing\"")
    journal.retried(2, lost, 1.0)
    journal.started(2, TrialTask(purpose="search", architecture=archs[1], seed=2), cost)
    journal.failed(2, replace(lost, reason="memory"), 1.5)
    journal.stopped(3, (2, 0.4), 1.5)
    expected = [
        Trial(number=1, architecture=archs[0], seed=1, cost=cost, status="finished", accuracy=0.7,
              epochs=((1, 0.5), (2, 0.6)), seconds=2.0, measured_ms=1.25, drift=1.5),
        Trial(number=2, architecture=archs[1], seed=2, cost=cost, status="failed", seconds=1.5, attempts=2,
              failures=(lost, replace(lost, reason="memory"))),
        Trial(number=3, architecture=archs[2], seed=3, cost=cost, status="stopped", accuracy=0.4,
              epochs=((2, 0.4),), seconds=1.5),
        Trial(number=4, architecture=archs[3], seed=4, cost=cost),
    ]  # fmt: skip
    assert [*journal.trials.values()] == expected
    assert [t.number for t in journal.history()] == [1, 2, 3, 4, 1, 2, 3]
    beside = Journal(journal.path)  # another process reading a live run
    assert beside.trials == journal.trials and beside.record == journal.record
    journal.finished(4, 0.1, 0.1)
    beside.refresh()
    assert beside.trials[4].status == "finished" and beside.trials == journal.trials


def test_an_attempt_that_goes_on_from_a_checkpoint_repeats_some_epochs(journal, archs):
    start(journal, 1, archs[0])
    for epoch, accuracy in ((1, 0.1), (2, 0.2), (3, 0.3)):
        journal.reported(1, epoch, accuracy)
    start(journal, 1, archs[0])
    journal.reported(1, 3, 0.3)
    journal.reported(1, 4, 0.4)
    assert journal.trials[1].epochs == ((1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4))
    assert journal.trials[1].attempts == 2


def test_what_a_strategy_remembers_is_on_disk_with_the_start_of_its_proposal(journal, archs):
    assert journal.strategy_state is None
    start(journal, 1, archs[0], strategy_state={"random": 2**100, "hyper": [0.1, 1e-17]})
    start(journal, 2, archs[1])
    journal.finished(1, 0.5, 1.0)
    assert Journal(journal.path).strategy_state == {"random": 2**100, "hyper": [0.1, 1e-17]}
    kinds = [("asked", 0), ("strategy", 1), ("started", 1), ("started", 2), ("finished", 1)]
    assert events(journal.path) == kinds


def test_the_time_of_all_sessions_is_counted_and_nothing_else(journal, archs, tiny, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    journal.opened()
    now[0] = 130.0
    start(journal, 1, archs[0])
    now[0] = 9_000.0  # the next day somebody asks for more
    journal.asked(run_record(tiny, trials=20))
    now[0] = 9_010.0
    journal.opened()
    now[0] = 9_015.0
    journal.finished(1, 0.5, 1.0)
    now[0] = 9_900.0  # a baseline is not the strategy's time, nor is measuring afresh
    journal.started(2, TrialTask(purpose="baseline", architecture=archs[1], seed=2), cost_of(archs[1], None))
    journal.measured(1, 1.0, 1.0)
    assert journal.seconds() == Journal(journal.path).seconds() == 30.0 + 5.0


def test_a_reader_beside_does_not_take_the_writers_locks_away(journal, archs):
    start(journal, 1, archs[0])
    Journal(journal.path)  # in this process, as a notebook beside its search may have it
    code = f"import sqlite3; d = sqlite3.connect({str(journal.path)!r}); d.execute('SELECT * FROM event').fetchall()"
    subprocess.run([sys.executable, "-c", f"{code}; d.close()"], check=True)  # anybody else
    journal.finished(1, 0.5, 1.0)
    assert Journal(journal.path).trials[1].status == "finished"


def test_a_closed_journal_is_one_file_that_needs_no_other(journal, tmp_path, archs):
    start(journal, 1, archs[0])
    assert (tmp_path / "journal.sqlite-wal").exists()
    journal.close()
    assert [path.name for path in tmp_path.glob("journal*")] == ["journal.sqlite"]


def test_a_full_disk_is_said_and_what_was_written_is_kept(journal, archs):
    start(journal, 1, archs[0])
    pages = journal._writer.execute("PRAGMA page_count").fetchone()[0]
    journal._writer.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(SearchFailedError, match=r"journal.sqlite: cannot be written to \(database or disk is full\)"):
        for number in range(2, 100):
            start(journal, number, archs[1], strategy_state={"much": "x" * 1000})
    kept = Journal(journal.path)
    assert 1 in kept.trials and len(kept.trials) < 98
    kinds = [kind for kind, _ in events(journal.path)]
    assert kinds.count("strategy") == kinds.count("started") - 1  # both or none
    journal._writer.execute("PRAGMA max_page_count=100000")
    start(journal, 200, archs[1])
    assert 200 in Journal(journal.path).trials


def test_events_that_make_no_sense_are_named(journal, archs):
    start(journal, 1, archs[0])
    journal.finished(1, 0.5, 1.0)
    for kind, trial, payload, said in (
        ("finished", 7, {"accuracy": 0.5, "seconds": 1.0}, "trial 7 has 'finished' before 'started'"),
        ("finished", 1, {"accuracy": 0.5, "seconds": 1.0}, "trial 1 is finished, 'finished' cannot follow"),
        ("dreamt", 1, {}, "trial 1 is finished, 'dreamt' cannot follow"),
        ("opened", 0, {"host": 3, "process": 1}, "found 3, expected a string"),
        ("asked", 0, [], "expected a table"),
        ("started", "one", {}, "trial 'one'"),
        ("started", 2**63 - 1, {}, "trial 9223372036854775807"),
        ("started", -5, {}, "trial -5"),
    ):
        with closing(sqlite3.connect(journal.path)) as database, database:
            text = json.dumps(payload)
            database.execute("INSERT INTO event VALUES (NULL, 1.5, ?, ?, ?)", (kind, trial, text))
        with pytest.raises(SenasError, match=said):
            Journal(journal.path)
        with closing(sqlite3.connect(journal.path)) as database, database:
            database.execute("DELETE FROM event WHERE id = (SELECT max(id) FROM event)")
    Journal(journal.path)


def test_files_that_are_no_journals_are_refused(tmp_path):
    path = tmp_path / "journal.sqlite"
    with pytest.raises(SenasError, match="no such file"):
        Journal(path)
    path.write_bytes(b"this is not a database, and long enough to be read as one" * 40)
    with pytest.raises(SenasError, match="not a readable journal"):
        Journal(path)
    path.write_bytes(b"")
    with pytest.raises(SenasError, match="not a journal, found 0 objects"):
        Journal(path, write=True)
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "more",
    [
        "CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM event; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE other (id INTEGER)",
        "CREATE INDEX i ON event (kind)",
    ],
)
def test_a_database_with_anything_else_in_it_is_refused(journal, more):
    with closing(sqlite3.connect(journal.path)) as database, database:
        database.execute(more)
    with pytest.raises(SenasError, match="found 2 objects in it, expected only the table of events"):
        Journal(journal.path)


def test_a_view_that_never_ends_is_refused_at_once(tmp_path):
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE VIEW event AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) "
            "SELECT id, 0.0 AS time, 'opened' AS kind, 0 AS trial, '{}' AS payload FROM n"
        )
        database.execute(f"PRAGMA user_version={schema.VERSION}")
    with pytest.raises(SenasError, match="not a journal"):
        Journal(path)


def test_newer_journals_are_refused(journal):
    with closing(sqlite3.connect(journal.path)) as database:
        database.execute("PRAGMA user_version=99")
    for write in (False, True):
        with pytest.raises(SenasError, match="schema version: found 99, allowed: 1 to 2"):
            Journal(journal.path, write=write)


@pytest.fixture
def version_1(tmp_path):
    """A run as the first version wrote it: one of its trials raised, one lost its worker, the last was running."""
    kept = Path(__file__).parents[1] / "data" / "version_0.0"
    shutil.copy(kept / "run.json", tmp_path)
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript((kept / "journal.sql").read_text())
        database.execute("DELETE FROM event WHERE id = 12")  # the end of the last
    return path


def test_a_journal_of_version_1_is_read_and_brought_up_to_date(version_1):
    before = version_1.read_bytes()
    seen = Journal(version_1)
    assert version_1.read_bytes() == before, "reading changes nothing"
    assert seen.record.space.name == "tiny" and seen.record.options.retries == 1 and seen.record.code is None
    assert [(t.status, t.accuracy) for t in seen.trials.values()] == [
        ("finished", 0.5), ("failed", None), ("failed", None), ("running", None)
    ]  # fmt: skip
    assert all(trial.epochs == ((1, 0.25),) for trial in seen.trials.values())
    assert [t.failures[0].reason for t in seen.trials.values() if t.failures] == ["exception", "lost"]
    assert seen.trials[2].failure == "Traceback (most recent call last):\nKeyError: 'no such thing'"
    with closing(Journal(version_1, write=True)) as opened:
        assert opened.trials == seen.trials and opened.record == seen.record
        opened.finished(4, 0.75, 1.0)
    version_1.with_name("run.json").unlink()  # from now on a copy
    again = Journal(version_1)
    assert again.trials[4].accuracy == 0.75 and again.record == seen.record


def test_a_version_1_that_makes_no_sense_stays_as_it_is(version_1):
    with closing(sqlite3.connect(version_1)) as database, database:
        database.execute("UPDATE event SET payload = '[]' WHERE id = 6")
    before = version_1.read_bytes()
    with pytest.raises(SenasError, match="event 6: not the end of a trial in schema version 1"):
        Journal(version_1, write=True)
    assert version_1.read_bytes() == before


def test_a_failure_may_say_anything(journal, archs):
    start(journal, 1, archs[0])
    text = "first\n\x1b[2Jsecond\r\nthird\u202e \ud800\n" + "x" * 50_000 + "\n" + "line\n" * 1_000
    journal.failed(1, Failure(reason="exception", text=text), 1.0)
    told = Journal(journal.path).trials[1].failure or ""
    assert "\x1b" not in told and "\u202e" not in told and len(told) < 20_000
    assert told.startswith("... 504 lines\nline\n") and told.count("\n") == 500
    start(journal, 2, archs[1])
    journal.failed(2, Failure(reason="exception", text=text[: text.index("x")]), 1.0)
    assert Journal(journal.path).trials[2].failure == "first\n\\x1b[2Jsecond\nthird\\u202e \\ud800"


def test_an_event_that_no_reader_could_read_is_not_written(journal, archs, tiny):
    start(journal, 1, archs[0])
    before = events(journal.path)
    with pytest.raises(SenasError, match="trial 2 has 'finished' before 'started'"):
        journal.finished(2, 0.5, 1.0)
    with pytest.raises(SenasError, match="cannot follow"):
        journal.measured(1, 1.0, 1.0)
    assert events(journal.path) == before and journal.trials == Journal(journal.path).trials
    journal.finished(1, 0.5, 1.0)
    assert Journal(journal.path).trials[1].accuracy == 0.5


def test_a_second_writer_ends_the_first_and_contradicts_nothing(journal, archs):
    start(journal, 1, archs[0])
    with closing(Journal(journal.path, write=True)) as second:
        second.finished(1, 0.5, 1.0)
        with pytest.raises(SearchFailedError, match="found events of another process"):
            journal.reported(1, 1, 0.25)
    assert Journal(journal.path).trials[1].status == "finished"
