"""Measuring modules and networks: samples, rounds, device backends, sessions in processes of their own."""

import subprocess
import sys
import textwrap
import threading
import time
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import formula_ms, formula_profile, needs_cuda
from torch import nn

from senas.errors import SenasError
from senas.latency.devices.cpu import CpuBackend
from senas.latency.devices.cuda import copies
from senas.latency.devices.environment import make_mode, this_device
from senas.latency.devices.factory import open_device
from senas.latency.devices.readings import TimingSample
from senas.latency.measurement import session
from senas.latency.measurement.rounds import Rounds
from senas.latency.measurement.samples import Measurement, interval
from senas.latency.measurement.session import run_session, start_ahead
from senas.latency.measurement.wall_clock import measure_wall_clock
from senas.latency.profile.drift_check import run_profile_session
from senas.spaces.toml_file import load_space


@pytest.fixture
def mode(tiny):
    return make_mode("cpu", tiny.input)


def test_a_measurement_summarises_its_samples():
    found = Measurement.from_samples([TimingSample(ms) for ms in (5.0, 1.0, 2.0, 4.0, 3.0)])
    # Lower half of 1 2 3 4 5, the middle included: 1 2 3. Quartiles 2 and 4.
    assert (found.estimate_ms, found.median_ms, found.spread_ms, found.count) == (2.0, 3.0, 1.0, 5)
    assert found.host_ms is None
    assert Measurement.from_samples([TimingSample(1.0, 0.25), TimingSample(1.0, 0.75)]).host_ms == 0.5


def test_the_interval_of_an_estimate_holds_what_a_brute_force_bootstrap_holds():
    samples = np.sort(np.random.default_rng(1).gamma(4.0, size=40))
    rng = np.random.default_rng(2)
    means = [np.sort(rng.choice(samples, 40))[:20].mean() for _ in range(4000)]
    low, high = np.percentile(means, (2.5, 97.5))
    assert interval(samples) == pytest.approx((high - low) / samples[:20].mean(), rel=0.15)
    assert interval(np.full(10, 3.0)) == 0.0
    assert interval(np.array([3.0])) == float("inf")
    assert interval(np.repeat(samples, 16)) == pytest.approx(interval(samples) / 4, rel=0.25)  # 1 / sqrt(n)


def test_measuring_tells_more_work_from_less(mode):
    modules = {str(c): (nn.Conv2d(c, c, 3, padding=1), (1, c, 24, 24)) for c in (8, 32, 128)}
    threads = torch.get_num_threads()
    shares: list[float] = []
    backend = CpuBackend(mode)
    with backend.running():
        assert torch.get_num_threads() == 1
        rounds = Rounds(backend, modules, seed=0)
        rounds.measure(seconds=0.1, target=0.0, rounds=8, progress=shares.append)
        found = rounds.results()
    assert found["8"].estimate_ms < found["32"].estimate_ms < found["128"].estimate_ms
    assert all(m.estimate_ms <= m.median_ms and m.count >= 4 for m in found.values())
    assert rounds.rounds >= 8
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert torch.get_num_threads() == threads


class Metronome:
    """A device backend on which every module takes the time that its name says."""

    device = open_device("cpu", make_mode("cpu", load_space("se-resnet-digits").input)).device
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
            return TimingSample(shape[0] * (1 + self.noise * self.rng.random()))

        return take

    def forward_pass(self, module, shape, generator):
        return lambda: None


def modules(*names: int):
    return {str(name): (nn.Identity(), (name,)) for name in names}


def test_a_warm_up_tells_how_long_a_sample_of_each_module_takes():
    rounds = Rounds(Metronome(), modules(1, 2), seed=0)
    rounds.warm_up()
    assert set(rounds.sample_seconds) == {"1", "2"} and all(each >= 0 for each in rounds.sample_seconds.values())
    assert not any(rounds.samples.values())


def test_rounds_are_shuffled_interleaved_and_end_when_sure():
    backend = Metronome()
    rounds = Rounds(backend, modules(1, 2, 3, 4, 5), seed=0)
    rounds.measure(seconds=60, target=0.01, rounds=6)
    assert rounds.rounds == 6  # samples that never vary are sure at once
    measured = [backend.order[i : i + 5] for i in range(0, len(backend.order), 5)][-6:]
    assert all(sorted(order) == [1, 2, 3, 4, 5] for order in measured)
    assert len({tuple(order) for order in measured}) > 1
    assert {name: m.estimate_ms for name, m in rounds.results().items()} == {str(n): n for n in range(1, 6)}
    before, calls = rounds.rounds, len(backend.order)
    rounds.measure(seconds=60, target=0.01, rounds=2)
    assert rounds.rounds == before + 2
    assert len(backend.order) == calls + 3 * 5  # one round to be warm again, two that count


