"""Shared fixtures: a space small enough to list, a profile made of a formula, one Ray for all tests."""

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run in two processes; torch reads this when imported

import pytest

from senas.architecture import Part
from senas.costs.measure import Measurement, cpu_name
from senas.costs.profile import Anchor, Calibration, Device, LatencyProfile, Mode, Protocol, Software, Validation
from senas.spaces.file import load_space
from senas.spaces.space import SearchSpace

TINY_SPACE = """
name = "tiny"
backbone = "resnet20"
input = { channels = 1, size = 8 }
classes = 10
[se]
reduction = [2, 4]
integration = ["standard", "pre"]
[se.stage.3]
per = "stage"
integration = ["standard"]
[se.stage.4]
integration = ["standard"]
reduction = [4]
[depth]
stage.2 = [1, 2]
stage.3 = [1, 2]
stage.4 = [1]
[width]
stem = [4]
stage.2 = [4]
stage.3 = [8, 12]
stage.4 = [12]
"""


@pytest.fixture
def tiny(tmp_path) -> SearchSpace:
    """A space of 2 * (5 + 25) * (3 + 3) * 2 = 720 architectures."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_SPACE)
    return load_space(path)


def smaller(space: SearchSpace) -> SearchSpace:
    """The same space on smaller images, which takes less time: 96 pixels for unpadded stems, 64 for the others."""
    size = min(space.input.size, 96 if space.backbone == "inception_resnet_v2" else 64)
    return replace(space, input=replace(space.input, size=size))


def formula_ms(part: Part) -> float:
    """A made-up latency: 1 microsecond per output element, 50 more for an SE block."""
    return 1e-3 * (part.outflow.channels * part.outflow.size**2 + 50 * (getattr(part.layer, "se", None) is not None))


def formula_profile(space: SearchSpace, **changes) -> LatencyProfile:
    """A profile of this machine whose every entry follows `formula_ms`."""
    fields = {
        "created": "2026-01-01T00:00:00+00:00",
        "space": space.name,
        "device": Device(kind="cpu", name=cpu_name(), cores=2),
        "software": Software(senas="0", torch="0", python="0", system="0"),
        "mode": Mode(
            execution="eager", dtype="fp32", memory_format="contiguous", batch=1, threads=1, input=space.input
        ),
        "protocol": Protocol(clock="thread_cpu_time", estimator="lower_half_mean", seconds=0.0, seed=0),
        "calibration": Calibration(scale=1.0, bound=1.1),
        "validation": Validation(networks=19, mean_error=0.0, worst_error=0.0),
        "anchors": (Anchor(architecture=space.extreme(formula_ms), summed_ms=1.0, measured=Measurement.of([1.0])),),
        "entries": {
            part.key: Measurement(estimate_ms=formula_ms(part), median_ms=0.0, spread_ms=0.0, count=1)
            for part in space.parts
        },
    }
    return LatencyProfile(**{**fields, **changes})


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """A local Ray that all searches of the session share."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # workers import the tests' evaluate functions
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()
