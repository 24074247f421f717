"""Latency profiles of several spaces, batch sizes and number formats, on a machine that only has torch and numpy.

`senas profile` does the same for one space and number format if senas and all its dependencies are installed.

    python scripts/profile_device.py se-resnet-imagenet se-resnet-cifar --device cuda --dtype fp16 fp32 --batch 1 32 128
"""

import argparse
import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for a checkout that is not installed

import senas
from senas.latency import (
    PROFILE_SECONDS,
    MeasureNetworks,
    make_mode,
    measure_in_subprocess,
    profile_name,
    write_profile,
)


def main(measure: MeasureNetworks = measure_in_subprocess) -> None:
    """Make every profile, write it to a file and print a line on it; `measure` measures the networks of a session."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", nargs="+", help="Shipped spaces or TOML files.")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="Device to measure.")
    parser.add_argument("--execution", help="Execution: eager or compiled; on CUDA graph or eager.")
    parser.add_argument("--dtype", nargs="+", default=["fp32"], help="Number formats: fp32, bf16; on CUDA tf32, fp16.")
    parser.add_argument("--batch", nargs="+", type=int, default=[1], help="Images per forward pass.")
    parser.add_argument("--memory-format", default="contiguous", help="Memory format: contiguous or channels_last.")
    parser.add_argument(
        "--seconds", type=float, default=PROFILE_SECONDS, help="Time limit of the measurement, per profile."
    )
    parser.add_argument("--share", type=float, default=1.0, help="Share of the cells with SE to measure.")
    parser.add_argument("--seed", type=int, default=0, help="Random seed for images, networks and order.")
    parser.add_argument("--out", type=Path, default=Path("profiles"), help="Folder for the files.")
    arguments = parser.parse_args()
    for name, dtype, batch in itertools.product(arguments.space, arguments.dtype, arguments.batch):
        start = time.monotonic()
        try:
            space = senas.load_space(name)
            mode = make_mode(
                arguments.device,
                space.input,
                execution=arguments.execution,
                dtype=dtype,
                batch=batch,
                memory_format=arguments.memory_format,
            )
            path = arguments.out / f"{profile_name(space.name, arguments.device, mode)}.json"
            profile = write_profile(
                path,
                space,
                arguments.device,
                mode,
                seconds=arguments.seconds,
                share=arguments.share,
                seed=arguments.seed,
                measure=measure,
            )
        except senas.SenasError as error:
            parser.error(str(error))
        check = profile.validation
        print(
            f"{path}: {len(profile.entries)} parts in {time.monotonic() - start:.0f} s; on {check.networks} networks "
            f"mean error {check.mean_error:.2%}, worst {check.worst_error:.2%}, Spearman {check.spearman:.4f}, "
            f"measured twice {check.repeat_error:.2%}, bound {profile.bound():.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
