"""The networks BN-Inception and Inception-ResNet-v2."""

from typing import Literal

from senas.architecture.cells import Cell, Inception, InceptionReduction, InceptionResNet
from senas.architecture.layers import ConvHead, InceptionResNetStem, InceptionStem, LinearHead
from senas.architecture.network import Architecture, Input


def bn_inception() -> Architecture:
    """Return BN-Inception for ImageNet (Ioffe & Szegedy 2015, figure 5), in the sizes of the released Caffe model.

    A module of stride 2 is the first cell of the stage that has its output resolution: 3c of stage 4, 4e of stage 5.
    """
    sizes: dict[int, list[tuple[int, tuple[int, int], tuple[int, int], Literal["avg", "max"], int]]] = {
        # channels of 1x1, 3x3 (reduced, out) and double 3x3 (reduced, out); kind of pooling and its channels
        3: [(64, (64, 64), (64, 96), "avg", 32), (64, (64, 96), (64, 96), "avg", 64)],
        4: [
            (0, (128, 160), (64, 96), "max", 0),
            (224, (64, 96), (96, 128), "avg", 128),
            (192, (96, 128), (96, 128), "avg", 128),
            (160, (128, 160), (128, 160), "avg", 128),
            (96, (128, 192), (160, 192), "avg", 128),
        ],
        5: [
            (0, (128, 192), (192, 256), "max", 0),
            (352, (192, 320), (160, 224), "avg", 128),
            (352, (192, 320), (192, 224), "max", 128),
        ],
    }
    cells = (
        Inception(
            stage=stage,
            pointwise=pointwise,
            single=single,
            double=double,
            pooling=pooling,
            pooled=pooled,
            stride=2 if pooled == 0 else 1,
        )
        for stage, modules in sizes.items()
        for pointwise, single, double, pooling, pooled in modules
    )
    return Architecture(
        input=Input(channels=3, size=224), stem=InceptionStem(), cells=tuple(cells), head=LinearHead(classes=1000)
    )


def inception_resnet_v2() -> Architecture:
    """Return Inception-ResNet-v2 for ImageNet (Szegedy et al. 2017, section 3.2), in the sizes of the released model.

    Stages 3, 4 and 5 are the 35x35, 17x17 and 8x8 grid with 10, 20 and 10 residual modules; the first cell of stages 4
    and 5 is a reduction.
    """
    cells: list[Cell] = [InceptionResNet(stage=3, module="a", scale=0.17)] * 10
    cells += [InceptionReduction(stage=4, module="a"), *[InceptionResNet(stage=4, module="b", scale=0.1)] * 20]
    cells += [InceptionReduction(stage=5, module="b"), *[InceptionResNet(stage=5, module="c", scale=0.2)] * 9]
    cells += [InceptionResNet(stage=5, module="c", scale=1.0, activation=False)]
    return Architecture(
        input=Input(channels=3, size=299),
        stem=InceptionResNetStem(),
        cells=tuple(cells),
        head=ConvHead(classes=1000, features=1536),
    )
