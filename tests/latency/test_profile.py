"""Latency profiles: measured, saved, checked against today, refused if they do not fit or are damaged."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import formula_ms, formula_profile, measurement, needs_cuda

from senas.architecture.network import Architecture
from senas.errors import SenasError
from senas.io.source_code import source_digest
from senas.latency.devices.environment import (
    make_mode,
    this_device,
)
from senas.latency.measurement.session import measure_in_process, run_session
from senas.latency.prediction.calibration import Drift
from senas.latency.profile.builder import profile_name, profile_space
from senas.latency.profile.checkpoint import ProfileCheckpoint
from senas.latency.profile.code_version import current_digest, network_code
from senas.latency.profile.drift_check import anchor_errors, drift_of, recheck, run_profile_session
from senas.latency.profile.duration import expected_seconds
from senas.latency.profile.plan import make_plan, networks_seen
from senas.latency.profile.profile import LatencyProfile
from senas.latency.profile.sections import Entry
from senas.spaces.toml_file import load_space
from senas.testing import SMALL_SPACE

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A profile of half of the parts of a small space, measured in some seconds."""
    path = tmp_path_factory.mktemp("measured") / "tiny.toml"
    path.write_text(SMALL_SPACE)
    space = load_space(path)
    shares: list[float] = []
    expected: list[tuple[float, float]] = []
    profile = profile_space(
        space, seconds=1, share=0.5, progress=shares.append, measure=measure_in_process,
        on_estimate=lambda least, most: expected.append((least, most)),
    )  # fmt: skip
    ((least, most),) = expected
    assert 0 < least <= most
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    return space, profile


@pytest.mark.slow  # shares a profile that takes some seconds to measure
def test_a_measured_profile_predicts_and_round_trips(measured, tmp_path):
    space, profile = measured
    profile.save(tmp_path / "p.json")
    again = LatencyProfile.load(tmp_path / "p.json")
    assert again == profile
    assert again.digest == profile.digest
    again.require(space, "cpu")
    assert again.software_changes() == []
    assert {part.key for part in space.parts} <= set(profile.entries)
    imputed = [entry for entry in profile.entries.values() if entry.measured is None]
    assert 0 < len(imputed) < len(profile.entries)
    assert profile.validation.networks == len(profile.calibration.ratios) == 79
    assert profile.protocol.sessions == 8
    assert profile.bound(0.5) <= profile.bound(0.95)
    arch = space.costliest(formula_ms)
    found = profile.predict(arch)
    assert found.upper_ms == found.latency_ms * profile.bound() >= found.latency_ms
    now = (
        run_profile_session(profile, [arch], seconds=0.3, measure=measure_in_process).networks[arch.digest].estimate_ms
    )
    assert 0.5 < now / found.latency_ms < 2  # a sanity check of units; accuracy is validated in the profile


@pytest.mark.slow  # shares a profile that takes some seconds to measure
def test_the_networks_of_a_profile_are_told_so_that_others_can_be_fresh(measured):
    space, profile = measured
    seen = networks_seen(space, profile.protocol.seed)
    assert len({arch.digest for arch in seen}) == 12 + 20 + 79
    assert [anchor.architecture for anchor in profile.anchors] == seen[:12]


@pytest.mark.slow  # shares a profile that takes some seconds to measure
def test_a_recheck_ties_predictions_to_the_session(measured):
    space, profile = measured
    arch = space.random(np.random.default_rng(5))
    slow = replace(
        profile, anchors=tuple(replace(anchor, latency_ms=anchor.latency_ms / 2) for anchor in profile.anchors)
    )
    tied = recheck(slow, seconds=0.5, measure=measure_in_process)
    ratio = tied.predict(arch).latency_ms / profile.predict(arch).latency_ms
    assert 1.2 < ratio < 3.5  # the machine seems to take twice as long
    assert tied.drifted(Drift()) == slow
    other = tuple(
        replace(anchor, latency_ms=anchor.latency_ms * (1.6 if number % 2 else 0.6))
        for number, anchor in enumerate(profile.anchors)
    )
    with pytest.raises(SenasError, match=r"anchors: found a drift by a factor of .* profile the space again"):
        recheck(replace(profile, anchors=other), seconds=0.2, measure=measure_in_process)


