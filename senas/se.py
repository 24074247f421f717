"""The atomic choice of every cell: how its Squeeze-and-Excitation block looks, as plain data."""

from dataclasses import dataclass
from typing import Literal, get_args

from senas.errors import ArchitectureError, one_of

Squeeze = Literal["avg", "max", "none"]
Excitation = Literal["sigmoid", "hardsigmoid", "tanh", "relu"]
Integration = Literal["standard", "pre", "post", "identity", "inner"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SEConfig:
    """How an SE block looks. "No SE" is `None`.

    Attributes:
        reduction: r of Hu et al. 2018, section 3.2: the hidden layer has channels // r units.
        squeeze: how each channel becomes one number; `none` skips the pooling (Hu et al. 2018, section 7.1, NoSqueeze).
        excitation: the gate's activation (section 6.3; `hardsigmoid` as in MobileNetV3, Howard et al. 2019).
        integration: where in the cell the block sits (section 6.5 with figure 5): `standard` after the branch's last
            batch norm, `pre` before the branch, `post` after the addition and its ReLU, `identity` on the skip path,
            `inner` right after the (first) 3x3 convolution with its batch norm and ReLU, the paper's SE_3x3.
        bias: whether the two layers have biases (the paper's ablations go without).
        multiple: the hidden layer is rounded to a multiple of this many units, as in the released MobileNetV3 (8).
    """

    reduction: int
    squeeze: Squeeze = "avg"
    excitation: Excitation = "sigmoid"
    integration: Integration = "standard"
    bias: bool = True
    multiple: int = 1

    def __post_init__(self) -> None:
        for name in ("reduction", "multiple"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ArchitectureError(f"SE {name}: found {value!r}, expected a whole number of at least 1")
        if not isinstance(self.bias, bool):
            raise ArchitectureError(f"SE bias: found {self.bias!r}, expected true or false")
        for name, literal in (("squeeze", Squeeze), ("excitation", Excitation), ("integration", Integration)):
            value = getattr(self, name)
            if value not in get_args(literal):
                raise ArchitectureError(f"SE {name}: {one_of(str(value), get_args(literal))}")

    def hidden(self, channels: int) -> int:
        """Units of the hidden layer for a block on `channels` channels.

        Rounded down as in the authors' models, or to the nearest `multiple`, see `round_channels`.

        Raises:
            ArchitectureError: the reduction or the multiple is larger than the channels.
        """
        for name, value in (("reduction", self.reduction), ("multiple", self.multiple)):
            if value > channels:
                raise ArchitectureError(f"SE {name}: found {value}, allowed: at most its {channels} channels")
        return round_channels(channels // self.reduction, self.multiple)

    def __str__(self) -> str:
        parts = [f"r{self.reduction}"]
        parts += [value for value in (self.integration, self.squeeze, self.excitation) if value not in _USUAL]
        parts += [] if self.multiple == 1 else [f"x{self.multiple}"]
        return "/".join(parts if self.bias else [*parts, "nobias"])


_USUAL = ("standard", "avg", "sigmoid")


def round_channels(channels: float, multiple: int) -> int:
    """Channels rounded to the nearest multiple, but never to less than 90 % (the authors' MobileNet code).

    With a multiple of 1 they are rounded down.
    """
    if multiple == 1:
        return int(channels)
    rounded = max(multiple, int(channels + multiple / 2) // multiple * multiple)
    return rounded if rounded >= 0.9 * channels else rounded + multiple
