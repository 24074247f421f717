"""Measuring latency, predicting it, bounding it; profiles as files; sessions that drift."""

import itertools
import json
import subprocess
import sys
import textwrap
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import formula_ms, formula_profile, measurement
from torch import nn

from senas.errors import SenasError
from senas.latency.bench import open_bench
from senas.latency.calibration import Calibration, Drift, Load
from senas.latency.cpu import CpuBench
from senas.latency.cuda import copies
from senas.latency.draft import Draft
from senas.latency.filling import choose_parts, fill
from senas.latency.identity import make_mode, profile_name, source_digest, this_code, this_device
from senas.latency.measurement import Measurement, Sample, interval
from senas.latency.model import LatencyModel
from senas.latency.parts import load_of
from senas.latency.plan import networks_seen
from senas.latency.profile import LatencyProfile
from senas.latency.profiling import profile_space
from senas.latency.rounds import Rounds
from senas.latency.sections import Entry
from senas.latency.sitting import anchor_errors, drift_of, recheck, sit_with
from senas.latency.validation import kendall, spearman, validate
from senas.spaces.file import load_space

ROOT = Path(__file__).parent.parent


@pytest.fixture
def mode(tiny):
    return make_mode("cpu", tiny.input)


# From samples to estimates


def test_a_measurement_summarises_its_samples():
    found = Measurement.of([Sample(ms) for ms in (5.0, 1.0, 2.0, 4.0, 3.0)])
    # Lower half of 1 2 3 4 5, the middle included: 1 2 3. Quartiles 2 and 4.
    assert (found.estimate_ms, found.median_ms, found.spread_ms, found.count) == (2.0, 3.0, 1.0, 5)
    assert found.host_ms is None
    assert Measurement.of([Sample(1.0, 0.25), Sample(1.0, 0.75)]).host_ms == 0.5


def test_the_interval_of_an_estimate_holds_what_a_brute_force_bootstrap_holds():
    samples = np.sort(np.random.default_rng(1).gamma(4.0, size=40))
    rng = np.random.default_rng(2)
    means = [np.sort(rng.choice(samples, 40))[:20].mean() for _ in range(4000)]
    low, high = np.percentile(means, (2.5, 97.5))
    assert interval(samples) == pytest.approx((high - low) / samples[:20].mean(), rel=0.15)
    assert interval(np.full(10, 3.0)) == 0.0
    assert interval(np.array([3.0])) == float("inf")
    assert interval(np.repeat(samples, 16)) == pytest.approx(interval(samples) / 4, rel=0.25)  # 1 / sqrt(n)


# Measuring


def test_measuring_tells_more_work_from_less(mode):
    modules = {str(c): (nn.Conv2d(c, c, 3, padding=1), (1, c, 24, 24)) for c in (8, 32, 128)}
    threads = torch.get_num_threads()
    shares: list[float] = []
    bench = CpuBench(mode)
    with bench.running():
        assert torch.get_num_threads() == 1
        rounds = Rounds(bench, modules, seed=0)
        rounds.go_on(seconds=0.1, target=0.0, rounds=8, progress=shares.append)
        found = rounds.results()
    assert found["8"].estimate_ms < found["32"].estimate_ms < found["128"].estimate_ms
    assert all(m.estimate_ms <= m.median_ms and m.count >= 4 for m in found.values())
    assert rounds.rounds >= 8
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert torch.get_num_threads() == threads


class Metronome:
    """A bench on which every module takes what its name says, so that the protocol can be seen at work."""

    device = open_bench("cpu", make_mode("cpu", load_space("se-resnet-digits").input)).device
    mode = make_mode("cpu", load_space("se-resnet-digits").input)
    clock = "none"

    def __init__(self, noise: float = 0.0, disturbed: float = 0.0):
        self.order: list[int] = []
        self.noise, self.disturbed = noise, disturbed
        self.rng = np.random.default_rng(0)

    def running(self):
        return nullcontext()

    def conditions(self):
        return None

    def prepare(self, module, shape, generator):
        def take():
            self.order.append(shape[0])
            if self.rng.random() < self.disturbed:
                return None
            return Sample(shape[0] * (1 + self.noise * self.rng.random()))

        return take


