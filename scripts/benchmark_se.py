"""Speed of the SE module relative to the common formulation, forward and backward, at the shapes of SE-ResNet-50.

The common formulation is that of timm's `SqueezeExcite`: mean over space, 1x1 convolution, ReLU, 1x1 convolution,
sigmoid, multiply. timm's own module is measured too if it can be imported. All variants run interleaved in one process.
Their times are printed as ratios to the common formulation: below 1 is faster. The time is the CPU time of one thread;
on CUDA it comes from device events, and `graph` and `compiled` replay CUDA graphs, so that the host takes no part.

    python scripts/benchmark_se.py --seconds 2 --mode eager compiled
    python scripts/benchmark_se.py --device cuda --mode eager graph compiled --batch 1 32 --dtype fp16
"""

import argparse
import copy
import itertools
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for a checkout that is not installed

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from senas.architecture import SEConfig
from senas.nn import SqueezeExcite, fuse_squeeze_excite

SHAPES = ((256, 56), (512, 28), (1024, 14), (2048, 7))  # channels and image size of each stage
REDUCTION = 16
MODES = ("eager", "graph", "compiled")
PASSES = ("forward", "backward")
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
GRAPH_CALLS = 20  # in one CUDA graph


class Common(nn.Module):
    """SE block with a mean and 1x1 convolutions on the squeezed vector."""

    def __init__(self, channels: int):
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // REDUCTION, 1)
        self.relu = nn.ReLU(inplace=True)
        self.expand = nn.Conv2d(channels // REDUCTION, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Recalibrate channels, (B, C, H, W) to the same."""
        return x * self.gate(self.expand(self.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


class AllModules(nn.Module):
    """SE block with linear layers and a torch module for every step."""

    def __init__(self, channels: int):
        super().__init__()
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.reduce = nn.Linear(channels, channels // REDUCTION)
        self.relu = nn.ReLU(inplace=True)
        self.expand = nn.Linear(channels // REDUCTION, channels)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Recalibrate channels, (B, C, H, W) to the same."""
        return x * self.gate(self.expand(self.relu(self.reduce(self.squeeze(x)))))[:, :, None, None]


class MeanAndFunctions(nn.Module):
    """SE block with a mean and linear layers, computed by functions without calling torch modules."""

    def __init__(self, channels: int):
        super().__init__()
        self.reduce = nn.Linear(channels, channels // REDUCTION)
        self.expand = nn.Linear(channels // REDUCTION, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Recalibrate channels, (B, C, H, W) to the same."""
        hidden = F.relu(F.linear(x.mean((2, 3)), self.reduce.weight, self.reduce.bias), inplace=True)
        return x * torch.sigmoid(F.linear(hidden, self.expand.weight, self.expand.bias))[:, :, None, None]


def timm_block(channels: int) -> nn.Module | None:
    """Return timm's own block; `None` if timm cannot be imported."""
    try:
        from timm.layers import SqueezeExcite as TimmBlock  # type: ignore[import-not-found]
    except Exception:  # it imports torchvision, which may be missing or built for another torch
        return None
    return TimmBlock(channels, rd_channels=channels // REDUCTION)


def variants(channels: int, *, fused: bool = False) -> dict[str, nn.Module]:
    """Return every variant, all with the same weights, by name; `fused` adds the one for inference on CUDA.

    Raises:
        AssertionError: Two variants that differ numerically.
    """
    common = Common(channels)
    found: dict[str, nn.Module] = {
        "senas": SqueezeExcite(channels, SEConfig(reduction=REDUCTION)),
        "linear, all modules": AllModules(channels),
        "linear, mean, functions": MeanAndFunctions(channels),
    }
    for module in found.values():
        weights = {name: value.flatten(1) if value.ndim > 1 else value for name, value in common.state_dict().items()}
        module.load_state_dict(weights)
    found = {"common": common, **found}
    if (timm := timm_block(channels)) is not None:
        names = {"fc1": "reduce", "fc2": "expand"}
        state = common.state_dict()
        timm.load_state_dict({n: state[n.replace(n[:3], names[n[:3]])] for n in timm.state_dict()})
        found["timm"] = timm
    if fused:
        found["senas, fused"] = fuse_squeeze_excite(copy.deepcopy(found["senas"]))
    device = "cuda" if fused else "cpu"
    x = torch.randn(2, channels, 5, 5, device=device)
    with torch.no_grad():
        expected = common.to(device)(x)
        for name, module in found.items():
            torch.testing.assert_close(module.to(device)(x), expected, msg=lambda text, name=name: f"{name}: {text}")
    return found


def ratios(
    modules: dict[str, Callable[[Tensor], Tensor]], x: Tensor, *, backward: bool, mode: str, seconds: float, seed: int
) -> dict[str, float]:
    """Return time of each variant / time of the common formulation: medians over interleaved rounds."""
    gradient = torch.randn_like(x)
    parameters = {
        name: list(module.parameters()) if isinstance(module, nn.Module) else [] for name, module in modules.items()
    }

    def run(name: str) -> None:
        if not backward:
            with torch.inference_mode():
                modules[name](x)
            return
        x.grad = None
        for parameter in parameters[name]:
            parameter.grad = None
        modules[name](x).backward(gradient)

    calls = {name: lambda name=name: run(name) for name in modules}
    if x.is_cuda and mode != "eager":
        calls = {name: _captured(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in modules}
    rng = np.random.default_rng(seed)
    for name in list(modules) * 5:
        calls[name]()
    start = time.monotonic()
    while time.monotonic() - start < seconds or len(samples["common"]) < 10:
        for name in rng.permutation(list(modules)):
            calls[name]()  # fills the caches
            samples[name].append(_timed(calls[name], x.device))
    medians = {name: float(np.median(values)) for name, values in samples.items()}
    return {name: value / medians["common"] for name, value in medians.items()}


def _captured(call: Callable[[], None]) -> Callable[[], None]:
    """Return a function that replays a CUDA graph of several calls, so that the host's launches take no time."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(GRAPH_CALLS):
            call()
    return graph.replay


def _timed(call: Callable[[], None], device: torch.device) -> float:
    """Return the time of a call in milliseconds."""
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)
    start = time.thread_time_ns()
    call()
    return (time.thread_time_ns() - start) / 1e6


def compiled(modules: dict[str, nn.Module], x: Tensor) -> dict[str, Callable[[Tensor], Tensor]] | str:
    """Return the two formulations that matter under `torch.compile`, or the reason why that does not work here."""
    torch.compiler.reset()  # above a limit of recompilations it would fall back to eager execution
    chosen = {name: modules[name] for name in ("common", "senas")}
    compiled_modules = {name: torch.compile(module, fullgraph=True, dynamic=False) for name, module in chosen.items()}
    try:
        with warnings.catch_warnings(), torch.inference_mode(not x.requires_grad):
            warnings.simplefilter("ignore")
            for module in compiled_modules.values():
                module(x)
    except Exception as error:  # such as no compiler or an unsupported platform
        return str(error).strip().splitlines()[0]
    return compiled_modules


def main() -> None:
    """Print for each mode and variant the median ratio over the shapes, and the ratio at each shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="Device to measure on.")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16], help="Batch sizes.")
    parser.add_argument(
        "--mode", nargs="+", choices=MODES, default=["eager"], help="Executions: eager, compiled; on CUDA graph too."
    )
    parser.add_argument("--pass", dest="passes", nargs="+", choices=PASSES, default=PASSES, help="Passes.")
    parser.add_argument("--memory-format", nargs="+", choices=FORMATS, default=FORMATS, help="Memory formats.")
    parser.add_argument("--dtype", choices=DTYPES, default="fp32", help="Number format of weights and images.")
    parser.add_argument("--seconds", type=float, default=1.0, help="Time for each shape and mode.")
    parser.add_argument("--seed", type=int, default=0, help="Random seed of weights and order.")
    parser.add_argument("--json", action="store_true", help="Print JSON lines.")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device: found cuda, but torch sees no CUDA device here, allowed: cpu")
    if arguments.device == "cpu" and "graph" in arguments.mode:
        parser.error("--mode: found graph on cpu, allowed: eager, compiled")
    if min(arguments.batch) < 1:
        parser.error(f"--batch: found {min(arguments.batch)}, allowed: at least 1")
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False  # as for matrix products: the common formulation has convolutions
    torch.manual_seed(arguments.seed)
    cases = itertools.product(arguments.batch, arguments.memory_format, arguments.mode, arguments.passes)
    for batch, memory_format, mode, direction in cases:
        shapes: list[dict[str, float]] = []
        backward = direction == "backward"
        for channels, size in SHAPES:
            place = {"device": arguments.device, "dtype": DTYPES[arguments.dtype]}
            fused = arguments.device == "cuda" and not backward
            modules = {name: module.to(**place) for name, module in variants(channels, fused=fused).items()}
            x = torch.randn(batch, channels, size, size, **place)
            x = x.to(memory_format=FORMATS[memory_format]).requires_grad_(backward)
            ready = compiled(modules, x) if mode == "compiled" else dict(modules)
            if isinstance(ready, str):
                parser.exit(1, f"torch.compile does not work here: {ready}\n")
            shapes.append(
                ratios(ready, x, backward=backward, mode=mode, seconds=arguments.seconds, seed=arguments.seed)
            )
        result = {
            "device": arguments.device,
            "torch": torch.__version__,
            "batch": batch,
            "dtype": arguments.dtype,
            "memory_format": memory_format,
            "mode": mode,
            "pass": "forward and backward" if backward else "forward",
            "ratios": {name: [shape[name] for shape in shapes] for name in shapes[0]},
        }
        if arguments.json:
            print(json.dumps(result), flush=True)
        else:
            _show(result)


def _show(row: dict[str, object]) -> None:
    """Print the ratios of one mode."""
    case = ", ".join(str(row[name]) for name in ("dtype", "memory_format", "mode", "pass"))
    print(f"batch {row['batch']}, {case}: time / common formulation")
    ratios_by_name = row["ratios"]
    assert isinstance(ratios_by_name, dict)
    for name, values in ratios_by_name.items():
        each = " ".join(f"{value:6.3f}" for value in values)
        print(f"  {name:26} median {float(np.median(values)):6.3f}   at {each}", flush=True)


if __name__ == "__main__":
    main()
