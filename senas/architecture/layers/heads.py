"""Heads: the last layers of a network, from the final feature map to class logits."""

from dataclasses import dataclass
from typing import ClassVar

from senas.architecture.layers.layer import Layer
from senas.architecture.layers.layout import Chain, Shape
from senas.architecture.layers.operations import (
    Activation,
    ActivationKind,
    BatchNorm,
    Dropout,
    Flatten,
    GlobalPool,
    Linear,
    Pool,
    conv_norm,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Head(Layer):
    """The layers after the cells.

    Attributes:
        classes: Number of logits.
    """

    kinds: ClassVar[dict[str, type]] = {}
    default_kind: ClassVar[str] = "linear"

    classes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearHead(Head):
    """Global average pooling and one linear layer.

    Attributes:
        norm: Whether a batch norm comes first, which pre-activation cells need.
        activation: Activation before the pooling, or `None`.
    """

    kind: ClassVar[str] = "linear"
    norm: bool = False
    activation: ActivationKind | None = None

    def layout(self, in_shape: Shape) -> Chain:  # noqa: ARG002  # the layout does not depend on the input shape
        """Return the pooling and the linear layer."""
        return Chain(
            *((BatchNorm(),) if self.norm else ()),
            *(() if self.activation is None else (Activation(self.activation),)),
            GlobalPool(),
            Flatten(),
            Linear(self.classes),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvHead(Head):
    """A 1x1 convolution with batch norm, global average pooling, and one or two linear layers.

    Attributes:
        features: Number of channels of the convolution.
        hidden: Number of units of a linear layer before the last one, or `None` for no such layer.
        activation: Activation after the convolution and after the hidden layer.
        dropout: Dropout rate before the last linear layer.
    """

    kind: ClassVar[str] = "conv"
    features: int
    hidden: int | None = None
    activation: ActivationKind = "relu"
    dropout: float = 0.2

    def layout(self, in_shape: Shape) -> Chain:  # noqa: ARG002  # the layout does not depend on the input shape
        """Return the convolution, the pooling and the linear layers."""
        hidden = () if self.hidden is None else (Linear(self.hidden), Activation(self.activation))
        return Chain(
            *conv_norm(self.features, 1, activation=self.activation),
            GlobalPool(),
            Flatten(),
            *hidden,
            Dropout(self.dropout),
            Linear(self.classes),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class VGGHead(Head):
    """A 2x2 max-pooling and three linear layers with ReLU and dropout (Simonyan & Zisserman 2015, section 2.1).

    Attributes:
        hidden: Number of units of each of the first two linear layers.
        dropout: Dropout rate after each of them (section 3.1).
    """

    kind: ClassVar[str] = "vgg"
    hidden: int = 4096
    dropout: float = 0.5

    def layout(self, in_shape: Shape) -> Chain:  # noqa: ARG002  # the layout does not depend on the input shape
        """Return the pooling and the linear layers."""
        between = Activation(), Dropout(self.dropout)
        return Chain(
            Pool("max", 2, 2),
            Flatten(),
            Linear(self.hidden),
            *between,
            Linear(self.hidden),
            *between,
            Linear(self.classes),
        )


Head.register(LinearHead, ConvHead, VGGHead)
