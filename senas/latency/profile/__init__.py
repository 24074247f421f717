"""Latency profiles: measurement plan, builder, file and sections, look-ups, drift, code that they are valid for."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.latency.profile.builder import profile_space as profile_space
    from senas.latency.profile.builder import write_profile as write_profile
    from senas.latency.profile.drift_check import recheck as recheck
    from senas.latency.profile.lookup import LatencyModel as LatencyModel
    from senas.latency.profile.profile import LatencyProfile as LatencyProfile

export_lazily(globals())