def test_the_time_that_a_profile_takes_is_known_before(tiny):
    """Every part takes 0.01 s, so that a round of parts takes 0.01 s each, and a network 0.01 s a part."""
    plan = make_plan(tiny, 1.0, seed=0)
    times = {part.key: 0.01 for part in plan.parts}
    in_networks = sum(len([*arch.parts()]) for number in range(8) for arch in (*plan.anchors, *plan.session(number)))
    common = {"start_seconds": 2.0, "build_seconds": 0.001}
    # a session: start, build, 4 warm-up rounds and 6 rounds of the networks, 3 rounds of the parts
    others = 8 * 2.0 + 0.001 * in_networks + 4 * 0.01 * in_networks
    parts = 8 * 3 * 0.01 * len(plan.parts)
    found = expected_seconds(plan, times, seconds=0.1, done=0, **common)
    assert found == pytest.approx((others + 6 * 0.01 * in_networks + parts,) * 2)
    # with much time, the limit decides: half of it for the networks, and for the parts up to the other half
    found = expected_seconds(plan, times, seconds=1_000.0, done=0, **common)
    assert found == pytest.approx((others + 500 + parts, others + 500 + 500))
    assert expected_seconds(plan, times, seconds=1.0, done=8, **common) == (0.0, 0.0)
    some = {part.key: 0.01 for part in make_plan(tiny, 0.1, seed=0).parts}  # the others are imputed
    assert expected_seconds(plan, some, seconds=1_000.0, done=0, **common)[1] == pytest.approx(others + 1_000)


def test_anchor_errors_are_what_a_drift_does_not_explain(tiny):
    profile = formula_profile(tiny)
    anchor = profile.anchors[0]
    now = {anchor.architecture.digest: measurement(3 * anchor.latency_ms)}
    drift = drift_of(profile.anchors, now)
    assert (drift.factor, drift.ms_per_operation) == (pytest.approx(3.0), 0.0)
    assert anchor_errors(profile.anchors, now, drift) == [pytest.approx(0.0)]
    assert anchor_errors(profile.anchors, now, Drift()) == [pytest.approx(2.0)]


@pytest.mark.slow  # measures a profile in two parts
def test_an_interrupted_measurement_goes_on_where_it_stopped(tiny, tmp_path):
    path = tmp_path / "p.json.draft"

    def interrupt(share: float) -> None:
        if path.exists() and len(ProfileCheckpoint.read(path, json_task(path)).sessions) >= 3:
            raise KeyboardInterrupt

    def json_task(of):
        from senas.io.documents import read_json

        return read_json(of, ProfileCheckpoint).task

    with pytest.raises(KeyboardInterrupt):
        profile_space(tiny, measure=measure_in_process, seconds=0.4, checkpoint=path, progress=interrupt)
    kept = ProfileCheckpoint.read(path, json_task(path))
    assert 3 <= len(kept.sessions) < 8
    with pytest.raises(SenasError, match=r"p\.json\.draft: seed: found a measurement begun with 0, this one has 1"):
        profile_space(tiny, measure=measure_in_process, seconds=0.4, seed=1, checkpoint=path)
    profile = profile_space(tiny, measure=measure_in_process, seconds=0.4, checkpoint=path)
    again = profile_space(tiny, measure=measure_in_process, seconds=0.4, checkpoint=path)
    assert again.entries == profile.entries  # until the caller removes the checkpoint
    assert profile.provenance.invocations == 2
    assert profile.protocol.sessions == 8
    assert profile.protocol.rounds >= kept.rounds + 2 * (8 - len(kept.sessions))
    assert all(entry.measured.count >= 8 for entry in profile.entries.values() if entry.measured)
    draft = json.loads(path.read_text())
    for session in draft["sittings"]:
        for found in (*session["anchors"].values(), *session["networks"].values()):
            found["estimate_ms"] = 1 / found["estimate_ms"]
    path.write_text(json.dumps(draft))
    with pytest.raises(SenasError, match=r"calibration\.\w+: found -.*; the machine is too busy"):
        profile_space(tiny, measure=measure_in_process, seconds=0.4, checkpoint=path)
    assert not path.exists()  # or the next measurement would end there, too


