"""Latency of one network: part by part as a profile predicts it, and measured in wall-clock time."""

from dataclasses import replace

import pytest
from conftest import formula_ms, formula_profile

import senas
from senas.costs.breakdown import complexity_breakdown
from senas.errors import ProfileError
from senas.io.documents import write_json
from senas.latency.measurement.wall_clock import measure_wall_clock
from senas.latency.profile.breakdown import latency_breakdown
from senas.latency.profile.comparison import compare_latency


@pytest.fixture
def arch(tiny):
    """A network with two SE blocks or more."""
    return tiny.costliest(formula_ms)


def test_parts_and_offset_add_up_to_the_prediction(tiny, arch):
    profile = formula_profile(tiny)
    profile = replace(profile, calibration=replace(profile.calibration, offset_ms=0.125, ms_per_operation=1e-4))
    found, whole = latency_breakdown(arch, profile), profile.predict(arch)
    assert (found.latency_ms, found.upper_ms, found.offset_ms) == (whole.latency_ms, whole.upper_ms, 0.125)
    assert found.offset_ms + sum(part.latency_ms for part in found.parts) == pytest.approx(whole.latency_ms)
    assert found.se_ms == pytest.approx(whole.latency_ms - profile.predict(arch.without_se()).latency_ms)
    # an SE block takes 50 us and six operations more, see `formula_ms`
    assert [part.se_ms > 0 for part in found.parts] == [
        getattr(part.layer, "se", None) is not None for part in arch.parts()
    ]
    assert found.parts[1].se_ms == pytest.approx(0.050 + 6e-4)
    assert not any(part.imputed for part in found.parts)


def test_imputed_parts_and_networks_beyond_the_anchors_are_marked(tiny, arch):
    profile = formula_profile(tiny)
    key = [*arch.parts()][1].key
    guessed = replace(profile.entries[key], measured=None, imputed_ms=0.3)
    found = latency_breakdown(arch, replace(profile, entries={**profile.entries, key: guessed}))
    assert [part.imputed for part in found.parts] == [part.key == key for part in arch.parts()]
    assert found.extrapolated  # the one anchor is the cheapest network, which takes less than two thirds of it
    assert not latency_breakdown(tiny.cheapest(formula_ms), profile).extrapolated


def test_a_profile_that_does_not_fit_is_refused(tiny, arch):
    profile = formula_profile(tiny)
    with pytest.raises(ProfileError, match=r"mode\.input: found 1x8x8, architecture \w{16} needs 3x32x32"):
        latency_breakdown(senas.reference("resnet20"), profile)
    with pytest.raises(ProfileError, match=r"entries: no measurement of 'stem"):
        latency_breakdown(replace(arch, stem=replace(arch.stem, kernel=5)), profile)
    with pytest.raises(ProfileError, match=r"code\.se: found other, this version of senas needs \w{16}"):
        latency_breakdown(arch, replace(profile, code=replace(profile.code, se="other")))
    with pytest.raises(ProfileError, match=r"validation\.mean_error: found 6\.00%"):
        latency_breakdown(arch, replace(profile, validation=replace(profile.validation, mean_error=0.06)))


def test_a_network_as_plain_data_has_its_latency_and_can_be_loaded(tiny, arch, tmp_path):
    profile = formula_profile(tiny)
    data = complexity_breakdown(arch, profile)
    path = tmp_path / "a.json"
    write_json(path, data)
    assert senas.Architecture.load(path) == arch
    assert data["latency_ms"] == profile.predict(arch).latency_ms
    parts = data["parts"]
    assert isinstance(parts, list) and sum(part["se_ms"] for part in parts) == pytest.approx(data["se_ms"])
    assert data["profile"] == {
        "digest": profile.digest,
        "device": profile.device.name,
        "mode": {
            "execution": "eager", "dtype": "fp32", "memory_format": "contiguous", "batch": 1, "threads": 1,
            "input": {"channels": 1, "size": 8},
        },
        "clock": "a formula",
    }  # fmt: skip
    assert "latency_ms" not in complexity_breakdown(arch)
    write_json(path, {**data, "digest": "0" * 16})
    with pytest.raises(senas.SenasError, match=rf"digest: found '0{{16}}', its architecture has {arch.digest}"):
        senas.Architecture.load(path)


def test_wall_clock_is_measured_in_the_mode_of_a_profile_on_its_device(tiny, arch):
    profile = formula_profile(tiny)
    network = senas.build_network(arch)
    found = measure_wall_clock(network, "cpu", profile.mode, seconds=0.1)
    assert 0 < found.median_ms <= found.high_ms
    assert found.threads == 1 and found.passes >= 40
    compared = compare_latency(network, arch, profile, seconds=0.1)
    assert compared.predicted == profile.predict(arch) and compared.measured is not None and not compared.reason
    elsewhere = compare_latency(network, arch, replace(profile, device=replace(profile.device, name="another")))
    assert elsewhere.measured is None
    assert elsewhere.reason == f"the profile is of another, this machine has {profile.device.name}"
