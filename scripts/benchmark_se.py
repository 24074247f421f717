"""Speed of the SE module relative to the common formulation, forward and backward, at the shapes of SE-ResNet-50.

The common formulation is that of timm's `SqueezeExcite`: mean over space, 1x1 convolution, ReLU, 1x1 convolution,
sigmoid, multiply. timm's own module is measured too if it can be imported. All variants run interleaved in one process.
Their times are printed as ratios to the common formulation: below 1 is faster. The time is the CPU time of one thread;
on CUDA it comes from device events.

    python scripts/benchmark_se.py --seconds 2
    python scripts/benchmark_se.py --device cuda --batch 64
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from senas.architecture import SEConfig
from senas.nn import SqueezeExcite

SHAPES = ((256, 56), (512, 28), (1024, 14), (2048, 7))  # channels and image size of each stage
REDUCTION = 16


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


def variants(channels: int) -> dict[str, nn.Module]:
    """Return every variant, all with the same weights, by name.

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
    x = torch.randn(2, channels, 5, 5)
    for name, module in found.items():
        torch.testing.assert_close(module(x), common(x), msg=name)
    return found


def ratios(
    modules: dict[str, Callable[[Tensor], Tensor]], x: Tensor, *, backward: bool, seconds: float, seed: int
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

    samples: dict[str, list[float]] = {name: [] for name in modules}
    rng = np.random.default_rng(seed)
    for name in list(modules) * 5:
        run(name)
    start = time.monotonic()
    while time.monotonic() - start < seconds or len(samples["common"]) < 10:
        for name in rng.permutation(list(modules)):
            run(name)  # fills the caches
            samples[name].append(_timed(lambda name=name: run(name), x.device))
    medians = {name: float(np.median(values)) for name, values in samples.items()}
    return {name: value / medians["common"] for name, value in medians.items()}


def _timed(call: Callable[[], None], device: torch.device) -> float:
    """Return the time of a call in milliseconds."""
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)
    start = time.thread_time_ns()
    call()
    return (time.thread_time_ns() - start) / 1e6


def compiled(modules: dict[str, nn.Module], x: Tensor) -> dict[str, Callable[[Tensor], Tensor]] | str:
    """Return the variants under `torch.compile`, or the reason why that does not work here."""
    torch.compiler.reset()  # above a limit of recompilations it would fall back to eager execution
    compiled_modules = {name: torch.compile(module, fullgraph=True, dynamic=False) for name, module in modules.items()}
    try:
        with warnings.catch_warnings():
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
    parser.add_argument("--batch", type=int, action="append", help="Batch size, may be repeated; 1 and 16 by default.")
    parser.add_argument("--seconds", type=float, default=1.0, help="Time for each shape and mode.")
    parser.add_argument("--compile", action="store_true", help="Measure under torch.compile as well.")
    parser.add_argument("--seed", type=int, default=0, help="Random seed of weights and order.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device: found cuda, but torch sees no CUDA device here, allowed: cpu")
    batches = arguments.batch or [1, 16]
    if min(batches) < 1:
        parser.error(f"--batch: found {min(batches)}, allowed: at least 1")
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    results: list[dict[str, object]] = []
    for batch in batches:
        for memory_format in (torch.contiguous_format, torch.channels_last):
            for mode in ("eager", "compiled") if arguments.compile else ("eager",):
                for backward in (False, True):
                    shapes: list[dict[str, float]] = []
                    for channels, size in SHAPES:
                        modules = {name: module.to(arguments.device) for name, module in variants(channels).items()}
                        x = torch.randn(batch, channels, size, size, device=arguments.device)
                        x = x.to(memory_format=memory_format).requires_grad_(backward)
                        ready = compiled(modules, x) if mode == "compiled" else dict(modules)
                        if isinstance(ready, str):
                            parser.exit(1, f"torch.compile does not work here: {ready}\n")
                        shapes.append(
                            ratios(ready, x, backward=backward, seconds=arguments.seconds, seed=arguments.seed)
                        )
                    result = {
                        "batch": batch,
                        "memory_format": str(memory_format).removeprefix("torch.").removesuffix("_format"),
                        "mode": mode,
                        "pass": "forward and backward" if backward else "forward",
                        "ratios": {name: [shape[name] for shape in shapes] for name in shapes[0]},
                    }
                    results.append(result)
                    if not arguments.json:
                        _show(result)
    if arguments.json:
        print(json.dumps({"device": arguments.device, "torch": torch.__version__, "results": results}))


def _show(row: dict[str, object]) -> None:
    """Print the ratios of one mode."""
    print(f"batch {row['batch']}, {row['memory_format']}, {row['mode']}, {row['pass']}: time / common formulation")
    ratios_by_name = row["ratios"]
    assert isinstance(ratios_by_name, dict)
    for name, values in ratios_by_name.items():
        each = " ".join(f"{value:6.3f}" for value in values)
        print(f"  {name:26} median {float(np.median(values)):6.3f}   at {each}", flush=True)


if __name__ == "__main__":
    main()