def modules(*names: int):
    return {str(name): (nn.Identity(), (name,)) for name in names}


def test_rounds_are_shuffled_interleaved_and_end_when_sure():
    bench = Metronome()
    rounds = Rounds(bench, modules(1, 2, 3, 4, 5), seed=0)
    rounds.go_on(seconds=60, target=0.01, rounds=6)
    assert rounds.rounds == 6  # samples that never vary are sure at once
    measured = [bench.order[i : i + 5] for i in range(0, len(bench.order), 5)][-6:]
    assert all(sorted(order) == [1, 2, 3, 4, 5] for order in measured)
    assert len({tuple(order) for order in measured}) > 1
    assert {name: m.estimate_ms for name, m in rounds.results().items()} == {str(n): n for n in range(1, 6)}
    before, calls = rounds.rounds, len(bench.order)
    rounds.go_on(seconds=60, target=0.01, rounds=2)
    assert rounds.rounds == before + 2
    assert len(bench.order) == calls + 3 * 5  # one round to be warm again, two that count


def test_what_is_noisy_is_measured_until_it_is_sure():
    counts = {}
    for noise in (0.02, 0.2):
        rounds = Rounds(Metronome(noise=noise), modules(1, 2), seed=0)
        rounds.go_on(seconds=60, target=0.01, rounds=4)
        assert rounds.widest() <= 0.01
        counts[noise] = rounds.rounds
    assert counts[0.02] < counts[0.2]


def test_disturbed_samples_are_dropped_and_the_device_given_up_in_the_end(monkeypatch):
    rounds = Rounds(Metronome(disturbed=0.5), modules(1, 2), seed=0)
    rounds.go_on(seconds=60, target=0.01, rounds=20)
    kept = [m.count for m in rounds.results().values()]
    assert sum(kept) + rounds.dropped == 2 * rounds.rounds
    assert 4 <= min(kept) < rounds.rounds
    monkeypatch.setattr("senas.latency.rounds._PATIENCE_SECONDS", 0.0)
    rounds = Rounds(Metronome(disturbed=1.0), modules(1), seed=0)
    with pytest.raises(SenasError, match=r"measuring 1: found 0 samples in .* the machine is too busy or throttled"):
        rounds.go_on(seconds=0.01, target=0.01, rounds=4)


def test_a_preempted_sample_is_dropped(mode):
    """A thread that spins on the same core preempts the one that measures."""
    stop = threading.Event()
    bench = CpuBench(mode)
    with bench.running():
        take = bench.prepare(nn.Conv2d(64, 64, 3, padding=1), (1, 64, 48, 48), torch.Generator().manual_seed(0))
        spinner = threading.Thread(target=lambda: [None for _ in iter(stop.is_set, True)])
        spinner.start()  # inherits the one core
        samples = [take() for _ in range(400)]
        stop.set()
        spinner.join()
    assert None in samples


def test_the_modes_of_a_cpu_really_run_so(mode):
    seen = {}

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            if not torch.compiler.is_compiling():
                seen.update(
                    dtype=x.dtype, training=self.training, last=x.is_contiguous(memory_format=torch.channels_last)
                )
            return self.conv(x)

    bench = CpuBench(replace(mode, dtype="bf16", memory_format="channels_last"))
    with bench.running():
        take = bench.prepare(Spy(), (2, 3, 8, 8), torch.Generator().manual_seed(0))
        assert (take() or take() or Sample(0)).ms > 0
    assert seen == {"dtype": torch.bfloat16, "training": False, "last": True}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"execution": "graph"}, "execution on cpu: found 'graph'"),
        ({"dtype": "fp16"}, "dtype on cpu: found 'fp16', did you mean 'bf16'"),
        ({"memory_format": "nhwc"}, "memory format on cpu: found 'nhwc'"),
        ({"batch": 0}, "batch: found 0, allowed: 1 to 4096"),
    ],
)
def test_a_mode_that_a_device_does_not_have_is_refused(tiny, change, message):
    with pytest.raises(SenasError) as caught:
        make_mode("cpu", tiny.input, **change)
    assert message in str(caught.value)


