"""The atomic choice of every cell: the configuration of its Squeeze-and-Excitation block, as plain data."""

from dataclasses import dataclass
from typing import Literal, get_args

from senas.errors import ArchitectureError, one_of

Squeeze = Literal["avg", "max", "none"]
Excitation = Literal["sigmoid", "hardsigmoid", "tanh", "relu"]
Integration = Literal["standard", "pre", "post", "identity", "inner"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SEConfig:
    """Configuration of an SE block. "No SE" is `None`.

    Attributes:
        reduction: Reduction ratio r of Hu et al. 2018, section 3.2: the hidden layer has channels // r units.
        squeeze: Pooling of each channel to one number; `none` for no pooling (Hu et al. 2018, section 7.1, NoSqueeze).
        excitation: Activation of the gate (section 6.3; `hardsigmoid` as in MobileNetV3, Howard et al. 2019).
        integration: Place of the block in the cell (section 6.5 with figure 5): `standard` after the branch's last
            batch norm, `pre` before the branch, `post` after the addition and its ReLU, `identity` on the skip path,
            `inner` directly after the (first) 3x3 convolution with its batch norm and ReLU, the paper's SE_3x3.
        bias: Whether the two layers have biases (in the paper's ablations they have none).
        multiple: Number of which the hidden layer's units are a multiple, by rounding, as in the released MobileNetV3
            (8).

    Raises:
        ArchitectureError: A field is not one of its allowed values.
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
        """Return the number of hidden units of a block on `channels` channels.

        It is rounded down as in the authors' models, or to the nearest `multiple`, see `round_channels`.

        Raises:
            ArchitectureError: The reduction or the multiple is larger than the number of channels.
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
    """Return a number of channels rounded to the nearest multiple, but never below 90 % (the authors' MobileNet code).

    With a multiple of 1 it is rounded down.
    """
    if multiple == 1:
        return int(channels)
    rounded = max(multiple, int(channels + multiple / 2) // multiple * multiple)
    return rounded if rounded >= 0.9 * channels else rounded + multiple
