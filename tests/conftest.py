"""Shared fixtures: a space small enough to list, a profile made of a formula, one Ray for all tests."""

import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run in two processes; torch reads this when imported

import pytest

from senas.architecture.network import Part
from senas.latency.devices.environment import make_mode, this_device, this_software
from senas.latency.measurement.samples import Measurement
from senas.latency.prediction.calibration import Calibration
from senas.latency.prediction.features import structural_features
from senas.latency.prediction.validation import validate
from senas.latency.profile.code_version import network_code
from senas.latency.profile.profile import LatencyProfile
from senas.latency.profile.sections import Anchor, Entry, MeasurementProtocol, ProfiledSpace, Provenance
from senas.runs.config import RunRecord
from senas.spaces.space import SearchSpace
from senas.spaces.toml_file import load_space
from senas.testing import SMALL_SPACE

# both are ignored, here and in what tests start, if the tests run under nohup or in the background
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

_LONGEST = ["test_docs.py", "test_ray.py", "test_scripts.py", "test_cli.py", "test_references.py", "test_costs.py"]


@pytest.hookimpl(tryfirst=True)  # before --hypothesis-profile is looked at
def pytest_configure() -> None:
    """Few inputs, the same ones every time, in the ordinary suite; many new ones with --hypothesis-profile=long."""
    from hypothesis import HealthCheck, settings  # here, since Ray's workers import this module too

    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    common = settings(deadline=None, database=None, suppress_health_check=slow)
    settings.register_profile("short", common, max_examples=60, derandomize=True)
    settings.register_profile("long", common, max_examples=1_000, print_blob=True)
    settings.load_profile("short")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files that take longest first, so that no process waits long for another's last file."""
    position = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: (position.get(item.path.name, len(position)), item.get_closest_marker("slow") is None))


# a text, so that torch is imported where a test has the mark
needs_cuda = pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="needs a CUDA device")


@pytest.fixture
def tiny(tmp_path) -> SearchSpace:
    """A space of 2 * (5 + 25) * (3 + 3) * 2 = 720 architectures."""
    path = tmp_path / "tiny.toml"
    path.write_text(SMALL_SPACE)
    return load_space(path)


def smaller(space: SearchSpace) -> SearchSpace:
    """The same space on smaller images, which takes less time: 96 pixels for unpadded stems, 64 for the others."""
    size = min(space.input.size, 96 if space.backbone == "inception_resnet_v2" else 64)
    return replace(space, input=replace(space.input, size=size))


def formula_ms(part: Part) -> float:
    """A made-up latency: 1 microsecond per output element, 50 more for an SE block."""
    return 1e-3 * (
        part.out_shape.channels * part.out_shape.size**2 + 50 * (getattr(part.layer, "se", None) is not None)
    )


def measurement(ms: float) -> Measurement:
    """As if a module had taken the same every time."""
    return Measurement(estimate_ms=ms, interval=0.0, median_ms=ms, spread_ms=0.0, count=4)


def formula_profile(space: SearchSpace, **changes) -> LatencyProfile:
    """A profile of this machine whose every entry follows `formula_ms`, with a 95 % bound of 1.1."""
    anchor = space.cheapest(formula_ms)
    fields = {
        "space": ProfiledSpace(name=space.name, digest=space.digest),
        "device": this_device("cpu"),
        "software": this_software(),
        "code": network_code(),
        "mode": make_mode("cpu", space.input),
        "protocol": MeasurementProtocol(
            clock="a formula",
            seconds=1.0,
            rounds=1,
            sessions=1,
            precise_parts=1.0,
            precise_networks=1.0,
            dropped=0,
            share=1.0,
            seed=0,
        ),
        "calibration": Calibration(
            offset_ms=0.0, scale=1.0, ms_per_megabyte=0.0, ms_per_operation=0.0, ratios=(1.0,) * 18 + (1.1,)
        ),
        "validation": validate([1.0, 2.0], [1.0, 2.0], repeat_error=0.0),
        "provenance": Provenance(created="2026-01-01T00:00:00+00:00", seconds=1.0, invocations=1),
        "anchors": (Anchor(architecture=anchor, operations=50, latency_ms=sum(map(formula_ms, anchor.parts()))),),
        "entries": {
            part.key: Entry(
                weight_bytes=structural_features(part).weight_bytes,
                operations=structural_features(part).operations,
                measured=measurement(formula_ms(part)),
            )
            for part in dict.fromkeys([*space.parts, *(part.without_se() for part in space.parts)])
        },
    }
    return LatencyProfile(**{**fields, **changes})


def run_record(space: SearchSpace, **changes) -> RunRecord:
    """What a run of a space says of itself."""
    from senas.testing.sessions import made_up_record  # here, since it imports Ray and NNI, which takes seconds

    return replace(made_up_record(space, trials=10), **changes)


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """A local Ray that all searches of the session share, whose workers import the tests' evaluate functions."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")
    here = Path(__file__).parent
    folders = [here, *(path for path in here.iterdir() if path.is_dir())]
    given = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*map(str, folders), *([given] if given else [])])
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()