def test_parts_and_networks_are_measured_in_another_number_format(tiny):
    def stop(share: float) -> None:
        if share > 0.1:  # the parts are prepared and being measured
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        profile_space(tiny, dtype="bf16", seconds=0.1, progress=stop)
    arch, mode = tiny.random(np.random.default_rng(0)), make_mode("cpu", tiny.input, dtype="bf16")
    found = run_session("cpu", mode, [], [arch], seconds=0.05, measure=measure_in_process)
    assert found.networks[arch.digest].estimate_ms > 0


def test_a_space_with_too_few_architectures_is_refused(tiny):
    one_stage = replace(tiny, stages=tuple(replace(stage, se=(None,), depths=(1,)) for stage in tiny.stages))
    with pytest.raises(SenasError, match="found 2 architectures, expected at least 51 to calibrate"):
        profile_space(one_stage, seconds=0.1)


def eleven_classes(profile: LatencyProfile) -> Architecture:
    arch = profile.anchors[0].architecture
    return replace(arch, head=replace(arch.head, classes=11))


def formula_change(section: str, **changes):
    return lambda profile: replace(profile, **{section: replace(getattr(profile, section), **changes)})


@pytest.mark.parametrize(
    ("change", "asked", "message"),
    [
        (formula_change("device", kind="cuda"), {}, "device.kind: found cuda, the search needs cpu"),
        (formula_change("device", name="Z80"), {}, "device.name: found Z80, the search needs "),
        (
            lambda p: replace(p, anchors=(replace(p.anchors[0], architecture=eleven_classes(p)), *p.anchors[1:])),
            {},
            "classes: found 11, the search needs 10: senas profile tiny --classes 10",
        ),
        (formula_change("space", digest="0" * 16), {}, "space.digest: found 0000000000000000, the search needs "),
        (
            formula_change("code", se="0" * 16),
            {},
            f"code.se: found 0000000000000000, this version of senas needs {network_code().se}",
        ),
        (formula_change("mode", batch=32), {"batch": 1}, "mode.batch: found 32, the search needs 1"),
        (formula_change("mode", dtype="bf16"), {"dtype": "fp32"}, "mode.dtype: found bf16, the search needs fp32"),
        (
            formula_change("mode", execution="compiled"),
            {"execution": "eager"},
            "mode.execution: found compiled, the search needs eager",
        ),
        (
            formula_change("validation", mean_error=0.06),
            {},
            "validation.mean_error: found 6.00%, allowed: at most 5.00%",
        ),
        (
            lambda p: replace(p, mode=replace(p.mode, input=replace(p.mode.input, size=16))),
            {},
            "mode.input.size: found 16, the search needs 8",
        ),
        (
            lambda p: replace(p, entries={k: v for k, v in p.entries.items() if not k.startswith("stem")}),
            {},
            "entries: no measurement of 'stem(channels=4) on 1x8x8'",
        ),
    ],
)
def test_a_profile_that_does_not_fit_is_refused_with_the_field_named(tiny, change, asked, message):
    profile = formula_profile(tiny)
    profile.require(tiny, "cpu", execution="eager", dtype="fp32", batch=1)
    with pytest.raises(SenasError) as caught:
        change(profile).require(tiny, "cpu", **asked)
    assert message in str(caught.value)


