"""Files of strangers: whatever they hold, they are read or refused in one line. See `mutations` for what they hold."""

import io
import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from attacks import ATTACKS, PLACES
from conftest import formula_profile, run_record
from hypothesis import given
from hypothesis import strategies as st
from mutations import FORMS, changed, damaged
from rich.console import Console

import senas
from senas.architecture.network import Architecture
from senas.costs.feasibility import cost_of
from senas.errors import SenasError
from senas.io.documents import read_json, write_json
from senas.io.text import flaw
from senas.latency.profile.profile import LatencyProfile
from senas.nn.network import Network
from senas.nn.weights import read_network, save_network
from senas.report.tables import front_table
from senas.runs.journal import Journal
from senas.runs.run import Run
from senas.runs.trial import Failure, TrialTask
from senas.spaces.toml_file import load_space
from senas.testing import SMALL_SPACE
from senas.training.checkpoint import load_checkpoint, save_checkpoint
from senas.training.data.sources import load_data
from senas.training.loop import TrainingPosition, make_optimizer
from senas.training.recipe import Recipe
from senas.training.trained import NetworkDescription

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
from search_table import Table  # a script, which is no module of the package

# hypothesis describes the strategies it draws from, and the values here are large: said once, that would fail one draw
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

SECONDS = 20  # for one file; what takes longer hangs
MEBIBYTES = 1_024  # more than all files before have needed


@dataclass(frozen=True)
class Reader:
    """One kind of file.

    Attributes:
        name: of the file in its folder.
        make: writes a valid one into a folder.
        read: reads it, and does with it what anybody would do next.
        form: how such a file is taken apart, see `mutations.FORMS`.
    """

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]
    form: str


def use_architecture(arch: Architecture) -> None:
    """Count and build it, unless that takes longer than a test may."""
    assert Architecture.from_json(arch.to_json()) == arch
    if arch.network_size.weights < 10**5 and arch.network_size.multiply_adds < 10**7 and len(arch.cells) < 20:
        assert senas.complexity(arch).params == arch.network_size.weights
        senas.build_network(arch)


def use_space(path: Path) -> None:
    space = load_space(path)
    use_architecture(space.random(np.random.default_rng(0)))
    assert str(space.size)


def use_profile(path: Path) -> None:
    profile = LatencyProfile.load(path)
    for anchor in profile.anchors:
        profile.predict(anchor.architecture)


def use_data(path: Path) -> None:
    load_data(f"npz:{path}", tiny_architecture().input).require(tiny_architecture())


def use_table(path: Path) -> None:
    assert Table(path).whole >= 0


@cache
def tiny_architecture() -> Architecture:
    kinds = {"kind": "mbconv", "stage": 2, "channels": 4, "expansion": 2.0}, {"stage": 3, "channels": 8, "stride": 2}
    cells = [kind | {"se": {"reduction": 2}} for kind in kinds]
    text = {"input": {"channels": 1, "size": 8}, "stem": {"channels": 4}, "cells": cells, "head": {"classes": 3}}
    return Architecture.from_json(json.dumps(text))


def write_space(folder: Path) -> None:
    (folder / "tiny.toml").write_text(SMALL_SPACE)


def write_profile(folder: Path) -> None:
    """Of one architecture's parts alone, to be small."""
    write_space(folder)
    profile = formula_profile(load_space(folder / "tiny.toml"))
    names = {part.key for part in profile.anchors[0].architecture.parts()}
    replace(profile, entries={name: profile.entries[name] for name in names}).save(folder / "profile.json")


def write_weights(folder: Path) -> None:
    save_network(folder, tiny_architecture(), senas.build_network(tiny_architecture()))


def write_data(folder: Path) -> None:
    images, labels, names = np.zeros((6, 8, 8), np.uint8), np.arange(6) % 3, np.array([*"abc"])
    path = folder / "data.npz"
    np.savez_compressed(path, x_train=images, y_train=labels, x_test=images, y_test=labels, class_names=names)


def write_table(folder: Path) -> None:
    choices = np.indices((2, 3), dtype=np.int8).reshape(2, -1).T
    accuracy, cost, unit = 70.0 + choices.sum(axis=1), np.arange(6.0), np.array("ms")
    path = folder / "table.npz"
    np.savez(path, choices=choices, observed=accuracy[:, None], accuracy=accuracy, cost=cost, cost_unit=unit)


def write_checkpoint(folder: Path) -> None:
    network = senas.build_network(tiny_architecture())
    optimizer = make_optimizer(network, Recipe())
    network(torch.zeros(2, 1, 8, 8)).sum().backward()
    optimizer.step()
    save_checkpoint(folder / "checkpoint.safetensors", network, optimizer, TrainingPosition(epoch=1), {"loss": 0.5})


def use_checkpoint(path: Path) -> None:
    network = senas.build_network(tiny_architecture())
    load_checkpoint(path, network, make_optimizer(network, Recipe()), "loss", end=TrainingPosition(epoch=10, steps=10))


def use_weights(path: Path) -> None:
    read_network(path.parent, Network)


def write_network(folder: Path) -> None:
    write_weights(folder)
    arch = tiny_architecture()
    description = NetworkDescription(
        digest=arch.digest, input=arch.input, mean=(4.5,), deviation=(6.0,), classes=tuple("abc"), accuracy=0.5,
        data="digits", data_digest="0" * 16, recipe=Recipe(), senas="0.1.0",
    )  # fmt: skip
    write_json(folder / "network.json", description)


