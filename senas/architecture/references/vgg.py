"""The network VGG-16."""

from senas.architecture.cells import PlainConv
from senas.architecture.layers import NoStem, VGGHead
from senas.architecture.network import Architecture, Input


def vgg16() -> Architecture:
    """Return VGG-16 with batch norm for ImageNet (Simonyan & Zisserman 2015, table 1, D).

    Every convolution is a cell; stages are numbered as in the table, conv1 to conv5. The max-pooling that ends a stage
    belongs to the first cell of the next stage, and the last max-pooling to the head.
    """
    cells = (
        PlainConv(stage=stage, channels=channels, stride=2 if stage > 1 and index == 0 else 1)
        for stage, (depth, channels) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), start=1)
        for index in range(depth)
    )
    return Architecture(
        input=Input(channels=3, size=224), stem=NoStem(), cells=tuple(cells), head=VGGHead(classes=1000)
    )
