"""Latency of one network as a profile predicts it and as this machine measures it."""

from dataclasses import dataclass

from torch import nn

from senas.architecture import Architecture
from senas.errors import ProfileError
from senas.latency.devices import this_device
from senas.latency.measurement import WallClock, measure_wall_clock
from senas.latency.profile.profile import LatencyProfile
from senas.latency.profile.sections import Latency


@dataclass(frozen=True, kw_only=True)
class LatencyComparison:
    """Prediction and measurement of one network.

    Attributes:
        predicted: Prediction of the profile.
        measured: Wall-clock time on this machine; `None` if it is not the profile's.
        reason: Why nothing was measured; empty if it was.
    """

    predicted: Latency
    measured: WallClock | None
    reason: str = ""


def compare_latency(
    network: nn.Module, arch: Architecture, profile: LatencyProfile, *, seconds: float = 2.0
) -> LatencyComparison:
    """Predict the latency of a network and, on the profile's device, measure its wall-clock time in the same mode.

    Args:
        network: Network of the architecture, which is put into evaluation mode and cast to the mode's type.
        arch: Architecture.
        profile: Profile that predicts.
        seconds: Time limit of the measurement.

    Raises:
        ProfileError: A part of the architecture is not in the profile.
    """
    predicted = profile.predict(arch)
    try:
        here = this_device(profile.device.kind).name
    except ProfileError as error:
        return LatencyComparison(predicted=predicted, measured=None, reason=str(error))
    if here != profile.device.name:
        reason = f"the profile is of {profile.device.name}, this machine has {here}"
        return LatencyComparison(predicted=predicted, measured=None, reason=reason)
    measured = measure_wall_clock(network, profile.device.kind, profile.mode, seconds=seconds)
    return LatencyComparison(predicted=predicted, measured=measured)
