"""The cells of Inception-ResNet-v2: residual modules on three grids, and reductions between the grids."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from senas.architecture.cells.cell import Cell
from senas.architecture.layers import Activation, Chain, Concat, Conv, Pool, Scale, Shape, Sum, conv_norm

Grid = Literal["a", "b", "c"]


@dataclass(frozen=True, kw_only=True, slots=True)
class InceptionResNet(Cell):
    """A residual Inception module (Szegedy et al. 2017, figures 16, 17 and 19, in the sizes of the released model).

    Attributes:
        module: Module a on the 35x35, b on the 17x17, or c on the 8x8 grid of a 299x299 image.
        scale: Factor of the branch before the addition (section 3.3).
        activation: Whether a ReLU follows the addition; it does in every module but the last.
    """

    kind: ClassVar[str] = "inception_resnet"
    module: Grid
    scale: float
    activation: bool = True

    def layout(self, in_shape: Shape) -> Chain:
        """Return parallel convolutions, a linear 1x1 convolution back to the input's channels, and the addition."""
        branch = Chain(
            self.se_at("pre"),
            self._convolutions(),
            Conv(in_shape.channels, 1, bias=True),
            self.se_at("standard"),
            Scale(self.scale),
        )
        last = (Activation(),) if self.activation else ()
        return Chain(Sum(branch=branch, skip=Chain(self.se_at("identity"))), *last, self.se_at("post"))

    def _convolutions(self) -> Concat:
        match self.module:
            case "a":
                return Concat(
                    conv1x1=Chain(*conv_norm(32, 1)),
                    conv3x3=Chain(*conv_norm(32, 1), *conv_norm(32, 3)),
                    double3x3=Chain(*conv_norm(32, 1), *conv_norm(48, 3), *conv_norm(64, 3)),
                )
            case "b":
                return Concat(
                    conv1x1=Chain(*conv_norm(192, 1)),
                    cross=Chain(*conv_norm(128, 1), *conv_norm(160, (1, 7)), *conv_norm(192, (7, 1))),
                )
            case "c":
                return Concat(
                    conv1x1=Chain(*conv_norm(192, 1)),
                    cross=Chain(*conv_norm(192, 1), *conv_norm(224, (1, 3)), *conv_norm(256, (3, 1))),
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class InceptionReduction(Cell):
    """The module between two grids (Szegedy et al. 2017, figures 7 and 18, in the sizes of the released model).

    Attributes:
        module: Module a from the 35x35 to the 17x17 grid, or b from there to the 8x8 grid.
    """

    kind: ClassVar[str] = "inception_reduction"
    module: Literal["a", "b"]

    def layout(self, in_shape: Shape) -> Chain:  # noqa: ARG002  # the layout does not depend on the input shape
        """Return strided convolutions and a max-pooling in parallel, none of them padded."""
        pool = Pool("max", 3, 2)
        if self.module == "a":
            reduced = Concat(
                conv3x3=Chain(*conv_norm(384, 3, stride=2, padding=0)),
                double3x3=Chain(*conv_norm(256, 1), *conv_norm(256, 3), *conv_norm(384, 3, stride=2, padding=0)),
                pool=pool,
            )
        else:
            reduced = Concat(
                first=Chain(*conv_norm(256, 1), *conv_norm(384, 3, stride=2, padding=0)),
                second=Chain(*conv_norm(256, 1), *conv_norm(288, 3, stride=2, padding=0)),
                double3x3=Chain(*conv_norm(256, 1), *conv_norm(288, 3), *conv_norm(320, 3, stride=2, padding=0)),
                pool=pool,
            )
        return Chain(self.se_at("pre"), reduced, self.se_at("standard"))