def use_network(path: Path) -> None:
    read_json(path, NetworkDescription)  # without the file, a network is loaded with a warning
    network = senas.load_network(path.parent)
    predicted = network.predict(torch.zeros(1, 8, 8, dtype=torch.uint8))
    assert len(predicted) == 3 and all(0 <= each <= 1 for each in predicted.values())


def write_run(folder: Path) -> None:
    """A run of two trials, one of which failed once."""
    write_space(folder)
    space = load_space(folder / "tiny.toml")
    with closing(Journal.create(folder / "journal.sqlite", run_record(space))) as journal:
        journal.opened()
        for number in (1, 2):
            arch = space.random(np.random.default_rng(number))
            task = TrialTask(purpose="search", architecture=arch, seed=number)
            journal.started(number, task, cost_of(arch, None), strategy_state={"random": {"state": 2**100}})
            journal.reported(number, 1, 0.25)
        journal.retried(1, Failure(reason="lost", text="killed"), 1.5)
        journal.finished(2, 0.5, 2.5)


def use_run(path: Path) -> None:
    run = Run(path.parent)
    assert run.hypervolume() <= 1.0 + 1e-9
    for trial in run.front():
        Console(file=io.StringIO()).print(front_table([trial], summary=None, width=120))
    with closing(run.open_journal()) as journal:
        assert journal.strategy_state is None or isinstance(journal.strategy_state, dict)


READERS = {
    "architecture": Reader(
        "arch.json",
        lambda folder: tiny_architecture().save(folder / "arch.json"),
        lambda path: use_architecture(Architecture.load(path)),
        "json",
    ),
    "space": Reader("tiny.toml", write_space, use_space, "toml"),
    "profile": Reader("profile.json", write_profile, use_profile, "profile"),
    "data": Reader("data.npz", write_data, use_data, "npz"),
    "table": Reader("table.npz", write_table, use_table, "npz"),
    "checkpoint": Reader("checkpoint.safetensors", write_checkpoint, use_checkpoint, "safetensors"),
    "journal": Reader("journal.sqlite", write_run, use_run, "journal"),
    "weights": Reader("weights.safetensors", write_weights, use_weights, "safetensors"),
    "network": Reader("network.json", write_network, use_network, "json"),
}


@contextmanager
def bounded() -> Iterator[None]:
    """Fail what takes too long or too much memory."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"still reading after {SECONDS} s")

    before, kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, kept)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEBIBYTES * 2**10


def refusal(reader: Reader, path: Path) -> str | None:
    """The line with which a file was refused; `None` where it was read."""
    try:
        with bounded():
            reader.read(path)
    except SenasError as error:
        line = str(error)
        assert flaw(line) is None and len(line) < 1_000, ascii(line)
        return line
    return None


@pytest.fixture(scope="module", params=READERS)
def place(request, tmp_path_factory) -> tuple[Reader, Path, bytes]:
    """A reader, the path of its file, and what a valid one holds."""
    reader, folder = READERS[request.param], tmp_path_factory.mktemp(request.param)
    reader.make(folder)
    path = folder / reader.name
    assert refusal(reader, path) is None
    return reader, path, path.read_bytes()


@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(place, data):
    reader, path, valid = place
    path.write_bytes(data.draw(damaged(valid)))
    refusal(reader, path)


@given(data=st.data())
def test_a_file_that_says_something_else_is_read_or_refused(place, data):
    reader, path, valid = place
    path.write_bytes(data.draw(changed(valid, FORMS[reader.form])))
    refusal(reader, path)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, str | None]:
    """What became of each attack, in a process that has two gigabytes to spare."""
    root = tmp_path_factory.mktemp("attacks")
    for name, attack in ATTACKS.items():
        reader, folder = READERS[attack.reader], root / name
        folder.mkdir()
        reader.make(folder)
        (folder / reader.name).write_bytes(attack.make((folder / reader.name).read_bytes()))
    code = f"import test_hostile; test_hostile.read_attacks(__import__('pathlib').Path({str(root)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[:2]))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (root / "executed").exists()
    return json.loads(done.stdout)


def read_attacks(root: Path) -> None:
    """Print the refusal of each attack."""
    warnings.simplefilter("error")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**31, resource.RLIM_INFINITY))
    readers = {name: READERS[attack.reader] for name, attack in ATTACKS.items()}
    found = {}
    for name, reader in readers.items():
        try:
            found[name] = refusal(reader, root / name / reader.name)
        except (Exception, MemoryError) as error:  # to be told by name
            found[name] = f"{type(error).__name__}: {error}"
    sys.stdout.write(json.dumps(found))


@pytest.mark.slow  # reads a hundred files in a process of its own
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_in_one_line(outcomes, name):
    assert ATTACKS[name].words in str(outcomes[name])


ELSEWHERE = {  # the same places in other words
    ("journal", "no such file or directory"): "not a run folder, it has no journal.sqlite",
    ("journal", "expected a regular file"): "found a link to /dev/zero",
    ("checkpoint", "no such file or directory"): "None",  # there need not be one
    ("data", "bytes or more, allowed: at most"): "not an npz file of plain arrays",  # which may have any size
}


@pytest.mark.parametrize("words", PLACES)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_or_too_large_is_refused_at_once(tmp_path, name, words):
    place, words = PLACES[words], ELSEWHERE.get((name, words), words)
    reader = READERS[name]
    reader.make(tmp_path)
    path = tmp_path / reader.name
    path.unlink()
    place(path)
    assert str(words) in str(refusal(reader, path))
