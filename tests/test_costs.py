"""FLOPs and parameters to the integer, latency profiles, budgets."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import formula_ms, formula_profile, smaller
from torch import nn

from senas.architecture import Architecture, Input
from senas.cells import Basic
from senas.costs.budget import Budget, Cost, check_possible, cost_of, show_cost
from senas.costs.complexity import Complexity, complexity, count_module, part_complexity, whole_network_complexity
from senas.costs.measure import Measurement, measure
from senas.costs.model import CostModel
from senas.costs.profile import Calibration, Device, LatencyProfile
from senas.costs.profiling import measure_architectures, profile_space, session_drift
from senas.errors import SenasError
from senas.layers.heads import LinearHead
from senas.layers.stems import ConvStem
from senas.references import reference
from senas.se import SEConfig
from senas.spaces.file import load_space, shipped_spaces


def test_a_small_network_counted_by_hand():
    arch = Architecture(
        input=Input(channels=1, size=4),
        stem=ConvStem(channels=2),
        cells=(Basic(stage=2, channels=4, stride=2, se=SEConfig(reduction=2)),),
        head=LinearHead(classes=3),
    )
    flops = (
        (9 * 1 * 2) * 16  # stem: 3x3, 1 to 2 channels, 4x4 outputs
        + (9 * 2 * 4) * 4  # first convolution: 2 to 4 channels, 2x2 outputs
        + (9 * 4 * 4) * 4  # second
        + 4 * 4 + (4 * 2 + 2 * 4)  # SE: pooling of 4x2x2 elements, 4 to 2 to 4 units
        + 4 * 4 + 4 * 3  # head: pooling, 4 to 3 logits
    )  # fmt: skip
    params = (
        (9 * 1 * 2 + 2 * 2)  # stem and its batch norm
        + (9 * 2 * 4 + 2 * 4) + (9 * 4 * 4 + 2 * 4)  # two convolutions with batch norm
        + (4 * 2 + 2) + (2 * 4 + 4)  # SE with biases
        + (4 * 3 + 3)  # head
    )  # fmt: skip
    assert complexity(arch) == whole_network_complexity(arch) == Complexity(flops=flops, params=params)


def test_resnet20_counts_as_in_the_literature():
    # He et al. 2016: 0.27 M parameters. SE adds, per cell of C channels, C * C/16 * 2 multiply-adds, the pooled
    # elements, and as many weights plus C/16 + C biases.
    plain, with_se = (complexity(reference("resnet20", se=se)) for se in (None, SEConfig(reduction=16)))
    assert plain == Complexity(flops=40_555_136, params=269_722)
    added = [(c, c // 16, size) for c, size in ((16, 32), (32, 16), (64, 8)) for _ in range(3)]
    assert with_se.flops - plain.flops == sum(2 * c * h + c * size * size for c, h, size in added) == 88_032
    assert with_se.params - plain.params == sum(2 * c * h + h + c for c, h, _ in added) == 2_373


def test_average_and_maximum_squeeze_cost_the_same_and_none_costs_more():
    counts = {
        squeeze: complexity(reference("resnet20", se=SEConfig(reduction=4, squeeze=squeeze)))
        for squeeze in ("avg", "max", "none")
    }
    assert counts["avg"] == counts["max"]
    assert counts["none"].flops > counts["avg"].flops
    assert counts["none"].params == counts["avg"].params


def test_batch_norm_is_free_and_pooling_is_not():
    assert count_module(nn.BatchNorm2d(4), (1, 4, 8, 8)).flops == 0
    assert count_module(nn.AdaptiveAvgPool2d(1), (1, 4, 8, 8)).flops == 4 * 8 * 8
    assert count_module(nn.AdaptiveMaxPool2d(1), (1, 4, 8, 8)).flops == 4 * 8 * 8


def test_the_sum_over_parts_is_the_whole_network_for_random_architectures():
    """14 of each shipped space, 2 of them at its own size; `scripts/benchmark_costs.py` checks more of those."""
    rng = np.random.default_rng(0)
    checked = 0
    for name in shipped_spaces():
        space = load_space(name)
        for drawn in [space] * 2 + [smaller(space)] * 12:
            arch = drawn.random(rng)
            assert complexity(arch) == whole_network_complexity(arch)
            checked += 1
    assert checked >= 200


@pytest.mark.parametrize("name", shipped_spaces())
def test_the_cost_model_is_complexity_by_look_up(name):
    small = smaller(load_space(name))
    model = CostModel(small)
    indices = small.random_indices(np.random.default_rng(0), 60)
    samples = [small.sample_at(row) for row in indices]
    assert [small.indices(sample).tolist() for sample in samples] == indices.tolist()
    expected = [complexity(small.architecture(sample)) for sample in samples]
    assert [model.complexity(sample) for sample in samples] == expected
    flops, params = model.complexities(indices.astype(np.int16))
    assert flops.tolist() == [cost.flops for cost in expected]
    assert params.tolist() == [cost.params for cost in expected]
    assert flops.dtype == params.dtype == np.int64


def test_the_cost_model_covers_every_sample_of_a_space(tiny):
    shares: list[float] = []
    model = CostModel(tiny, progress=shares.append)
    every = np.array(list(itertools.product(*(range(len(choice.options)) for choice in tiny.choices))))
    flops, params = model.complexities(every)
    expected = [complexity(tiny.architecture(tiny.sample_at(row))) for row in every]
    assert list(zip(flops.tolist(), params.tolist(), strict=True)) == [(cost.flops, cost.params) for cost in expected]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    most = tiny.extreme(lambda part: part_complexity(part).flops, largest=True)
    assert flops.max() == complexity(most).flops
    assert model.complexities(every[:0])[0].shape == (0,)


def test_the_cost_model_refuses_what_is_not_of_its_space(tiny):
    model = CostModel(tiny)
    sample = tiny.sample(np.random.default_rng(0))
    with pytest.raises(SenasError, match=r"depth\.stage2: found 7, allowed: 1, 2"):
        model.complexity({**sample, "depth.stage2": 7})
    with pytest.raises(SenasError, match=r"missing choice 'width\.stage3'"):
        model.complexity({label: option for label, option in sample.items() if label != "width.stage3"})
    row = tiny.indices(sample)[None]
    with pytest.raises(SenasError, match=r"found the shape \(1, 6\), expected \(N, 7\)"):
        model.complexities(row[:, :-1])
    with pytest.raises(SenasError, match="found numbers of float64, expected integers"):
        model.complexities(row + 0.5)
    assert model.complexities(row.tolist())[0].tolist() == [model.complexity(sample).flops]  # type: ignore[arg-type]
    with pytest.raises(SenasError, match=r"depth\.stage2: found 9, allowed: 0 to 1"):
        tiny.sample_at([9] * 7)
    row[0, 0] = 2
    with pytest.raises(SenasError, match=r"depth\.stage2: found 2, allowed: 0 to 1"):
        model.complexities(row)
    row[0, 0] = -1
    with pytest.raises(SenasError, match=r"depth\.stage2: found -1, allowed: 0 to 1"):
        model.complexities(row)


def test_the_other_places_of_se_that_the_paper_did_not_use_count_as_elsewhere():
    # Independent counts: SE-MobileNet with SE after the depthwise convolution, SE-ShuffleNet with SE on the output.
    inner, post = (SEConfig(reduction=16, integration=place) for place in ("inner", "post"))
    assert complexity(reference("mobilenet", se=inner)) == Complexity(flops=571_071_104, params=4_586_046)
    assert complexity(reference("shufflenet", se=post)) == Complexity(flops=139_921_152, params=2_594_908)


def test_extremes_are_the_extremes_of_many():
    rng = np.random.default_rng(0)
    for name in shipped_spaces():
        space = smaller(load_space(name))
        drawn = [complexity(space.random(rng)).params for _ in range(200)]
        least, most = (
            complexity(space.extreme(lambda part: part_complexity(part).params, largest=largest)).params
            for largest in (False, True)
        )
        assert least <= min(drawn) < max(drawn) <= most


def test_a_measurement_summarises_its_samples():
    found = Measurement.of([5.0, 1.0, 2.0, 4.0, 3.0])
    # Lower half of 1 2 3 4 5, the middle included: 1 2 3. Quartiles 2 and 4.
    assert found == Measurement(estimate_ms=2.0, median_ms=3.0, spread_ms=1.0, count=5)


def test_measuring_tells_more_work_from_less():
    modules = {
        channels: (nn.Conv2d(channels, channels, 3, padding=1), (1, channels, 24, 24)) for channels in (8, 32, 128)
    }
    threads = torch.get_num_threads()
    shares: list[float] = []
    found = measure(modules, seconds=0.1, seed=0, progress=shares.append)
    assert found[8].estimate_ms < found[32].estimate_ms < found[128].estimate_ms
    assert all(m.estimate_ms <= m.median_ms and m.count > 0 for m in found.values())
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert torch.get_num_threads() == threads


def test_a_measured_profile_predicts_and_round_trips(tiny, tmp_path):
    profile = profile_space(tiny, seconds=1.0)
    profile.save(tmp_path / "p.json")
    again = LatencyProfile.load(tmp_path / "p.json")
    assert again == profile
    again.require(tiny, "cpu")
    assert set(profile.entries) == {part.key for part in tiny.parts}
    arch = tiny.extreme(formula_ms, largest=True)
    found = profile.predict(arch)
    summed = sum(profile.entries[part.key].estimate_ms for part in arch.parts())
    assert found.latency_ms == pytest.approx(profile.calibration.scale * summed)
    assert found.upper_ms == pytest.approx(found.latency_ms * profile.calibration.bound)
    anchors = {anchor.architecture.digest: anchor.measured for anchor in profile.anchors}
    twice = {digest: replace(m, estimate_ms=2 * m.estimate_ms) for digest, m in anchors.items()}
    assert len(anchors) == 5
    assert session_drift(profile, anchors) == 1.0
    assert session_drift(profile, twice) == 2.0
    measured = measure_architectures([arch], seconds=0.3)[arch.digest].estimate_ms
    assert 0.5 < measured / found.latency_ms < 2  # a sanity check of units; accuracy is validated in the profile


def test_prediction_is_the_sum_over_cells(tiny):
    profile = formula_profile(tiny, calibration=Calibration(scale=2.0, bound=1.5))
    for seed in range(20):
        arch = tiny.random(np.random.default_rng(seed))
        expected = 2.0 * sum(map(formula_ms, arch.parts()))
        assert profile.predict(arch).latency_ms == pytest.approx(expected)
        assert profile.predict(arch).upper_ms == pytest.approx(1.5 * expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda p: replace(p, device=Device(kind="cuda", name="X", cores=2)),
            "device.kind: found cuda, the search needs cpu",
        ),
        (lambda p: replace(p, device=replace(p.device, name="Z80")), "device.name: found Z80, the search needs "),
        (
            lambda p: replace(p, mode=replace(p.mode, input=Input(channels=1, size=16))),
            "mode.input.size: found 16, the search needs 8",
        ),
        (
            lambda p: replace(p, entries=dict(list(p.entries.items())[1:])),
            "entries: no measurement of 'stem(channels=4) on 1x8x8'",
        ),
    ],
)
def test_a_profile_that_does_not_fit_is_refused_with_the_field_named(tiny, change, message):
    with pytest.raises(SenasError) as caught:
        change(formula_profile(tiny)).require(tiny, "cpu")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="senas-latency-profile/9"), "format: found 'senas-latency-profile/9'"),
        (lambda d: d["calibration"].update(scale=0.0), "calibration.scale: found 0.0, expected more than 0"),
        (
            lambda d: d["calibration"].update(scale=float("nan")),
            "calibration: scale: found nan, expected a finite number",
        ),
        (lambda d: d["calibration"].update(bound=0.5), "calibration.bound: found 0.5, expected at least 1"),
        (lambda d: d["entries"].clear(), "entries: found none"),
        (lambda d: next(iter(d["entries"].values())).update(estimate_ms=-1.0), "estimate_ms: found -1.0"),
        (lambda d: d["mode"].pop("batch"), "mode: missing key 'batch'"),
        (lambda d: d["mode"].update(dtype="fp8"), "mode: dtype: found 'fp8'"),
        (lambda d: d.update(unit="s"), "unknown key, found 'unit'"),
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


def test_budgets_hold_the_bound_of_the_latency_not_the_prediction():
    budget = Budget(latency_ms=1.0, flops=100)
    assert budget.keeps(Cost(flops=100, params=1, latency_ms=0.9, upper_ms=1.0))
    assert not budget.keeps(Cost(flops=100, params=1, latency_ms=0.9, upper_ms=1.01))
    assert not budget.keeps(Cost(flops=101, params=1, latency_ms=0.9, upper_ms=1.0))
    assert not budget.keeps(Cost(flops=1, params=1))  # an unknown latency keeps no latency budget
    for wrong in (0.0, -3.0, float("nan"), float("inf")):
        with pytest.raises(SenasError, match="expected a positive number"):
            Budget(latency_ms=wrong)


def test_an_impossible_budget_names_the_least_achievable_and_its_architecture(tiny):
    profile = formula_profile(tiny)
    cheapest = tiny.extreme(formula_ms)
    least = cost_of(cheapest, profile)
    assert least.upper_ms is not None
    check_possible(tiny, Budget(latency_ms=least.upper_ms, flops=least.flops), profile)
    with pytest.raises(SenasError) as caught:
        check_possible(tiny, Budget(latency_ms=least.upper_ms * 0.99), profile)
    said = str(caught.value)
    assert cheapest.digest in said
    named = float(said.split("smallest achievable is ")[1].split(" ms")[0])
    check_possible(tiny, Budget(latency_ms=named), profile)  # the number it gives works
    assert named == pytest.approx(least.upper_ms, abs=1e-3)
    with pytest.raises(SenasError, match="flops budget of space tiny: found 10, the smallest achievable is"):
        check_possible(tiny, Budget(flops=10), profile)


def test_costs_read_well():
    assert show_cost(1.5, "latency") == "1.500 ms"
    assert show_cost(40_555_136, "flops") == "40.555M"
    assert show_cost(13_803, "params") == "13.803k"
    assert show_cost(7, "params") == "7"
    for value in (1.23449, 0.1):
        assert float(show_cost(value, "latency", up=True).removesuffix(" ms")) >= value