def test_what_is_noisy_is_measured_until_it_is_sure():
    counts = {}
    for noise in (0.02, 0.2):
        rounds = Rounds(Metronome(noise=noise), modules(1, 2), seed=0)
        rounds.measure(seconds=60, target=0.01, rounds=4)
        assert rounds.widest_interval() <= 0.01
        counts[noise] = rounds.rounds
    assert counts[0.02] < counts[0.2]


def test_disturbed_samples_are_dropped_and_the_device_given_up_in_the_end(monkeypatch):
    rounds = Rounds(Metronome(disturbed=0.5), modules(1, 2), seed=0)
    rounds.measure(seconds=60, target=0.01, rounds=20)
    kept = [m.count for m in rounds.results().values()]
    assert sum(kept) + rounds.dropped == 2 * rounds.rounds
    assert 4 <= min(kept) < rounds.rounds
    monkeypatch.setattr("senas.latency.measurement.rounds._PATIENCE_SECONDS", 0.0)
    rounds = Rounds(Metronome(disturbed=1.0), modules(1), seed=0)
    with pytest.raises(
        SenasError, match=r"measuring 1: found 0 undisturbed samples in .* the machine is too busy or throttled"
    ):
        rounds.measure(seconds=0.01, target=0.01, rounds=4)


def test_a_preempted_sample_is_dropped(mode):
    """A thread that spins on the same core preempts the one that measures."""
    stop = threading.Event()
    backend = CpuBackend(mode)
    with backend.running():
        take = backend.prepare(nn.Conv2d(64, 64, 3, padding=1), (1, 64, 48, 48), torch.Generator().manual_seed(0))
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

    backend = CpuBackend(replace(mode, dtype="bf16", memory_format="channels_last"))
    with backend.running():
        take = backend.prepare(Spy(), (2, 3, 8, 8), torch.Generator().manual_seed(0))
        assert (take() or take() or TimingSample(0)).ms > 0
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
    for refuse in (lambda kind: make_mode(kind, tiny.input), this_device):
        with pytest.raises(SenasError, match="device: found 'gpu', did you mean 'cpu'"):
            refuse("gpu")  # type: ignore[arg-type]


@pytest.mark.slow  # compiles ten modules
def test_compiled_modules_keep_their_code_apart(mode):
    """More modules of one class than torch.compile would compile of one function."""
    backend = CpuBackend(replace(mode, execution="compiled"))
    with backend.running():
        for size in range(4, 14):  # its limit is 8
            start = time.thread_time()
            take = backend.prepare(nn.Sequential(nn.ReLU()), (1, 2, size, size), torch.Generator().manual_seed(0))
            compiling_ms = 1e3 * (time.thread_time() - start)
            sample = next(filter(None, (take() for _ in range(1_000))))  # one that was not preempted
            assert sample.ms < compiling_ms / 10  # it does not compile again


def test_parts_rotate_among_as_many_copies_as_a_network_has_weights_and_memory_allows():
    mb = 10**6
    assert copies(1 * mb, 1 * mb, reuse_bytes=0, memory_bytes=10**9) == 1  # a whole network
    assert copies(1 * mb, 1 * mb, reuse_bytes=20 * mb, memory_bytes=10**9) == 10
    assert copies(1 * mb, 1 * mb, reuse_bytes=20 * mb, memory_bytes=8 * mb) == 4
    assert copies(1 * mb, 400 * mb, reuse_bytes=100 * mb, memory_bytes=280 * mb) == 1  # one batch fills the caches
    assert copies(0, 1, reuse_bytes=100 * mb, memory_bytes=10**9) == 64


