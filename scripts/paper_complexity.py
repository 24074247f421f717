"""Complexity of every network and ablation of the SE paper: the printed figures, senas' counts, and the difference.

    python scripts/paper_complexity.py

The figures are from Hu et al., Squeeze-and-Excitation Networks (TPAMI 2020), sections 5 to 7. senas counts the
multiply-adds of convolutions and linear layers, and one per input element of a global pooling.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import senas

_SE = senas.SEConfig(reduction=16)
_GRID = "no published definition of this network has 11.75 G at 299x299, and the authors released none of theirs"
_CLASS = "the paper prints the nominal class of 140 M and two digits of parameters; ShuffleNet's own paper has 137 M"


@dataclass(frozen=True, kw_only=True)
class Row:
    """Network of the paper.

    Attributes:
        name: Name in the paper.
        architecture: Architecture of the network in senas.
        gflops: Printed complexity in 1e9 multiply-adds; `None` if the paper gives none.
        params: Printed number of parameters in 1e6; `None` if the paper gives none.
        statistics: Whether the paper counts the running statistics of batch norm among the parameters.
        unmatched: Reason why the figures cannot agree; empty if they do.
    """

    name: str
    architecture: senas.Architecture
    gflops: float | None = None
    params: float | None = None
    statistics: bool = False
    unmatched: str = ""


def rows() -> Iterator[Row]:
    """Yield every row, in the order of the paper."""
    for name, title, plain, with_se in (
        ("resnet50", "ResNet-50", 3.86, 3.87),
        ("resnet101", "ResNet-101", 7.58, 7.60),
        ("resnet152", "ResNet-152", 11.30, 11.32),
        ("resnext50", "ResNeXt-50", 4.24, 4.25),
        ("resnext101", "ResNeXt-101", 7.99, 8.00),
        ("vgg16", "VGG-16", 15.47, 15.48),
        ("bn_inception", "BN-Inception", 2.03, 2.04),
        ("inception_resnet_v2", "Inception-ResNet-v2", 11.75, 11.76),
    ):
        why = _GRID if name == "inception_resnet_v2" else ""
        yield Row(name=title, architecture=senas.reference(name), gflops=plain, unmatched=why)
        yield Row(name=f"SE-{title}", architecture=senas.reference(name, se=_SE), gflops=with_se, unmatched=why)
    for name, title, (plain, params), (with_se, se_params), why in (
        ("mobilenet", "MobileNet", (0.569, 4.2), (0.572, 4.7), ""),
        ("shufflenet", "ShuffleNet", (0.140, 1.8), (0.142, 2.4), _CLASS),
    ):
        architecture = senas.reference(name, se=_SE)
        yield Row(name=title, architecture=architecture.without_se(), gflops=plain, params=params, unmatched=why)
        yield Row(name=f"SE-{title}", architecture=architecture, gflops=with_se, params=se_params, unmatched=why)
    yield from _ablations()
    for name, title in (
        ("resnet20", "ResNet-20"),
        ("resnet110", "ResNet-110"),
        ("resnet164", "ResNet-164"),
        ("wrn16_8", "WRN-16-8"),
        ("shake_shake_26_2x96d", "Shake-Shake 26 2x96d"),
    ):
        yield Row(name=title, architecture=senas.reference(name))
        yield Row(name=f"SE-{title}", architecture=senas.reference(name, se=_SE))
    on_sum = senas.SEConfig(reduction=16, integration="post")
    yield Row(
        name="SE-Shake-Shake 26 2x96d, SE on the sum", architecture=senas.reference("shake_shake_26_2x96d", se=on_sum)
    )


def _ablations() -> Iterator[Row]:
    """Yield the ablations of SE-ResNet-50, whose SE blocks have no biases in section 6."""

    def ablation(stages: tuple[int, ...] | None = None, **se: object) -> senas.Architecture:
        config = senas.SEConfig(**{"reduction": 16, "bias": False, **se})  # type: ignore[arg-type]
        return senas.reference("resnet50", se=config, se_stages=stages)

    for reduction, params in ((2, 45.7), (4, 35.7), (8, 30.7), (16, 28.1), (32, 26.9)):
        architecture = ablation(reduction=reduction)
        yield Row(name=f"reduction {reduction}", architecture=architecture, params=params, statistics=True)
    for squeeze in ("max", "avg"):
        yield Row(name=f"squeeze {squeeze}", architecture=ablation(squeeze=squeeze))
    for excitation in ("relu", "tanh", "sigmoid"):
        yield Row(name=f"excitation {excitation}", architecture=ablation(excitation=excitation))
    for stages, gflops, params in (((2,), 3.86, 25.6), ((3,), 3.86, 25.7), ((4,), 3.86, 26.4), (None, 3.87, 28.1)):
        title = "SE_All" if stages is None else f"SE_Stage_{stages[0]}"
        yield Row(name=title, architecture=ablation(stages), gflops=gflops, params=params, statistics=True)
    for integration in ("standard", "pre", "post", "identity"):
        yield Row(name=f"integration {integration}", architecture=ablation(integration=integration))
    yield Row(name="SE_3x3", architecture=ablation(integration="inner"), gflops=3.86, params=25.8, statistics=True)
    yield Row(name="NoSqueeze", architecture=ablation(squeeze="none"), gflops=4.27, params=28.1, statistics=True)


def statistics(architecture: senas.Architecture) -> int:
    """Return the number of running means and variances, which section 6 of the paper counts among the parameters."""
    with torch.device("meta"):
        network = senas.build_network(architecture)
    norms = (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    return sum(2 * norm.num_features for norm in norms)


def compared(row: Row) -> dict[str, object]:
    """Return a row together with the counts of senas, as plain data."""
    cost = senas.complexity(row.architecture)
    return {
        "name": row.name,
        "digest": row.architecture.digest,
        "paper_gflops": row.gflops,
        "flops": cost.flops,
        "paper_params": None if row.params is None else row.params * 1e6,
        "params": cost.params,
        "batch_norm_statistics": statistics(row.architecture),
        "paper_counts_statistics": row.statistics,
        "unmatched": row.unmatched or None,
    }


def main() -> None:
    """Print the comparison as a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    if parser.parse_args().json:
        print(json.dumps([compared(row) for row in rows()], indent=1))
        return
    table = Table(title="complexity of the networks of the SE paper", title_justify="left")
    table.add_column("network")
    for name in ("paper\nGFLOPs", "senas\nGFLOPs", "difference", "FLOPs"):
        table.add_column(name, justify="right")
    for name in ("paper\nM params", "senas\nM params", "with BN\nstatistics", "difference", "params"):
        table.add_column(name, justify="right")
    notes: dict[str, str] = {}
    for row in rows():
        cost, batch_norm = senas.complexity(row.architecture), statistics(row.architecture)
        if row.unmatched:
            notes.setdefault(row.unmatched, "*" * (len(notes) + 1))
        table.add_row(
            row.name + notes.get(row.unmatched, ""),
            "-" if row.gflops is None else f"{row.gflops:.3g}" if row.gflops < 1 else f"{row.gflops:.2f}",
            f"{cost.flops / 1e9:.3f}",
            _difference(row.gflops, cost.flops / 1e9),
            f"{cost.flops:,}",
            "-" if row.params is None else f"{row.params:.1f}",
            f"{cost.params / 1e6:.2f}",
            f"{(cost.params + batch_norm) / 1e6:.2f}",
            _difference(row.params, (cost.params + batch_norm * row.statistics) / 1e6),
            f"{cost.params:,}",
        )
    Console(width=160).print(table)
    print(
        "GFLOPs are 1e9 multiply-adds. From reduction 2 to NoSqueeze the paper counts the running statistics of batch"
    )
    print("norm among the parameters, and the difference there does as well.")
    for why, mark in notes.items():
        print(f"{mark} cannot be matched: {why}")


def _difference(paper: float | None, ours: float) -> str:
    """Return the relative difference of a count of senas from the paper's; empty if the paper gives none."""
    return "" if paper is None else f"{ours / paper - 1:+.2%}"


if __name__ == "__main__":
    main()