def test_other_software_is_told_and_not_refused(tiny):
    profile = formula_profile(tiny)
    older = replace(profile, software=replace(profile.software, torch="1.0"), code=replace(profile.code, networks="x"))
    older.require(tiny, "cpu")
    said = older.software_changes()
    assert said[0].startswith("torch 1.0, here ")
    assert said[1] == "the code that builds networks"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="senas-latency-profile/9"), "format: found 'senas-latency-profile/9'"),
        (lambda d: d.update(unit="us"), "unit: found 'us'"),
        (lambda d: d["calibration"].update(scale=0.0), "calibration: scale: found 0.0, expected more than 0"),
        (lambda d: d["calibration"].update(scale=float("nan")), "calibration: scale: found nan"),
        (lambda d: d["calibration"].update(ratios=[1.1, 1.0]), "calibration.ratios: found 1.0 out of order"),
        (lambda d: d["entries"].clear(), "entries, anchors: found none"),
        (lambda d: d["anchors"].clear(), "entries, anchors: found none"),
        (lambda d: entry(d).update(estimate_ms=-1.0), "estimate_ms: found -1.0, expected more than 0"),
        (lambda d: entry(d).update(estimate_ms=float("inf")), "estimate_ms: found inf, expected a finite number"),
        (lambda d: next(iter(d["entries"].values())).update(filled_ms=1.0), "measured and filled_ms: found both"),
        (lambda d: d["mode"].pop("batch"), "mode: missing key 'batch'"),
        (lambda d: d["mode"].update(dtype="fp8"), "mode: dtype: found 'fp8'"),
        (lambda d: d.update(units="s"), "unknown key, found 'units', did you mean 'unit'"),
        (lambda d: d.pop("hashes"), "hashes: missing for anchors, calibration, code, device"),
        (lambda d: d["hashes"].pop("entries"), "hashes: missing for entries"),
        # What could be, but is not what was written: found by the hash of its section.
        (lambda d: entry(d).update(estimate_ms=entry(d)["estimate_ms"] + 2**-40), "entries: found content of hash"),
        (lambda d: d["entries"].popitem(), "entries: found content of hash"),
        (lambda d: d["device"].update(name="Z80"), "device: found content of hash"),
        (lambda d: d["validation"].update(limit=0.5), "validation: found content of hash"),
    ],
)
def test_a_damaged_profile_file_is_refused_with_the_field_named(tiny, tmp_path, change, message):
    path = tmp_path / "p.json"
    formula_profile(tiny).save(path)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(SenasError) as caught:
        LatencyProfile.load(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


def entry(data) -> dict:
    return next(iter(data["entries"].values()))["measured"]


def test_a_flipped_bit_of_a_profile_file_is_refused_or_changes_nothing(tiny, tmp_path):
    path = tmp_path / "p.json"
    profile = formula_profile(tiny)
    profile.save(path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for place, bit in zip(rng.integers(len(content), size=150), rng.integers(8, size=150), strict=True):
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        path.write_bytes(bytes(flipped))
        try:
            assert LatencyProfile.load(path) == profile  # white space, or the case of a digit's exponent
        except SenasError as error:
            assert str(error).startswith(str(path))  # either way is right


def test_the_digest_of_code_sees_what_it_does_and_no_comments(tmp_path):
    text = 'def f(x):\n    """What f does."""\n    return x + 1\n'
    same = '"""A module."""\n\n# nothing\ndef f(x):  # adds\n    """Other words."""\n\n    return  x+1\n'
    digests = []
    for content in (text, same, text.replace("+ 1", "+ 2")):
        path = tmp_path / "code.py"
        path.write_text(content)
        digests.append(source_digest(path))
    assert digests[0] == digests[1] != digests[2]
    path = tmp_path / "text.py"
    digests = []
    for content in ('x.split(" ")\n', 'x.split("")\n', 'f"{x - 1}"\n', 'f"{x-1}"\n'):
        path.write_text(f"y = {content}")
        digests.append(source_digest(path))
    assert digests[0] != digests[1] != digests[2] == digests[3]
    assert network_code().se != network_code().networks


@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*.json")), ids=lambda path: path.stem)
def test_the_shipped_profiles_describe_this_code_and_its_spaces(path):
    profile = LatencyProfile.load(path.stem)
    space = load_space(profile.space.name)
    on_its_device = replace(profile, device=replace(profile.device, kind="cpu", name=this_device("cpu").name))
    on_its_device.require(space, "cpu")
    assert [current_digest(profile.code.se), current_digest(profile.code.networks)] == [
        network_code().se,
        network_code().networks,
    ], "measure it again: senas profile"
    assert path.stem == profile_name(space.name, profile.device.kind, profile.mode)
    assert profile.validation.networks >= 60
    assert profile.provenance.invocations == 1


def test_an_entry_is_measured_or_imputed():
    for wrong in ({}, {"measured": measurement(1.0), "imputed_ms": 1.0}):
        with pytest.raises(SenasError, match="found both or neither"):
            Entry(weight_bytes=1, operations=1, **wrong)
    assert Entry(weight_bytes=1, operations=1, imputed_ms=2.0).estimate_ms == 2.0


@needs_cuda
def test_a_space_is_profiled_on_a_gpu(tiny):
    profile = profile_space(tiny, device="cuda", seconds=2.0)
    profile.require(tiny, "cuda")
    assert profile.protocol.clock == "CUDA events"
    assert recheck(profile, seconds=0.5).device == profile.device
