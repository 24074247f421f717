"""FLOPs and parameters to the integer, what SE costs, budgets."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from conftest import formula_ms, formula_profile, smaller
from torch import nn

from senas.architecture.cells.basic import Basic
from senas.architecture.layers.heads import LinearHead
from senas.architecture.layers.stems import ConvStem
from senas.architecture.network import Architecture, Input
from senas.architecture.references.catalogue import reference
from senas.architecture.se import SEConfig
from senas.costs.budget import Budget, Cost, show_cost
from senas.costs.cost_model import CostModel
from senas.costs.feasibility import check_possible, cost_of
from senas.costs.flops import Complexity, complexity, count_module, part_complexity, whole_network_complexity
from senas.costs.se_cost import se_costs, summarize_se_costs
from senas.errors import SenasError
from senas.spaces.toml_file import load_space, shipped_spaces


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


@pytest.mark.slow  # traces 75 whole networks
@pytest.mark.parametrize("name", shipped_spaces())
def test_the_sum_over_parts_is_the_whole_network_for_random_architectures(name):
    """5 of each shipped space, one of them at its own size; `scripts/benchmark_costs.py` checks more of those."""
    rng, space = np.random.default_rng(0), load_space(name)
    for drawn in [space] + [smaller(space)] * 4:
        arch = drawn.random(rng)
        assert complexity(arch) == whole_network_complexity(arch)


@pytest.mark.slow  # counts every part of every shipped space
@pytest.mark.parametrize("name", shipped_spaces())
def test_the_cost_model_is_complexity_by_look_up_and_its_cheapest_and_costliest_bound_all_others(name):
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
    drawn = model.complexities(small.random_indices(np.random.default_rng(1), 5_000))
    for count, place in zip(drawn, ("flops", "params"), strict=True):
        least, most = (
            getattr(complexity(found(lambda part, place=place: getattr(part_complexity(part), place))), place)
            for found in (small.cheapest, small.costliest)
        )
        assert least <= count.min() < count.max() <= most


def test_the_cost_model_covers_every_sample_of_a_space(tiny):
    shares: list[float] = []
    model = CostModel(tiny, progress=shares.append)
    every = np.array(list(itertools.product(*(range(len(choice.options)) for choice in tiny.choices))))
    flops, params = model.complexities(every)
    expected = [complexity(tiny.architecture(tiny.sample_at(row))) for row in every]
    assert list(zip(flops.tolist(), params.tolist(), strict=True)) == [(cost.flops, cost.params) for cost in expected]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    most = tiny.costliest(lambda part: part_complexity(part).flops)
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
    cheapest = tiny.cheapest(formula_ms)
    least = cost_of(cheapest, profile)
    assert least.upper_ms is not None
    check_possible(tiny, Budget(latency_ms=least.upper_ms, flops=least.flops), profile)
    with pytest.raises(SenasError) as caught:
        check_possible(tiny, Budget(latency_ms=least.upper_ms * 0.99), profile)
    said = str(caught.value)
    assert cheapest.digest in said
    # By the formula: stem 256, stage 2 256, stage 3 8 * 16 = 128, stage 4 12 * 4 = 48, head 10 microseconds.
    assert said.endswith("of which the stem takes 37%")
    assert pytest.approx(0.37, abs=0.005) == 256 / (256 + 256 + 128 + 48 + 10)
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


def test_what_se_adds_beside_its_flops_worked_out_by_hand(tiny):
    costs = se_costs(tiny, formula_profile(tiny))
    assert {(c.stage, c.variant, c.se.reduction) for c in costs} == {
        *((2, way, r) for way in ("standard", "pre") for r in (2, 4)),
        *((3, "standard", r) for r in (2, 4)),
        (4, "standard", 4),
    }
    # Stage 2: one distinct body, 4 channels at 8x8: 256 elements take 0.256 ms, an SE block 0.050 ms more.
    stage2 = next(c for c in costs if (c.stage, c.variant, c.se.reduction) == (2, "standard", 2))
    assert (stage2.cells, stage2.batch, stage2.measured) == (1, 1, True)
    assert stage2.latency_ms == pytest.approx(0.050)
    assert stage2.latency_share == pytest.approx(50 / 256)
    # SE: pooling 256, 4 to 2 to 4 units 16; the body: two 3x3 convolutions, 2 * 9 * 16 * 64.
    assert stage2.flops == 256 + 16
    assert stage2.flops_share == pytest.approx((256 + 16) / (2 * 9 * 16 * 64))
    said = summarize_se_costs(costs)
    assert "to the latency of its cell (median " in said and said.endswith("%)")
    with pytest.raises(SenasError, match=r"space\.digest: found \w{16}, space tiny has \w{16}"):
        se_costs(replace(tiny, stem=replace(tiny.stem, kernel=5)), formula_profile(tiny))


def test_what_se_adds_is_said_to_be_imputed_where_it_was_not_measured(tiny):
    profile = formula_profile(tiny)
    key = next(key for key in profile.entries if "reduction=4" in key and "12" in key)
    guessed = replace(profile.entries[key], measured=None, imputed_ms=1.0)
    costs = se_costs(tiny, replace(profile, entries={**profile.entries, key: guessed}))
    assert [c.measured for c in costs].count(False) == 1
