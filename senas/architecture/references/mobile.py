"""Networks for mobile devices; MobileNetV3 and EfficientNet include SE blocks."""

from senas.architecture.cells import MBConv, Separable, ShuffleUnit
from senas.architecture.layers import ConvHead, ConvStem, LinearHead
from senas.architecture.network import Architecture, Input
from senas.architecture.se import SEConfig


def mobilenet() -> Architecture:
    """Return MobileNet 1.0-224 for ImageNet (Howard et al. 2017, table 1); stage 1 has half the image size."""
    stages = {1: [64], 2: [128, 128], 3: [256, 256], 4: [512] * 6, 5: [1024, 1024]}
    cells = (
        Separable(stage=stage, channels=channels, stride=2 if stage > 1 and index == 0 else 1)
        for stage, widths in stages.items()
        for index, channels in enumerate(widths)
    )
    return Architecture(
        input=Input(channels=3, size=224),
        stem=ConvStem(channels=32, stride=2),
        cells=tuple(cells),
        head=LinearHead(classes=1000),
    )


def shufflenet() -> Architecture:
    """Return ShuffleNet 1x with 3 groups for ImageNet (Zhang et al. 2018, table 1, with its stages 2 to 4)."""
    cells = (
        ShuffleUnit(stage=stage, channels=channels, stride=2 if index == 0 else 1, grouped_entry=stage > 2 or index > 0)
        for stage, (depth, channels) in enumerate(((4, 240), (8, 480), (4, 960)), start=2)
        for index in range(depth)
    )
    return Architecture(
        input=Input(channels=3, size=224),
        stem=ConvStem(channels=24, stride=2, pool=True),
        cells=tuple(cells),
        head=LinearHead(classes=1000),
    )


def mobilenet_v3_large() -> Architecture:
    """Return MobileNetV3-Large for ImageNet with its own SE blocks (Howard et al. 2019, table 1).

    The size of stage n is the image size / 2^n.
    """
    se = SEConfig(reduction=4, multiple=8, excitation="hardsigmoid", integration="inner")
    cells = (
        MBConv(
            stage=stage,
            channels=channels,
            stride=stride,
            expansion=expansion,
            kernel=kernel,
            activation="hardswish" if stage > 3 else "relu",
            se=se if recalibrated else None,
        )
        for stage, kernel, expansion, channels, recalibrated, stride in (
            (1, 3, 1.0, 16, False, 1),
            (2, 3, 4.0, 24, False, 2),
            (2, 3, 3.0, 24, False, 1),
            (3, 5, 3.0, 40, True, 2),
            (3, 5, 3.0, 40, True, 1),
            (3, 5, 3.0, 40, True, 1),
            (4, 3, 6.0, 80, False, 2),
            (4, 3, 2.5, 80, False, 1),
            (4, 3, 2.3, 80, False, 1),
            (4, 3, 2.3, 80, False, 1),
            (4, 3, 6.0, 112, True, 1),
            (4, 3, 6.0, 112, True, 1),
            (5, 5, 6.0, 160, True, 2),
            (5, 5, 6.0, 160, True, 1),
            (5, 5, 6.0, 160, True, 1),
        )
    )
    return Architecture(
        input=Input(channels=3, size=224),
        stem=ConvStem(channels=16, stride=2, activation="hardswish"),
        cells=tuple(cells),
        head=ConvHead(classes=1000, features=960, hidden=1280, activation="hardswish"),
    )


def efficientnet_b0() -> Architecture:
    """Return EfficientNet-B0 for ImageNet with its own SE blocks (Tan & Le 2019, table 1, with its stages 2 to 8).

    The number of hidden units of an SE block is a quarter of the cell's input channels: a 24th of the expanded
    channels. The hidden layer has ReLU as everywhere in senas, whereas the released model has SiLU.
    """
    cells = (
        MBConv(
            stage=stage,
            channels=channels,
            stride=stride if index == 0 else 1,
            expansion=expansion,
            kernel=kernel,
            activation="silu",
            se=SEConfig(reduction=int(4 * expansion), integration="inner"),
        )
        for stage, (expansion, kernel, channels, depth, stride) in enumerate(
            (
                (1.0, 3, 16, 1, 1),
                (6.0, 3, 24, 2, 2),
                (6.0, 5, 40, 2, 2),
                (6.0, 3, 80, 3, 2),
                (6.0, 5, 112, 3, 1),
                (6.0, 5, 192, 4, 2),
                (6.0, 3, 320, 1, 1),
            ),
            start=2,
        )
        for index in range(depth)
    )
    return Architecture(
        input=Input(channels=3, size=224),
        stem=ConvStem(channels=32, stride=2, activation="silu"),
        cells=tuple(cells),
        head=ConvHead(classes=1000, features=1280, activation="silu"),
    )