def test_compiled_modules_keep_their_code_apart(mode):
    """More modules of one class than torch.compile would compile of one function."""
    bench = CpuBench(replace(mode, execution="compiled"))
    with bench.running():
        for size in range(4, 14):  # its limit is 8
            take = bench.prepare(nn.Sequential(nn.ReLU()), (1, 2, size, size), torch.Generator().manual_seed(0))
            sample = take() or take()
            assert sample is not None and sample.ms < 50


# From parts to networks


def test_calibration_finds_the_coefficients_that_made_the_data():
    rng = np.random.default_rng(0)
    loads = [
        Load(entries_ms=float(ms), weight_bytes=int(size), operations=int(count))
        for ms, size, count in zip(
            rng.uniform(1, 3, 30), rng.uniform(1e6, 9e6, 30), rng.integers(40, 90, 30), strict=True
        )
    ]
    true = Calibration(offset_ms=0.2, scale=1.1, ms_per_megabyte=0.03, ms_per_operation=-0.001, ratios=())
    found = Calibration.fit(loads, [true.predict(load) for load in loads])
    assert found.offset_ms == pytest.approx(0.2)
    assert found.scale == pytest.approx(1.1)
    assert found.ms_per_megabyte == pytest.approx(0.03)
    assert found.ms_per_operation == pytest.approx(-0.001)
    cheaper = Calibration(offset_ms=0.2, scale=1.1, ms_per_megabyte=-0.03, ms_per_operation=0.0, ratios=())
    assert Calibration.fit(loads, [cheaper.predict(load) for load in loads]).ms_per_megabyte == 0.0
    weighty = [replace(load, operations=round(100 * load.entries_ms)) for load in loads]  # two terms say the same
    jumpy = [
        (0.02 * load.operations + 0.05 * load.weight_bytes / 1e6) * rng.normal(1.0, 0.01) - 0.1 * load.entries_ms
        for load in weighty
    ]
    found = Calibration.fit(weighty, jumpy)
    assert found.ms_per_megabyte == pytest.approx(0.05, rel=0.2) and found.scale > 0
    issued = [replace(load, weight_bytes=0, operations=round(100 * load.entries_ms)) for load in loads]
    noisy = [1 + 0.02 * load.operations - 0.1 * load.entries_ms for load in issued]
    assert Calibration.fit(issued, noisy).ms_per_operation == 0.0
    assert Calibration.fit(issued, noisy).scale == pytest.approx(1.9, rel=0.01)
    with pytest.raises(SenasError, match=r"calibration\.scale: found -"):
        Calibration.fit(loads, [10 - load.entries_ms for load in loads])


def test_a_prediction_is_the_formula(tiny):
    calibration = Calibration(
        offset_ms=0.1,
        scale=2.0,
        ms_per_megabyte=3.0,
        ms_per_operation=0.01,
        ratios=(0.9,) * 10 + (1.2,) * 9,
        drift=Drift(factor=1.5, ms_per_operation=0.002),
    )
    profile = formula_profile(tiny, calibration=calibration)
    model = LatencyModel(tiny, profile)
    rows = tiny.random_indices(np.random.default_rng(0), 50)
    latencies, uppers = model.latencies(rows)
    for row, latency, upper in zip(rows, latencies, uppers, strict=True):
        arch = tiny.architecture(tiny.sample_at(row))
        summed = sum(map(formula_ms, arch.parts()))
        weights = sum(load_of(part).weight_bytes for part in arch.parts()) / 1e6
        operations = sum(load_of(part).operations for part in arch.parts())
        then = 0.1 + 2.0 * summed + 3.0 * weights + 0.01 * operations
        expected = 1.5 * then + 0.002 * operations
        for found in (profile.predict(arch), model.latency(tiny.sample_at(row))):
            assert found.latency_ms == pytest.approx(latency) == pytest.approx(expected)
            assert found.upper_ms == pytest.approx(upper) == pytest.approx(1.2 * expected)
        offset = profile.calibration.offset_now
        assert offset + sum(map(profile.part_ms, arch.parts())) == pytest.approx(expected)


