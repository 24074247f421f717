"""Images per second that a streamed image folder gives, against a bare loop that decodes and resizes with Pillow.

    python scripts/benchmark_loading.py DIR --size 224 --images 4000

Both use as many processes, decode the same files in the same order, and take turns; what the ratio is of is the time
to have all batches in this process.
"""

import argparse
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from senas import Input, Loading, load_data
from senas.training.data.folders import list_image_folder


def bare(paths: list[str], size: int) -> int:
    """Decode files and resize them to squares, each into an array that is thrown away; return how many."""
    for path in paths:
        with Image.open(path) as image:
            np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))
    return len(paths)


def main() -> None:
    """Print the images per second of both in each round, and the median of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    network_input = Input(channels=3, size=arguments.size)
    train = load_data(f"imagefolder:{arguments.folder}", network_input, Loading(streamed=True)).train
    files = list_image_folder(arguments.folder).splits["train"]
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[: arguments.images]
    batches, processes = order.split(arguments.batch), torch.get_num_threads()
    print(f"{len(order)} images of {len(files)}, {processes} processes, batches of {arguments.batch}")
    ratios = {"middle": [], "random crop": []}
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        with ProcessPoolExecutor(processes) as pool:
            blocks = [[str(files[place]) for place in batch.tolist()] for batch in batches]
            assert sum(pool.map(bare, blocks, [arguments.size] * len(blocks))) == len(order)
        speed = len(order) / (time.perf_counter() - start)
        print(f"bare {speed:.0f} images/s", end="")
        for name, crop_seed in (("middle", None), ("random crop", 1)):
            start = time.perf_counter()
            assert sum(len(images) for images, _ in train.batches(batches, crop_seed=crop_seed)) == len(order)
            streamed = len(order) / (time.perf_counter() - start)
            ratios[name].append(streamed / speed)
            print(f", {name} {streamed:.0f} ({ratios[name][-1]:.2f})", end="", flush=True)
        print()
    for name, found in ratios.items():
        print(f"{name}: {statistics.median(found):.2f} times the bare loop's images/s")


if __name__ == "__main__":
    main()