@pytest.mark.slow  # starts processes that import torch
def test_a_session_measures_what_another_module_registers_whatever_that_prints(tmp_path):
    """200 kB on either stream would fill a pipe; the layer is known to the new process through its module alone."""
    (tmp_path / "foreign.py").write_text(
        textwrap.dedent("""
        import sys
        from dataclasses import dataclass
        from typing import ClassVar
        import senas
        from senas.architecture import Chain
        print("x" * 200_000)
        sys.stderr.write("y" * 200_000)
        @dataclass(frozen=True, kw_only=True, slots=True)
        class Nothing(senas.Cell):
            kind: ClassVar[str] = "nothing"
            def layout(self, in_shape):
                return Chain(self.se_at("standard"))
        senas.Cell.register(Nothing)
        """)
    )
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import senas
        from foreign import Nothing
        from senas.latency import make_mode
        from senas.latency.measurement import run_session
        from senas.architecture import ConvStem, LinearHead
        arch = senas.Architecture(input=senas.Input(channels=1, size=8), stem=ConvStem(channels=4),
                                  cells=(Nothing(stage=2),), head=LinearHead(classes=10))
        found = run_session("cpu", make_mode("cpu", arch.input), [], [arch], seconds=0.1)
        print(sorted(found.networks) == [arch.digest], found.networks[arch.digest].estimate_ms > 0)
        """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["True True"], done.stderr[-500:]


def test_a_session_whose_process_dies_says_why(tiny, monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise OSError('no such library')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SenasError, match=r"ended with status 1: OSError: no such library"):
        run_profile_session(formula_profile(tiny), [], seconds=0.1)


@needs_cuda
@pytest.mark.parametrize("execution", ["graph", "eager"])
@pytest.mark.parametrize("dtype", ["fp32", "tf32", "fp16", "bf16"])
def test_a_gpu_is_measured_the_same_way(tiny, execution, dtype):
    backend = open_device("cuda", make_mode("cuda", tiny.input, execution=execution, dtype=dtype), reuse_bytes=10**6)
    convolutions = {str(c): (nn.Conv2d(c, c, 3, padding=1), (8, c, 96, 96)) for c in (32, 256)}
    with backend.running():
        rounds = Rounds(backend, convolutions, seed=0)
        rounds.measure(seconds=0.5, target=0.01, rounds=6)
        found = rounds.results()
    assert found["32"].estimate_ms < found["256"].estimate_ms
    assert (found["32"].host_ms is None) == (execution == "graph")


@needs_cuda
@pytest.mark.parametrize("execution", ["graph", "eager"])
def test_wall_clock_on_a_gpu_covers_the_work_that_was_launched(tiny, execution):
    mode = make_mode("cuda", tiny.input, execution=execution, dtype="fp16")
    small, large = (
        measure_wall_clock(nn.Conv2d(1, c, 3, padding=1), "cuda", replace(mode, batch=4_096), seconds=0.5)
        for c in (8, 1_024)
    )
    assert 0 < small.median_ms < large.median_ms <= large.high_ms


@needs_cuda
def test_a_gpu_says_how_it_was_while_it_measured_and_gets_its_settings_back(tiny):
    backend = open_device("cuda", make_mode("cuda", tiny.input, dtype="tf32"))
    before = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    with backend.running():
        assert torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32
        rounds = Rounds(backend, {"convolution": (nn.Conv2d(64, 64, 3), (8, 64, 56, 56))}, seed=0)
        rounds.measure(seconds=0.3, target=0.01, rounds=6)
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before
    found = backend.conditions()
    assert found is not None, "NVML (package nvidia-ml-py) does not answer"
    assert found.readings >= len(rounds.samples["convolution"]) > 0
    assert found.sm_clock_mhz is not None and 100 < found.sm_clock_mhz[0] <= found.sm_clock_mhz[1] < 5_000
    assert found.power_w is not None and found.power_w[0] > 10
    assert backend.device.driver is not None


@needs_cuda
def test_a_batch_too_large_for_a_gpu_is_refused_in_one_line(tiny):
    backend = open_device("cuda", make_mode("cuda", tiny.input, batch=4096))
    with backend.running(), pytest.raises(SenasError, match=r"batch: found 4096, too large for the .* GiB of NVIDIA"):
        Rounds(backend, {"huge": (nn.Conv2d(3, 4096, 1), (4096, 3, 256, 256))}, seed=0)  # 4 TiB of output


@needs_cuda
def test_a_sum_of_parts_on_a_gpu_takes_as_long_as_their_sequence():
    """Replayed as graphs, so that the host takes no part: within 15 %, as long as each part is longer than a launch."""
    mode = make_mode("cuda", load_space("se-resnet-cifar").input, batch=64, dtype="fp32")
    backend = open_device("cuda", mode)
    parts = {str(n): nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()) for n in range(4)}
    shape = (64, 64, 32, 32)
    with backend.running():
        modules = {name: (part, shape) for name, part in parts.items()} | {
            "all": (nn.Sequential(*parts.values()), shape)
        }
        rounds = Rounds(backend, modules, seed=0)
        rounds.measure(seconds=1.0, target=0.01, rounds=10)
    found = rounds.results()
    assert sum(found[name].estimate_ms for name in parts) == pytest.approx(found["all"].estimate_ms, rel=0.15)


@pytest.mark.slow  # starts a process that imports torch
def test_a_process_that_was_started_ahead_is_that_of_the_next_session(tiny):
    assert start_ahead() > 0
    (waiting,) = session._waiting
    arch = tiny.cheapest(formula_ms)
    found = run_session("cpu", make_mode("cpu", tiny.input), [], [arch], seconds=0.1)
    assert found.networks[arch.digest].estimate_ms > 0
    assert not session._waiting and waiting._process.returncode is not None