def test_operations_and_weights_of_a_part_counted_by_hand(tiny):
    with_se = next(part for part in tiny.parts if getattr(part.layer, "se", None) is not None)
    cell = with_se.without_se()
    # Two 3x3 convolutions of 4 channels with batch norm and ReLU, one addition; the shortcut is the identity.
    assert load_of(cell).operations == 2 + 2 + 2 + 1
    assert load_of(cell).weight_bytes == 4 * (2 * 9 * 4 * 4 + 2 * 2 * 4)
    assert load_of(cell, 2).weight_bytes == load_of(cell).weight_bytes // 2
    # SE: pooling, two layers, two activations, the product; 4 to 2 to 4 units with biases.
    assert load_of(with_se).operations == load_of(cell).operations + 6
    assert load_of(with_se).weight_bytes == load_of(cell).weight_bytes + 4 * (2 * 4 * 2 + 2 + 4)


def test_the_bound_is_the_split_conformal_one():
    def bound(count: int, confidence: float) -> float:
        ratios = tuple(1 + i / 1000 for i in range(count))
        return Calibration(offset_ms=0, scale=1, ms_per_megabyte=0, ms_per_operation=0, ratios=ratios).bound(confidence)

    assert bound(79, 0.95) == 1.075  # the 76th of 79: 80 * 0.95
    assert bound(19, 0.95) == 1.018  # the largest of 19
    assert bound(79, 0.5) == 1.039  # the 40th
    with pytest.raises(SenasError, match=r"confidence: found 0\.99, allowed with 79 networks: above 0, up to 0\.987"):
        bound(79, 0.99)
    for wrong in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(SenasError, match="confidence: found"):
            bound(79, wrong)
    below = Calibration(offset_ms=0, scale=1, ms_per_megabyte=0, ms_per_operation=0, ratios=(0.5,) * 19)
    assert below.bound(0.9) == 1.0  # never below the prediction itself


def test_the_conformal_bound_covers_what_it_promises():
    """Over many profiles with 79 networks each, 95 % of the next networks keep the bound."""
    rng = np.random.default_rng(0)
    kept = []
    for _ in range(3000):
        ratios = np.sort(1 + 0.01 * rng.standard_t(4, size=80))
        new = rng.integers(80)
        known = np.delete(ratios, new)
        bound = Calibration(offset_ms=0, scale=1, ms_per_megabyte=0, ms_per_operation=0, ratios=tuple(known)).bound(
            0.95
        )
        kept.append(ratios[new] <= bound)
    assert np.mean(kept) == pytest.approx(0.95, abs=0.012)  # three standard deviations of 3000 draws


