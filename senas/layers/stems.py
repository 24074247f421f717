"""The first layers of a network."""

from dataclasses import dataclass
from typing import ClassVar

from senas.layers.layer import Layer
from senas.layers.layout import Chain, Concat, Shape
from senas.layers.operations import Activation, ActivationKind, BatchNorm, Conv, Pool, conv_norm


@dataclass(frozen=True, kw_only=True, slots=True)
class Stem(Layer):
    """What comes before the cells; no SE choice is made here."""

    kinds: ClassVar[dict[str, type]] = {}
    usual_kind: ClassVar[str] = "conv"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvStem(Stem):
    """One convolution.

    Attributes:
        channels: flowing out.
        kernel: height and width.
        stride: of the convolution.
        norm: whether a batch norm follows; not before pre-activation cells.
        activation: after that, or `None`.
        pool: whether a 3x3 max-pooling of stride 2 comes last.
    """

    kind: ClassVar[str] = "conv"
    channels: int
    kernel: int = 3
    stride: int = 1
    norm: bool = True
    activation: ActivationKind | None = "relu"
    pool: bool = False

    def layout(self, inflow: Shape) -> Chain:  # noqa: ARG002  # the same whatever flows in
        """The convolution and what follows it."""
        return Chain(
            Conv(self.channels, self.kernel, self.stride),
            *((BatchNorm(),) if self.norm else ()),
            *(() if self.activation is None else (Activation(self.activation),)),
            *((Pool("max", 3, 2, padding=1),) if self.pool else ()),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class NoStem(Stem):
    """Nothing: the cells see the image (VGG, whose every convolution is a cell)."""

    kind: ClassVar[str] = "none"

    def layout(self, inflow: Shape) -> Chain:  # noqa: ARG002  # the same whatever flows in
        """An empty chain."""
        return Chain()


@dataclass(frozen=True, kw_only=True, slots=True)
class InceptionStem(Stem):
    """The first layers of BN-Inception, to 192 channels at an eighth of the size (Ioffe & Szegedy 2015, figure 5)."""

    kind: ClassVar[str] = "inception"

    def layout(self, inflow: Shape) -> Chain:  # noqa: ARG002  # the same whatever flows in
        """Convolutions and two max-poolings."""
        pool = Pool("max", 3, 2, ceil=True)
        return Chain(*conv_norm(64, 7, stride=2), pool, *conv_norm(64, 1), *conv_norm(192, 3), pool)


@dataclass(frozen=True, kw_only=True, slots=True)
class InceptionResNetStem(Stem):
    """The first layers of Inception-ResNet-v2, to 320 channels on the 35x35 grid, as in the released model.

    That model starts with the convolutions of Inception-v3 and one Inception module without residual, unlike figure 3
    of Szegedy et al. 2017.
    """

    kind: ClassVar[str] = "inception_resnet"

    def layout(self, inflow: Shape) -> Chain:  # noqa: ARG002  # the same whatever flows in
        """Convolutions, two max-poolings, one module of four branches."""
        return Chain(
            *conv_norm(32, 3, stride=2, padding=0),
            *conv_norm(32, 3, padding=0),
            *conv_norm(64, 3),
            Pool("max", 3, 2),
            *conv_norm(80, 1),
            *conv_norm(192, 3, padding=0),
            Pool("max", 3, 2),
            Concat(
                conv1x1=Chain(*conv_norm(96, 1)),
                conv3x3=Chain(*conv_norm(48, 1), *conv_norm(64, 5)),
                double3x3=Chain(*conv_norm(64, 1), *conv_norm(96, 3), *conv_norm(96, 3)),
                pool=Chain(Pool("avg", 3, 1, padding=1), *conv_norm(64, 1)),
            ),
        )


Stem.register(ConvStem, NoStem, InceptionStem, InceptionResNetStem)
