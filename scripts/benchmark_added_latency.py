"""Latency that SE blocks add to whole networks of the literature, in several executions on one device.

Each network is measured with and without its SE blocks, and ResNet-50 also without those of the final stage only. All
variants of a network in one execution are measured in interleaved rounds, by the device backends that make profiles.
SE has reduction 16; MobileNetV3 has the blocks of its paper. On CUDA, `compiled` is torch.compile with its kernels
replayed as a CUDA graph. ONNX Runtime is named with the providers that it has here, and not measured.

    python scripts/benchmark_added_latency.py --execution eager compiled
    python scripts/benchmark_added_latency.py --device cuda --dtype fp16 --memory-format channels_last --batch 1 32 \
        --execution eager graph compiled --json > added.jsonl
    python scripts/benchmark_added_latency.py --measured added.jsonl --plot added.png
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for a checkout that is not installed

from torch import Tensor, nn

import senas
from senas.latency import DeviceKind, make_mode, open_device
from senas.latency.measurement import Measurement, Rounds
from senas.nn import compiled, unlimited_compilation

SE = senas.SEConfig(reduction=16)
NETWORKS = ("resnet20", "resnet50", "mobilenet", "mobilenet_v3_large")
_INTERVAL = 0.005  # width of the 95 % interval, as a share of the latency, at which a measurement ends
_MIN_ROUNDS = 6
_BAR = 0.27  # width of a bar; 1 is that of a group


class Compiled(nn.Module):
    """A module whose forward pass is compiled."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module
        self._forward = compiled(module)

    def forward(self, images: Tensor) -> Tensor:
        """Run the compiled module."""
        return self._forward(images)


def variants(name: str) -> dict[str, senas.Architecture]:
    """Return a network without SE, with SE and, for ResNet-50, with SE in all stages but the final one, by name."""
    plain = senas.reference(name)
    if any(cell.se is not None for cell in plain.cells):  # its own blocks
        return {"plain": plain.without_se(), "se": plain}
    found = {"plain": plain, "se": senas.reference(name, se=SE)}
    if name == "resnet50":
        found["se, but in the final stage"] = senas.reference(name, se=SE, se_stages=plain.stages[:-1])
    return found


def measure(
    archs: dict[str, senas.Architecture],
    device: DeviceKind,
    execution: str,
    options: dict[str, str | int],
    seconds: float,
) -> dict[str, Measurement]:
    """Return the measurement of each variant of a network."""
    wrapped = execution == "compiled" and device == "cuda"
    network_input = archs["plain"].input
    mode = make_mode(device, network_input, execution="graph" if wrapped else execution, **options)  # type: ignore[arg-type]
    backend = open_device(device, mode)
    networks = {name: senas.build_network(arch) for name, arch in archs.items()}
    shape = network_input.shape.batch(mode.batch)
    with unlimited_compilation(), backend.running():
        modules = {name: (Compiled(net) if wrapped else net, shape) for name, net in networks.items()}
        rounds = Rounds(backend, modules, seed=0)
        rounds.measure(seconds=seconds, target=_INTERVAL, rounds=_MIN_ROUNDS)
        return rounds.results()


def runtime_providers() -> list[str] | None:
    """Return the execution providers of ONNX Runtime on this machine; `None` if it is not installed."""
    try:
        import onnxruntime  # type: ignore[import-not-found]
    except ImportError:
        return None
    return list(onnxruntime.get_available_providers())


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw what SE adds: a panel for each batch size, a group of bars for each network, a bar for each execution."""
    import matplotlib.pyplot as plt
    import numpy as np

    batches = sorted({row["batch"] for row in rows})
    executions = list(dict.fromkeys(row["execution"] for row in rows))
    figure, axes = plt.subplots(1, len(batches), figsize=(5.2 * len(batches), 3.6), sharey=True, squeeze=False)
    for axis, batch in zip(axes[0], batches, strict=True):
        for number, execution in enumerate(executions):
            found = [row for row in rows if (row["batch"], row["execution"]) == (batch, execution)]
            places = np.arange(len(found)) + (number - (len(executions) - 1) / 2) * _BAR
            bars = axis.bar(places, [100 * row["added"]["se"] for row in found], _BAR, label=execution)
            axis.bar_label(bars, fmt="%.0f", fontsize=7, padding=1)
            axis.set_xticks(range(len(found)), [row["network"].replace("_", "\n") for row in found], fontsize=8)
        axis.set_title(f"batch {batch}", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("latency that SE adds, %")
    axes[0][-1].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main() -> None:
    """Print a line for each network, batch size and execution."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="Device to measure on.")
    parser.add_argument("--network", nargs="+", default=NETWORKS, choices=NETWORKS, help="Networks.")
    parser.add_argument("--execution", nargs="+", default=["eager"], help="Executions: eager, compiled; on CUDA graph.")
    parser.add_argument("--dtype", default="fp32", help="Number format: fp32, bf16; on CUDA tf32, fp16.")
    parser.add_argument("--memory-format", default="contiguous", help="Memory format: contiguous or channels_last.")
    parser.add_argument("--batch", nargs="+", type=int, default=[1], help="Images per forward pass.")
    parser.add_argument("--seconds", type=float, default=5.0, help="Time for each network, batch size and execution.")
    parser.add_argument("--json", action="store_true", help="Print JSON lines.")
    parser.add_argument("--measured", type=Path, help="Lines of JSON of an earlier run; nothing is measured.")
    parser.add_argument("--plot", type=Path, help="Picture to write of what --measured holds.")
    arguments = parser.parse_args()
    if (arguments.measured is None) != (arguments.plot is None):
        parser.error("--measured, --plot: found one of them, expected both or neither")
    if arguments.plot is not None:
        try:
            draw([json.loads(line) for line in arguments.measured.read_text().splitlines()], arguments.plot)
        except (OSError, ValueError, KeyError) as error:
            parser.error(f"{arguments.measured}: not lines of JSON that --json printed ({error})")
        return
    for name, batch, execution in itertools.product(arguments.network, arguments.batch, arguments.execution):
        options = {"dtype": arguments.dtype, "memory_format": arguments.memory_format, "batch": batch}
        try:
            found = measure(variants(name), arguments.device, execution, options, arguments.seconds)
        except senas.SenasError as error:
            parser.error(str(error))
        plain_ms = found["plain"].estimate_ms
        added = {label: each.estimate_ms / plain_ms - 1 for label, each in found.items() if label != "plain"}
        if arguments.json:
            latencies = {label: each.estimate_ms for label, each in found.items()}
            intervals = {label: each.interval for label, each in found.items()}
            print(
                json.dumps(
                    {"network": name, "execution": execution, **options, "ms": latencies, "interval": intervals}
                    | {"added": added}
                ),
                flush=True,
            )
        else:
            more = ", ".join(f"{label} {share:+.1%}" for label, share in added.items())
            print(f"{name}, batch {batch}, {execution}, {arguments.dtype}: {plain_ms:.3f} ms; {more}", flush=True)
    providers = runtime_providers()
    if providers is not None and arguments.device == "cuda" and "CUDAExecutionProvider" not in providers:
        print(f"ONNX Runtime has no CUDAExecutionProvider here, only {', '.join(providers)}", file=sys.stderr)


if __name__ == "__main__":
    main()