def test_a_drift_is_found_and_taken_out_again():
    then, operations = [1.0, 2.0, 3.0, 2.5], [40, 60, 50, 90]
    true = Drift(factor=1.2, ms_per_operation=0.003)
    now = [true.now(ms, count) for ms, count in zip(then, operations, strict=True)]
    found = Drift.fit(then, now, operations)
    assert found.factor == pytest.approx(1.2)
    assert found.ms_per_operation == pytest.approx(0.003)
    assert [found.then(ms, n) for ms, n in zip(now, operations, strict=True)] == pytest.approx(then)
    one_disturbed = Drift.fit(
        [*then, 1.5, 2.2, 1.7], [*now, true.now(1.5, 70), true.now(2.2, 45), 4.0], [*operations, 70, 45, 60]
    )
    assert one_disturbed.now(2.0, 50) == pytest.approx(true.now(2.0, 50), rel=0.01)
    for unit in (1e-3, 1e3):  # whatever the unit
        scaled = Drift.fit([unit * ms for ms in then], [unit * ms for ms in now], operations)
        assert scaled.factor == pytest.approx(1.2)
        assert scaled.ms_per_operation == pytest.approx(0.003 * unit)
    alike = Drift.fit([1.0], [1.5], [40])  # one network cannot tell two numbers
    assert alike == Drift(factor=1.5)


def test_validation_figures_against_brute_force():
    rng = np.random.default_rng(0)
    measured = rng.uniform(1, 2, 12)
    predicted = measured * rng.uniform(0.92, 1.08, 12)
    found = validate(predicted.tolist(), measured.tolist(), repeat_error=0.01)
    errors = [abs(p / m - 1) for p, m in zip(predicted, measured, strict=True)]
    assert found.mean_error == pytest.approx(sum(errors) / 12)
    assert found.worst_error == pytest.approx(max(errors))
    assert found.within_5 == sum(error <= 0.05 for error in errors) / 12
    pairs = list(itertools.combinations(range(12), 2))
    agree = sum(np.sign((predicted[i] - predicted[j]) * (measured[i] - measured[j])) for i, j in pairs)
    assert found.kendall == pytest.approx(agree / len(pairs))
    ranks = [[sum(v < x for v in values) for x in values] for values in (predicted, measured)]
    assert found.spearman == pytest.approx(np.corrcoef(ranks[0], ranks[1])[0, 1])
    assert kendall(measured, -measured) == spearman(measured, -measured) == pytest.approx(-1)


# Entries that were not measured


def test_what_is_not_measured_is_filled_in_from_parts_like_it():
    """What SE adds follows a smooth law here, so half of the cells tell the other half."""
    space = load_space("se-resnet-cifar")

    def law(part) -> float:
        body = 1e-6 * part.inflow.channels * part.inflow.size**2 + 0.05
        se = getattr(part.layer, "se", None)
        if se is None:
            return body
        return body + 0.01 + 2e-7 * part.outflow.channels * part.outflow.size**2 * (1 + (se.integration == "pre"))

    parts = choose_parts(space.parts, 0.5, np.random.default_rng(0))
    with_se = [part for part in space.parts if part != part.without_se()]
    chosen = [part for part in parts if part != part.without_se()]
    assert len(chosen) == pytest.approx(len(with_se) / 2, abs=4)
    assert {part.without_se() for part in space.parts} <= set(parts)
    filled = fill(space.parts, {part: law(part) for part in parts})
    assert set(filled) == set(space.parts) - set(parts)
    errors = [abs(ms / law(part) - 1) for part, ms in filled.items()]
    assert np.mean(errors) < 0.01
    assert max(errors) < 0.10
    assert fill(parts, {part: law(part) for part in parts}) == {}
    assert set(choose_parts(space.parts, 1.0, np.random.default_rng(0))) >= set(space.parts)


