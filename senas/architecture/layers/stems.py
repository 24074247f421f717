"""Stems: the first layers of a network."""

from dataclasses import dataclass
from typing import ClassVar

from senas.architecture.layers.layer import Layer
from senas.architecture.layers.layout import Chain, Concat, Shape
from senas.architecture.layers.operations import Activation, ActivationKind, BatchNorm, Conv, Pool, conv_norm


@dataclass(frozen=True, kw_only=True, slots=True)
class Stem(Layer):
    """The layers before the cells; they have no SE choice."""

    kinds: ClassVar[dict[str, type]] = {}
    default_kind: ClassVar[str] = "conv"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvStem(Stem):
    """One convolution.

    Attributes:
        channels: Number of output channels.
        kernel: Height = width of the kernel.
        stride: Stride of the convolution.
        norm: Whether a batch norm follows; it does not if pre-activation cells come next.
        activation: Activation after the convolution and batch norm, or `None`.
        pool: Whether a 3x3 max-pooling of stride 2 comes last.
    """

    kind: ClassVar[str] = "conv"
    channels: int
    kernel: int = 3
    stride: int = 1
    norm: bool = True
    activation: ActivationKind | None = "relu"
    pool: bool = False

    def layout(self, in_shape: Shape) -> Chain:  # noqa: ARG002  # the layout does not depend on the input shape
        """Return the convolution and the operations that follow it."""
        return Chain(
            Conv(self.channels, self.kernel, self.stride),
            *((BatchNorm(),) if self.norm else ()),
            *(() if self.activation is None else (Activation(self.activation),)),
            *((Pool("max", 3, 2, padding=1),) if self.pool else ()),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class NoStem(Stem):
    """An empty stem: the first cell takes the image (VGG, in which every convolution is a cell)."""

    kind: ClassVar[str] = "none"

    def layout(self, in_shape: Shape) -> Chain:  # noqa: ARG002  # the layout does not depend on the input shape
        """Return an empty chain."""
        return Chain()


@dataclass(frozen=True, kw_only=True, slots=True)
class InceptionStem(Stem):
    """The stem of BN-Inception: 192 channels at 1/8 of the image size (Ioffe & Szegedy 2015, figure 5)."""

    kind: ClassVar[str] = "inception"

    def layout(self, in_shape: Shape) -> Chain:  # noqa: ARG002  # the layout does not depend on the input shape
        """Return the convolutions and two max-poolings."""
        pool = Pool("max", 3, 2, ceil=True)
        return Chain(*conv_norm(64, 7, stride=2), pool, *conv_norm(64, 1), *conv_norm(192, 3), pool)


@dataclass(frozen=True, kw_only=True, slots=True)
class InceptionResNetStem(Stem):
    """The stem of Inception-ResNet-v2: 320 channels on the 35x35 grid, as in the released model.

    The released model starts with the convolutions of Inception-v3 and one Inception module without a residual
    connection, unlike figure 3 of Szegedy et al. 2017.
    """

    kind: ClassVar[str] = "inception_resnet"

    def layout(self, in_shape: Shape) -> Chain:  # noqa: ARG002  # the layout does not depend on the input shape
        """Return the convolutions, two max-poolings and one module of four branches."""
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
