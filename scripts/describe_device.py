"""Description of this machine's device and software, and the time that a measurement session needs to start."""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for a checkout that is not installed

_READINGS = 20


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="Device to describe.")
    device = parser.parse_args().device
    began = time.monotonic()
    import torch

    imported = time.monotonic()
    from senas.latency.devices import this_device, this_software

    found = {
        "device": asdict(this_device(device)),
        "software": asdict(this_software()),
        "import_torch_seconds": imported - began,
    }
    if device == "cuda":
        found |= _describe_gpu(torch)
    for package in ("triton", "onnxruntime", "ray", "nni", "fvcore"):
        command = [sys.executable, "-c", f"import {package}; print({package}.__version__)"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        found[package] = answer.stdout.strip() if answer.returncode == 0 else None
    print(json.dumps(found, indent=1))


def _describe_gpu(torch) -> dict[str, object]:
    """Return what a GPU is and how long its first use and a reading of its state take."""
    from senas.latency.devices.nvml import open_gpu

    start = time.monotonic()
    torch.zeros(1, device="cuda").item()
    context = time.monotonic()
    torch.nn.Conv2d(3, 8, 3).cuda()(torch.zeros(1, 3, 8, 8, device="cuda")).sum().item()
    convolution = time.monotonic()
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    gpu = open_gpu(str(properties.uuid))
    found = {
        "memory_bytes": properties.total_memory,
        "cache_bytes": properties.L2_cache_size,
        "context_seconds": context - start,
        "first_convolution_seconds": convolution - context,
        "nvml": gpu is not None,
        "nvidia_smi": subprocess.run(["nvidia-smi"], capture_output=True, text=True, check=False).stdout,
    }
    if gpu is not None:
        start = time.monotonic()
        readings = [gpu.read() for _ in range(_READINGS)]
        found |= {
            "driver": gpu.driver,
            "reading_ms": (time.monotonic() - start) / _READINGS * 1e3,
            "reading": asdict(readings[-1]),
        }
    return found


if __name__ == "__main__":
    main()