# Whole profiles


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A profile of half of the parts of a small space, measured in a second or two."""
    from conftest import TINY_SPACE

    path = tmp_path_factory.mktemp("measured") / "tiny.toml"
    path.write_text(TINY_SPACE)
    space = load_space(path)
    shares: list[float] = []
    profile = profile_space(space, seconds=1.0, share=0.5, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    return space, profile


def test_a_measured_profile_predicts_and_round_trips(measured, tmp_path):
    space, profile = measured
    profile.save(tmp_path / "p.json")
    again = LatencyProfile.load(tmp_path / "p.json")
    assert again == profile
    assert again.digest == profile.digest
    again.require(space, "cpu")
    assert again.changes() == []
    assert {part.key for part in space.parts} <= set(profile.entries)
    filled = [entry for entry in profile.entries.values() if entry.measured is None]
    assert 0 < len(filled) < len(profile.entries)
    assert profile.validation.networks == len(profile.calibration.ratios) == 79
    assert profile.protocol.sittings == 8
    assert profile.bound(0.5) <= profile.bound(0.95)
    arch = space.extreme(formula_ms, largest=True)
    found = profile.predict(arch)
    assert found.upper_ms == found.latency_ms * profile.bound() >= found.latency_ms
    now = sit_with(profile, [arch], seconds=0.3).networks[arch.digest].estimate_ms
    assert 0.5 < now / found.latency_ms < 2  # a sanity check of units; accuracy is validated in the profile


def test_the_networks_of_a_profile_are_told_so_that_others_can_be_fresh(measured):
    space, profile = measured
    seen = networks_seen(space, profile.protocol.seed)
    assert len({arch.digest for arch in seen}) == 12 + 20 + 79
    assert [anchor.architecture for anchor in profile.anchors] == seen[:12]


def test_a_recheck_ties_predictions_to_the_session(measured):
    space, profile = measured
    arch = space.random(np.random.default_rng(5))
    slow = replace(
        profile, anchors=tuple(replace(anchor, latency_ms=anchor.latency_ms / 2) for anchor in profile.anchors)
    )
    tied = recheck(slow, seconds=0.5)
    ratio = tied.predict(arch).latency_ms / profile.predict(arch).latency_ms
    assert 1.2 < ratio < 3.5  # the machine seems to take twice as long
    assert tied.drifted(Drift()) == slow
    other = tuple(
        replace(anchor, latency_ms=anchor.latency_ms * (1.6 if number % 2 else 0.6))
        for number, anchor in enumerate(profile.anchors)
    )
    with pytest.raises(SenasError, match=r"anchors: measured again, found a factor of .* measure the space anew"):
        recheck(replace(profile, anchors=other), seconds=0.2)


def test_anchor_errors_are_what_a_drift_does_not_explain(tiny):
    profile = formula_profile(tiny)
    anchor = profile.anchors[0]
    now = {anchor.architecture.digest: measurement(3 * anchor.latency_ms)}
    drift = drift_of(profile.anchors, now)
    assert (drift.factor, drift.ms_per_operation) == (pytest.approx(3.0), 0.0)
    assert anchor_errors(profile.anchors, now, drift) == [pytest.approx(0.0)]
    assert anchor_errors(profile.anchors, now, Drift()) == [pytest.approx(2.0)]


def test_an_interrupted_measurement_goes_on_where_it_stopped(tiny, tmp_path):
    path = tmp_path / "p.json.draft"

    def interrupt(share: float) -> None:
        if path.exists() and len(Draft.of(json_task(path), path).sittings) >= 3:
            raise KeyboardInterrupt

    def json_task(of):
        from senas.parsing import read_json

        return read_json(of, Draft).task

    with pytest.raises(KeyboardInterrupt):
        profile_space(tiny, seconds=0.4, draft=path, progress=interrupt)
    kept = Draft.of(json_task(path), path)
    assert 3 <= len(kept.sittings) < 8
    with pytest.raises(SenasError, match=r"p\.json\.draft: seed: found a measurement begun with 0, this one has 1"):
        profile_space(tiny, seconds=0.4, seed=1, draft=path)
    profile = profile_space(tiny, seconds=0.4, draft=path)
    assert profile_space(tiny, seconds=0.4, draft=path).entries == profile.entries  # until the caller removes it
    assert profile.provenance.sessions == 2
    assert profile.protocol.sittings == 8
    assert profile.protocol.rounds >= kept.rounds + 2 * (8 - len(kept.sittings))
    assert all(entry.measured.count >= 8 for entry in profile.entries.values() if entry.measured)
    draft = json.loads(path.read_text())
    for sitting in draft["sittings"]:
        for found in (*sitting["anchors"].values(), *sitting["networks"].values()):
            found["estimate_ms"] = 1 / found["estimate_ms"]
    path.write_text(json.dumps(draft))
    with pytest.raises(SenasError, match=r"calibration\.\w+: found -.*; the machine is too busy"):
        profile_space(tiny, seconds=0.4, draft=path)
    assert not path.exists()  # or the next measurement would end there, too


def test_a_space_with_too_few_architectures_is_refused(tiny):
    one_stage = replace(tiny, stages=tuple(replace(stage, se=(None,), depths=(1,)) for stage in tiny.stages))
    with pytest.raises(SenasError, match="found 2 architectures, needs 51 to calibrate"):
        profile_space(one_stage, seconds=0.1)


# Profiles that do not fit, or are damaged; what they are of


def formula_change(section: str, **changes):
    return lambda profile: replace(profile, **{section: replace(getattr(profile, section), **changes)})


@pytest.mark.parametrize(
    ("change", "asked", "message"),
    [
        (formula_change("device", kind="cuda"), {}, "device.kind: found cuda, the search needs cpu"),
        (formula_change("device", name="Z80"), {}, "device.name: found Z80, the search needs "),
        (formula_change("space", digest="0" * 16), {}, "space.digest: found 0000000000000000, the search needs "),
        (
            formula_change("code", se="0" * 16),
            {},
            f"code.se: found 0000000000000000, the search needs {this_code().se}",
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
            "validation.mean_error: found 6.00%, allowed: at most its own limit of 5.00%",
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
    said = older.changes()
    assert said[0].startswith("torch 1.0, here ")
    assert said[1] == "the code that builds networks"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="senas-latency-profile/9"), "format: found 'senas-latency-profile/9'"),
        (lambda d: d.update(unit="us"), "unit: found 'us'"),
        (lambda d: d["calibration"].update(scale=0.0), "calibration: scale: found 0.0, expected more than 0"),
        (lambda d: d["calibration"].update(scale=float("nan")), "calibration: scale: found nan"),
        (lambda d: d["calibration"].update(ratios=[1.1, 1.0]), "ratios: found none, one of 0 or less, or not in order"),
        (lambda d: d["entries"].clear(), "entries, anchors: found none"),
        (lambda d: d["anchors"].clear(), "entries, anchors: found none"),
        (lambda d: entry(d).update(estimate_ms=-1.0), "estimate_ms: found -1.0, expected more than 0"),
        (lambda d: entry(d).update(estimate_ms=float("inf")), "estimate_ms: found inf, expected a finite number"),
        (lambda d: next(iter(d["entries"].values())).update(filled_ms=1.0), "measured and filled_ms: found both"),
        (lambda d: d["mode"].pop("batch"), "mode: missing key 'batch'"),
        (lambda d: d["mode"].update(dtype="fp8"), "mode: dtype: found 'fp8'"),
        (lambda d: d.update(units="s"), "unknown key, found 'units', did you mean 'unit'"),
        (lambda d: d.pop("hashes"), "hashes: found none or others"),
        (lambda d: d["hashes"].pop("entries"), "hashes: found none or others"),
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


def test_every_flipped_bit_of_a_profile_file_is_noticed(tiny, tmp_path):
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
    assert this_code().se != this_code().networks


def test_parts_rotate_among_as_many_copies_as_a_network_has_weights_and_memory_allows():
    mb = 10**6
    assert copies(1 * mb, 1 * mb, reuse_bytes=0, memory_bytes=10**9) == 1  # a whole network
    assert copies(1 * mb, 1 * mb, reuse_bytes=20 * mb, memory_bytes=10**9) == 10
    assert copies(1 * mb, 1 * mb, reuse_bytes=20 * mb, memory_bytes=8 * mb) == 4
    assert copies(1 * mb, 400 * mb, reuse_bytes=100 * mb, memory_bytes=280 * mb) == 1  # one batch fills the caches
    assert copies(0, 1, reuse_bytes=100 * mb, memory_bytes=10**9) == 64


def test_a_sitting_measures_what_another_module_registers_whatever_that_prints(tmp_path):
    """200 kB on either stream would fill a pipe; the layer is known to the new process through its module alone."""
    (tmp_path / "foreign.py").write_text(
        textwrap.dedent("""
        import sys
        from dataclasses import dataclass
        from typing import ClassVar
        import senas
        from senas.layers.layout import Chain
        print("x" * 200_000)
        sys.stderr.write("y" * 200_000)
        @dataclass(frozen=True, kw_only=True, slots=True)
        class Nothing(senas.Cell):
            kind: ClassVar[str] = "nothing"
            def layout(self, inflow):
                return Chain(self.se_at("standard"))
        senas.Cell.register(Nothing)
        """)
    )
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import senas
        from foreign import Nothing
        from senas.latency.identity import make_mode
        from senas.latency.sitting import sit
        from senas.layers.heads import LinearHead
        from senas.layers.stems import ConvStem
        arch = senas.Architecture(input=senas.Input(channels=1, size=8), stem=ConvStem(channels=4),
                                  cells=(Nothing(stage=2),), head=LinearHead(classes=10))
        found = sit("cpu", make_mode("cpu", arch.input), [], [arch], seconds=0.1)
        print(sorted(found.networks) == [arch.digest], found.networks[arch.digest].estimate_ms > 0)
        """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["True True"], done.stderr[-500:]


