"""The operations that layers consist of, as plain data."""

from dataclasses import dataclass
from typing import Literal, get_args

from senas.architecture.layers.arithmetic import output_size, require_positive, require_room
from senas.architecture.layers.layout import Operation, Shape
from senas.architecture.se import Integration, SEConfig
from senas.errors import ArchitectureError, one_of

ActivationKind = Literal["relu", "hardswish", "silu"]


@dataclass(frozen=True, slots=True)
class Conv(Operation):
    """A convolution.

    Attributes:
        channels: Number of output channels.
        kernel: Height and width of the kernel; one number if they are equal.
        stride: Stride in both directions.
        padding: Padding on every side; by default `kernel // 2`, which keeps the size at stride 1 if the kernel is odd.
        groups: Number of groups of channels that are not mixed.
        bias: Whether the convolution has a bias; it has none if a batch norm follows.
    """

    channels: int
    kernel: int | tuple[int, int]
    stride: int = 1
    padding: int | None = None
    groups: int = 1
    bias: bool = False

    def __post_init__(self) -> None:
        height, width = self.kernels
        require_positive("convolution", channels=self.channels, height=height, width=width)
        require_positive("convolution", stride=self.stride, groups=self.groups)

    @property
    def kernels(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return (self.kernel, self.kernel) if isinstance(self.kernel, int) else self.kernel

    @property
    def paddings(self) -> tuple[int, int]:
        """Padding rows above and below, and padding columns left and right."""
        height, width = self.kernels
        return (height // 2, width // 2) if self.padding is None else (self.padding, self.padding)

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        for channels in in_shape.channels, self.channels:
            if channels % self.groups:
                raise ArchitectureError(
                    f"convolution in {self.groups} groups: found {channels} channels, allowed: multiples of the groups"
                )
        sizes = {
            output_size(in_shape.size, kernel, self.stride, padding)
            for kernel, padding in zip(self.kernels, self.paddings, strict=True)
        }
        if len(sizes) > 1:
            raise ArchitectureError(
                f"convolution of {self.kernels[0]}x{self.kernels[1]}: found maps that are no longer square, "
                "expected the padding that keeps them so"
            )
        height, width = self.kernels
        require_room("convolution", weights=in_shape.channels // self.groups * self.channels * height * width)
        out_shape = Shape(self.channels, sizes.pop())
        require_room("convolution", elements=out_shape.channels * out_shape.size**2)
        return out_shape


@dataclass(frozen=True, slots=True)
class BatchNorm(Operation):
    """Batch normalisation."""

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        return in_shape


@dataclass(frozen=True, slots=True)
class Activation(Operation):
    """An element-wise activation function."""

    kind: ActivationKind = "relu"

    def __post_init__(self) -> None:
        if self.kind not in get_args(ActivationKind):
            raise ArchitectureError(f"activation: {one_of(str(self.kind), get_args(ActivationKind))}")

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        return in_shape


@dataclass(frozen=True, slots=True)
class Pool(Operation):
    """The maximum or the average of a sliding window; an average excludes the padding.

    Attributes:
        kind: `max` or `avg`.
        kernel: Height = width of the window.
        stride: Stride in both directions.
        padding: Padding on every side.
        ceil: Whether a window may extend over the right and lower edge.
    """

    kind: Literal["max", "avg"]
    kernel: int
    stride: int
    padding: int = 0
    ceil: bool = False

    def __post_init__(self) -> None:
        require_positive("pooling", kernel=self.kernel, stride=self.stride)

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        return Shape(
            in_shape.channels, output_size(in_shape.size, self.kernel, self.stride, self.padding, ceil=self.ceil)
        )


@dataclass(frozen=True, slots=True)
class GlobalPool(Operation):
    """The average over each channel: (B, C, H, W) to (B, C, 1, 1)."""

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        return Shape(in_shape.channels, 1)


@dataclass(frozen=True, slots=True)
class Flatten(Operation):
    """A change of shape from (B, C, H, W) to (B, C * H * W)."""

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        return Shape(in_shape.channels * in_shape.size**2, 1)


@dataclass(frozen=True, slots=True)
class Linear(Operation):
    """A linear layer with bias on a flattened input.

    Attributes:
        channels: Number of output features.
    """

    channels: int

    def __post_init__(self) -> None:
        require_positive("linear layer", channels=self.channels)

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        if in_shape.size != 1:
            raise ArchitectureError(
                f"linear layer: found {in_shape.size}x{in_shape.size} pixels, expected a flattened map"
            )
        require_room("linear layer", weights=in_shape.channels * self.channels)
        return Shape(self.channels, 1)


@dataclass(frozen=True, slots=True)
class Dropout(Operation):
    """Dropout: in training, a random share `rate` of the elements is set to zero."""

    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise ArchitectureError(f"dropout rate: found {self.rate}, allowed: at least 0, less than 1")

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        return in_shape


@dataclass(frozen=True, slots=True)
class Subsample(Operation):
    """Every `stride`-th pixel in both directions, starting at the first."""

    stride: int

    def __post_init__(self) -> None:
        require_positive("subsampling", stride=self.stride)

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        return Shape(in_shape.channels, -(-in_shape.size // self.stride))


@dataclass(frozen=True, slots=True)
class Shift(Operation):
    """A shift of the map by one pixel to the right and down; the first row and column become zero."""

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        return in_shape


@dataclass(frozen=True, slots=True)
class PadChannels(Operation):
    """Padding with channels of zeros up to `channels` (option A of He et al. 2016, section 4.1)."""

    channels: int

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        if self.channels < in_shape.channels:
            raise ArchitectureError(
                f"a shortcut that pads with zeros: found {self.channels} channels after {in_shape.channels}, "
                f"allowed: at least {in_shape.channels}"
            )
        return Shape(self.channels, in_shape.size)


@dataclass(frozen=True, slots=True)
class Shuffle(Operation):
    """A channel shuffle: each group's channels are spread over all groups (Zhang et al. 2018, section 3.1)."""

    groups: int

    def __post_init__(self) -> None:
        require_positive("shuffle", groups=self.groups)

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        if in_shape.channels % self.groups:
            raise ArchitectureError(
                f"shuffle: found {in_shape.channels} channels, allowed: multiples of its {self.groups} groups"
            )
        return in_shape


@dataclass(frozen=True, slots=True)
class Scale(Operation):
    """Multiplication by a constant (Szegedy et al. 2017, section 3.3)."""

    factor: float

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        return in_shape


@dataclass(frozen=True, slots=True)
class SE(Operation):
    """A place where an SE block can sit.

    Attributes:
        place: Name of the place, as in `SEConfig.integration`.
        config: SE block at that place, or `None` for none.
    """

    place: Integration
    config: SEConfig | None

    def shape(self, in_shape: Shape) -> Shape:  # noqa: D102
        if self.config is not None:
            self.config.hidden(in_shape.channels)
        return in_shape


def conv_norm(
    channels: int,
    kernel: int | tuple[int, int],
    *,
    stride: int = 1,
    padding: int | None = None,
    groups: int = 1,
    activation: ActivationKind | None = "relu",
) -> tuple[Operation, ...]:
    """Return the steps of a `Chain`: a convolution without bias, its batch norm and, unless `None`, its activation."""
    steps = (Conv(channels, kernel, stride, padding, groups), BatchNorm())
    return steps if activation is None else (*steps, Activation(activation))


def norm_conv(channels: int, kernel: int, *, stride: int = 1) -> tuple[Operation, ...]:
    """Return batch norm, ReLU and a convolution without bias, in the order of He et al. 2016b (pre-activation)."""
    return BatchNorm(), Activation(), Conv(channels, kernel, stride)
