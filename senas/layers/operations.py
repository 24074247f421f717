"""The operations that layers are made of, as plain data."""

from dataclasses import dataclass
from typing import Literal, get_args

from senas.errors import ArchitectureError, one_of
from senas.layers.arithmetic import require_positive, require_room, slid
from senas.layers.layout import Operation, Shape
from senas.se import Integration, SEConfig

ActivationKind = Literal["relu", "hardswish", "silu"]


@dataclass(frozen=True, slots=True)
class Conv(Operation):
    """A convolution.

    Attributes:
        channels: flowing out.
        kernel: height and width; one number for both.
        stride: in both directions.
        padding: on every side; by default what keeps the size at stride 1.
        groups: of channels that do not mix.
        bias: whether it has one; not where a batch norm follows.
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
        """Rows above and below, columns left and right."""
        height, width = self.kernels
        return (height // 2, width // 2) if self.padding is None else (self.padding, self.padding)

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        for channels in inflow.channels, self.channels:
            if channels % self.groups:
                raise ArchitectureError(
                    f"convolution in {self.groups} groups: found {channels} channels, allowed: multiples of the groups"
                )
        sizes = {
            slid(inflow.size, kernel, self.stride, padding)
            for kernel, padding in zip(self.kernels, self.paddings, strict=True)
        }
        if len(sizes) > 1:
            raise ArchitectureError(
                f"convolution of {self.kernels[0]}x{self.kernels[1]}: found maps that are no longer square, "
                "expected the padding that keeps them so"
            )
        height, width = self.kernels
        require_room("convolution", weights=inflow.channels // self.groups * self.channels * height * width)
        outflow = Shape(self.channels, sizes.pop())
        require_room("convolution", elements=outflow.channels * outflow.size**2)
        return outflow


@dataclass(frozen=True, slots=True)
class BatchNorm(Operation):
    """Batch normalisation."""

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        return inflow


@dataclass(frozen=True, slots=True)
class Activation(Operation):
    """An element-wise non-linearity."""

    kind: ActivationKind = "relu"

    def __post_init__(self) -> None:
        if self.kind not in get_args(ActivationKind):
            raise ArchitectureError(f"activation: {one_of(str(self.kind), get_args(ActivationKind))}")

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        return inflow


@dataclass(frozen=True, slots=True)
class Pool(Operation):
    """The maximum or the average of a sliding window; an average leaves the padding out.

    Attributes:
        kind: `max` or `avg`.
        kernel: height and width of the window.
        stride: in both directions.
        padding: on every side.
        ceil: whether a window may stand out over the right and lower edge.
    """

    kind: Literal["max", "avg"]
    kernel: int
    stride: int
    padding: int = 0
    ceil: bool = False

    def __post_init__(self) -> None:
        require_positive("pooling", kernel=self.kernel, stride=self.stride)

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        return Shape(inflow.channels, slid(inflow.size, self.kernel, self.stride, self.padding, ceil=self.ceil))


@dataclass(frozen=True, slots=True)
class GlobalPool(Operation):
    """The average of each channel: (B, C, H, W) to (B, C, 1, 1)."""

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        return Shape(inflow.channels, 1)


@dataclass(frozen=True, slots=True)
class Flatten(Operation):
    """(B, C, H, W) to (B, C * H * W)."""

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        return Shape(inflow.channels * inflow.size**2, 1)


@dataclass(frozen=True, slots=True)
class Linear(Operation):
    """A linear layer with bias on a flattened input."""

    channels: int

    def __post_init__(self) -> None:
        require_positive("linear layer", channels=self.channels)

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        if inflow.size != 1:
            raise ArchitectureError(f"linear layer: found {inflow.size}x{inflow.size} pixels, expected a flattened map")
        require_room("linear layer", weights=inflow.channels * self.channels)
        return Shape(self.channels, 1)


@dataclass(frozen=True, slots=True)
class Dropout(Operation):
    """In training, zeros for a share `rate` of the elements."""

    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise ArchitectureError(f"dropout rate: found {self.rate}, allowed: at least 0, less than 1")

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        return inflow


@dataclass(frozen=True, slots=True)
class Subsample(Operation):
    """Every `stride`-th pixel in both directions, from the first on."""

    stride: int

    def __post_init__(self) -> None:
        require_positive("subsampling", stride=self.stride)

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        return Shape(inflow.channels, -(-inflow.size // self.stride))


@dataclass(frozen=True, slots=True)
class Shift(Operation):
    """The map moved right and down by one pixel, zeros where nothing was."""

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        return inflow


@dataclass(frozen=True, slots=True)
class PadChannels(Operation):
    """Zeros for the channels that are new (option A of He et al. 2016, section 4.1)."""

    channels: int

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        if self.channels < inflow.channels:
            raise ArchitectureError(
                f"a shortcut that pads with zeros: found {self.channels} channels after {inflow.channels}, "
                f"allowed: at least {inflow.channels}"
            )
        return Shape(self.channels, inflow.size)


@dataclass(frozen=True, slots=True)
class Shuffle(Operation):
    """Channels dealt out over the groups in turn (Zhang et al. 2018, section 3.1)."""

    groups: int

    def __post_init__(self) -> None:
        require_positive("shuffle", groups=self.groups)

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        if inflow.channels % self.groups:
            raise ArchitectureError(
                f"shuffle: found {inflow.channels} channels, allowed: multiples of its {self.groups} groups"
            )
        return inflow


@dataclass(frozen=True, slots=True)
class Scale(Operation):
    """Multiplication by a constant (Szegedy et al. 2017, section 3.3)."""

    factor: float

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        return inflow


@dataclass(frozen=True, slots=True)
class SE(Operation):
    """A place where an SE block can sit.

    Attributes:
        place: its name in `SEConfig.integration`.
        config: the block that sits there, `None` where the place is empty.
    """

    place: Integration
    config: SEConfig | None

    def shape(self, inflow: Shape) -> Shape:  # noqa: D102
        if self.config is not None:
            self.config.hidden(inflow.channels)
        return inflow


def conv_norm(
    channels: int,
    kernel: int | tuple[int, int],
    *,
    stride: int = 1,
    padding: int | None = None,
    groups: int = 1,
    activation: ActivationKind | None = "relu",
) -> tuple[Operation, ...]:
    """A convolution without bias, its batch norm and, unless `None`, its activation: the steps of a `Chain`."""
    steps = (Conv(channels, kernel, stride, padding, groups), BatchNorm())
    return steps if activation is None else (*steps, Activation(activation))


def norm_conv(channels: int, kernel: int, *, stride: int = 1) -> tuple[Operation, ...]:
    """Batch norm, ReLU and a convolution without bias, in the order of He et al. 2016b (pre-activation)."""
    return BatchNorm(), Activation(), Conv(channels, kernel, stride)
