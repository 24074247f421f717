"""From measurements to predictions: calibration, features, bounds, drift, validation, imputation."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from conftest import formula_ms, formula_profile

from senas.errors import SenasError
from senas.latency.prediction.calibration import Calibration, Drift, PredictorFeatures
from senas.latency.prediction.features import structural_features
from senas.latency.prediction.imputation import choose_parts, impute
from senas.latency.prediction.validation import kendall, spearman, validate
from senas.latency.profile.lookup import LatencyModel
from senas.spaces.toml_file import load_space


def test_calibration_finds_the_coefficients_that_made_the_data():
    rng = np.random.default_rng(0)
    features = [
        PredictorFeatures(entries_ms=float(ms), weight_bytes=int(size), operations=int(count))
        for ms, size, count in zip(
            rng.uniform(1, 3, 30), rng.uniform(1e6, 9e6, 30), rng.integers(40, 90, 30), strict=True
        )
    ]
    true = Calibration(offset_ms=0.2, scale=1.1, ms_per_megabyte=0.03, ms_per_operation=-0.001, ratios=())
    found = Calibration.fit(features, [true.predict(each) for each in features])
    assert found.offset_ms == pytest.approx(0.2)
    assert found.scale == pytest.approx(1.1)
    assert found.ms_per_megabyte == pytest.approx(0.03)
    assert found.ms_per_operation == pytest.approx(-0.001)
    cheaper = Calibration(offset_ms=0.2, scale=1.1, ms_per_megabyte=-0.03, ms_per_operation=0.0, ratios=())
    assert Calibration.fit(features, [cheaper.predict(each) for each in features]).ms_per_megabyte == 0.0
    weighty = [replace(each, operations=round(100 * each.entries_ms)) for each in features]  # two terms say the same
    jumpy = [
        (0.02 * each.operations + 0.05 * each.weight_bytes / 1e6) * rng.normal(1.0, 0.01) - 0.1 * each.entries_ms
        for each in weighty
    ]
    found = Calibration.fit(weighty, jumpy)
    assert found.ms_per_megabyte == pytest.approx(0.05, rel=0.2) and found.scale > 0
    issued = [replace(each, weight_bytes=0, operations=round(100 * each.entries_ms)) for each in features]
    noisy = [1 + 0.02 * each.operations - 0.1 * each.entries_ms for each in issued]
    assert Calibration.fit(issued, noisy).ms_per_operation == 0.0
    assert Calibration.fit(issued, noisy).scale == pytest.approx(1.9, rel=0.01)
    with pytest.raises(SenasError, match=r"calibration\.scale: found -"):
        Calibration.fit(features, [10 - each.entries_ms for each in features])


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
        weights = sum(structural_features(part).weight_bytes for part in arch.parts()) / 1e6
        operations = sum(structural_features(part).operations for part in arch.parts())
        at_profile_ms = 0.1 + 2.0 * summed + 3.0 * weights + 0.01 * operations
        expected = 1.5 * at_profile_ms + 0.002 * operations
        for found in (profile.predict(arch), model.latency(tiny.sample_at(row))):
            assert found.latency_ms == pytest.approx(latency) == pytest.approx(expected)
            assert found.upper_ms == pytest.approx(upper) == pytest.approx(1.2 * expected)
        offset = profile.calibration.current_offset_ms
        assert offset + sum(map(profile.part_ms, arch.parts())) == pytest.approx(expected)


def test_operations_and_weights_of_a_part_counted_by_hand(tiny):
    with_se = next(part for part in tiny.parts if getattr(part.layer, "se", None) is not None)
    cell = with_se.without_se()
    # Two 3x3 convolutions of 4 channels with batch norm and ReLU, one addition; the shortcut is the identity.
    assert structural_features(cell).operations == 2 + 2 + 2 + 1
    assert structural_features(cell).weight_bytes == 4 * (2 * 9 * 4 * 4 + 2 * 2 * 4)
    assert structural_features(cell, 2).weight_bytes == structural_features(cell).weight_bytes // 2
    # SE: pooling, two layers, two activations, the product; 4 to 2 to 4 units with biases.
    assert structural_features(with_se).operations == structural_features(cell).operations + 6
    assert structural_features(with_se).weight_bytes == structural_features(cell).weight_bytes + 4 * (2 * 4 * 2 + 2 + 4)


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
    at_profile_ms, operations = [1.0, 2.0, 3.0, 2.5], [40, 60, 50, 90]
    true = Drift(factor=1.2, ms_per_operation=0.003)
    current_ms = [true.current_ms(ms, count) for ms, count in zip(at_profile_ms, operations, strict=True)]
    found = Drift.fit(at_profile_ms, current_ms, operations)
    assert found.factor == pytest.approx(1.2)
    assert found.ms_per_operation == pytest.approx(0.003)
    assert [found.at_profile_ms(ms, n) for ms, n in zip(current_ms, operations, strict=True)] == pytest.approx(
        at_profile_ms
    )
    one_disturbed = Drift.fit(
        [*at_profile_ms, 1.5, 2.2, 1.7],
        [*current_ms, true.current_ms(1.5, 70), true.current_ms(2.2, 45), 4.0],
        [*operations, 70, 45, 60],
    )
    assert one_disturbed.current_ms(2.0, 50) == pytest.approx(true.current_ms(2.0, 50), rel=0.01)
    for unit in (1e-3, 1e3):  # whatever the unit
        scaled = Drift.fit([unit * ms for ms in at_profile_ms], [unit * ms for ms in current_ms], operations)
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


def test_what_is_not_measured_is_imputed_from_parts_like_it():
    """What SE adds follows a smooth law here, so half of the cells tell the other half."""
    space = load_space("se-resnet-cifar")

    def law(part) -> float:
        body = 1e-6 * part.in_shape.channels * part.in_shape.size**2 + 0.05
        se = getattr(part.layer, "se", None)
        if se is None:
            return body
        return body + 0.01 + 2e-7 * part.out_shape.channels * part.out_shape.size**2 * (1 + (se.integration == "pre"))

    parts = choose_parts(space.parts, 0.5, np.random.default_rng(0))
    with_se = [part for part in space.parts if part != part.without_se()]
    chosen = [part for part in parts if part != part.without_se()]
    assert len(chosen) == pytest.approx(len(with_se) / 2, abs=4)
    assert {part.without_se() for part in space.parts} <= set(parts)
    imputed = impute(space.parts, {part: law(part) for part in parts})
    assert set(imputed) == set(space.parts) - set(parts)
    errors = [abs(ms / law(part) - 1) for part, ms in imputed.items()]
    assert np.mean(errors) < 0.01
    assert max(errors) < 0.10
    assert impute(parts, {part: law(part) for part in parts}) == {}
    assert set(choose_parts(space.parts, 1.0, np.random.default_rng(0))) >= set(space.parts)
