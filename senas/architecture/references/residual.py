"""Residual networks for ImageNet and CIFAR."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from senas.architecture.cells import Basic, Bottleneck, Cell, PreActivationBasic, PreActivationBottleneck, ShakeShake
from senas.architecture.layers import ConvStem, LinearHead, Stem
from senas.architecture.network import Architecture, Input


def resnet(depths: tuple[int, ...]) -> Architecture:
    """Return ResNet-50, -101 or -152 for ImageNet (He et al. 2016, table 1), with stride 2 in the first 1x1."""
    return _imagenet(depths, Bottleneck)


def resnext(depths: tuple[int, ...]) -> Architecture:
    """Return ResNeXt 32x4d for ImageNet (Xie et al. 2017, table 1), with stride 2 in the grouped 3x3."""
    return _imagenet(depths, partial(Bottleneck, expansion=2, groups=32, strided="3x3"))


def resnet20() -> Architecture:
    """Return ResNet-20 for CIFAR (He et al. 2016, section 4.2, n = 3)."""
    return _cifar(3, (16, 32, 64), ConvStem(channels=16), Basic, LinearHead(classes=10))


def resnet110() -> Architecture:
    """Return ResNet-110 for CIFAR with pre-activation and zero-padding shortcuts (He et al. 2016b, section 4)."""
    plain = _cifar(18, (16, 32, 64), _preactivation_stem(16), PreActivationBasic, _preactivation_head())
    first = PreActivationBasic(stage=2, channels=16, shared=True)
    return replace(plain, cells=(first, *plain.cells[1:]))


def resnet164() -> Architecture:
    """Return ResNet-164 for CIFAR, with pre-activation bottlenecks (He et al. 2016b, section 4)."""
    return _cifar(18, (64, 128, 256), _preactivation_stem(16), PreActivationBottleneck, _preactivation_head())


def wrn16_8() -> Architecture:
    """Return the wide ResNet WRN-16-8 for CIFAR (Zagoruyko & Komodakis 2016, table 1: N = 2, k = 8)."""
    cell = partial(PreActivationBasic, shortcut="projection")
    return _cifar(2, (128, 256, 512), _preactivation_stem(16), cell, _preactivation_head())


def shake_shake_26_2x96d() -> Architecture:
    """Return Shake-Shake 26 2x96d for CIFAR (Gastaldi 2017, section 2.1)."""
    stem = ConvStem(channels=16, activation=None)
    return _cifar(4, (96, 192, 384), stem, ShakeShake, LinearHead(classes=10, activation="relu"))


def _imagenet(depths: tuple[int, ...], cell: Callable[..., Cell]) -> Architecture:
    return Architecture(
        input=Input(channels=3, size=224),
        stem=ConvStem(channels=64, kernel=7, stride=2, pool=True),
        cells=_stages(depths, (256, 512, 1024, 2048), cell),
        head=LinearHead(classes=1000),
    )


def _cifar(
    depth: int, widths: tuple[int, ...], stem: Stem, cell: Callable[..., Cell], head: LinearHead
) -> Architecture:
    cells = _stages((depth,) * len(widths), widths, cell)
    return Architecture(input=Input(channels=3, size=32), stem=stem, cells=cells, head=head)


def _stages(depths: tuple[int, ...], widths: tuple[int, ...], cell: Callable[..., Cell]) -> tuple[Cell, ...]:
    """Return the cells of stages 2 and up; the first cell of every stage but the first halves the size."""
    return tuple(
        cell(stage=stage, channels=channels, stride=2 if stage > 2 and index == 0 else 1)
        for stage, (depth, channels) in enumerate(zip(depths, widths, strict=True), start=2)
        for index in range(depth)
    )


def _preactivation_stem(channels: int) -> ConvStem:
    """Return a stem without batch norm and ReLU, which pre-activation cells start with."""
    return ConvStem(channels=channels, norm=False, activation=None)


def _preactivation_head() -> LinearHead:
    """Return a head that starts with the batch norm and ReLU that pre-activation cells do not end with."""
    return LinearHead(classes=10, norm=True, activation="relu")