def test_a_process_of_a_sitting_that_dies_says_why(tiny, monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise OSError('no such library')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SenasError, match=r"ended with status 1: OSError: no such library"):
        sit_with(formula_profile(tiny), [], seconds=0.1)


@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*.json")), ids=lambda path: path.stem)
def test_the_shipped_profiles_describe_this_code_and_its_spaces(path):
    profile = LatencyProfile.load(path.stem)
    space = load_space(profile.space.name)
    on_its_device = replace(profile, device=replace(profile.device, kind="cpu", name=this_device("cpu").name))
    on_its_device.require(space, "cpu")
    assert profile.code == this_code(), "measure it again: senas profile"
    assert path.stem == profile_name(space.name, profile.device.kind, profile.mode)
    assert profile.validation.networks >= 60
    assert profile.provenance.sessions == 1


def test_an_entry_is_measured_or_filled_in():
    for wrong in ({}, {"measured": measurement(1.0), "filled_ms": 1.0}):
        with pytest.raises(SenasError, match="found both or neither"):
            Entry(weight_bytes=1, operations=1, **wrong)
    assert Entry(weight_bytes=1, operations=1, filled_ms=2.0).estimate_ms == 2.0


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@needs_cuda
@pytest.mark.parametrize("execution", ["graph", "eager"])
@pytest.mark.parametrize("dtype", ["fp32", "tf32", "fp16", "bf16"])
def test_a_gpu_is_measured_the_same_way(tiny, execution, dtype):
    bench = open_bench("cuda", make_mode("cuda", tiny.input, execution=execution, dtype=dtype), reuse_bytes=10**6)
    convolutions = {str(c): (nn.Conv2d(c, c, 3, padding=1), (8, c, 96, 96)) for c in (32, 256)}
    with bench.running():
        rounds = Rounds(bench, convolutions, seed=0)
        rounds.go_on(seconds=0.5, target=0.01, rounds=6)
        found = rounds.results()
    assert found["32"].estimate_ms < found["256"].estimate_ms
    assert (found["32"].host_ms is None) == (execution == "graph")


@needs_cuda
def test_a_space_is_profiled_on_a_gpu(tiny):
    profile = profile_space(tiny, device="cuda", seconds=2.0)
    profile.require(tiny, "cuda")
    assert profile.protocol.clock == "CUDA events"
    assert recheck(profile, seconds=0.5).device == profile.device
