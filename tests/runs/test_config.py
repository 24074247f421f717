"""Options of a search: what they are if nobody says."""

import pytest

from senas.errors import SenasError
from senas.latency.devices import environment
from senas.runs.config import SearchOptions


def asked(**arguments) -> SearchOptions:
    return SearchOptions.from_arguments(**{"has_profile": False, "on_cuda": False, "here": True, **arguments})


def test_training_on_cuda_takes_a_gpu_for_each_trial():
    assert asked().gpus_per_trial == 0
    assert asked(on_cuda=True, here=False).gpus_per_trial == 1
    assert asked(on_cuda=True, here=False, gpus_per_trial=0.5).gpus_per_trial == 0.5


def test_as_many_trials_run_at_a_time_as_the_machine_has_gpus_or_cores_for(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert asked(cpus_per_trial=3).concurrency == 2
    assert asked(cpus_per_trial=9).concurrency == 1
    assert asked(cpus_per_trial=3, concurrency=5).concurrency == 5
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert environment.count_gpus() == 4
    assert asked(on_cuda=True).concurrency == 4
    assert asked(on_cuda=True, gpus_per_trial=0.5).concurrency == 8
    assert asked(on_cuda=True, gpus_per_trial=0.1).concurrency == 40  # 4 // 0.1 is 39
    assert asked(on_cuda=True, gpus_per_trial=1e-9).concurrency == 10_000
    assert asked(on_cuda=True, here=False).concurrency == 8  # the cluster's GPUs are not known yet
    assert asked(on_cuda=True, gpus_per_trial=0).concurrency == 8


def test_an_option_of_the_wrong_type_is_refused_before_it_is_calculated_with():
    with pytest.raises(SenasError, match="cpus_per_trial: found '2', expected a number"):
        asked(cpus_per_trial="2")


def test_the_objective_is_latency_where_there_is_a_profile_and_flops_elsewhere():
    assert asked(has_profile=True).objective == "latency"
    assert asked().objective == "flops"
