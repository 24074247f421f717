"""Latency of networks on a device: measurement, profiles and prediction. Its only dependencies are torch and numpy."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.latency.devices.environment import DTYPES as DTYPES
    from senas.latency.devices.environment import DeviceKind as DeviceKind
    from senas.latency.devices.environment import count_gpus as count_gpus
    from senas.latency.devices.environment import make_mode as make_mode
    from senas.latency.devices.factory import open_device as open_device
    from senas.latency.measurement.session import SESSION_SECONDS as SESSION_SECONDS
    from senas.latency.measurement.session import MeasurementSession as MeasurementSession
    from senas.latency.measurement.session import MeasureNetworks as MeasureNetworks
    from senas.latency.measurement.session import measure_in_process as measure_in_process
    from senas.latency.measurement.session import measure_in_subprocess as measure_in_subprocess
    from senas.latency.measurement.wall_clock import WallClock as WallClock
    from senas.latency.measurement.wall_clock import measure_wall_clock as measure_wall_clock
    from senas.latency.prediction.calibration import CONFIDENCE as CONFIDENCE
    from senas.latency.prediction.calibration import Drift as Drift
    from senas.latency.prediction.validation import repeat_error as repeat_error
    from senas.latency.prediction.validation import validate as validate
    from senas.latency.profile.breakdown import LatencyBreakdown as LatencyBreakdown
    from senas.latency.profile.breakdown import latency_breakdown as latency_breakdown
    from senas.latency.profile.builder import PROFILE_SECONDS as PROFILE_SECONDS
    from senas.latency.profile.builder import profile_name as profile_name
    from senas.latency.profile.builder import profile_space as profile_space
    from senas.latency.profile.builder import write_profile as write_profile
    from senas.latency.profile.comparison import LatencyComparison as LatencyComparison
    from senas.latency.profile.comparison import compare_latency as compare_latency
    from senas.latency.profile.drift_check import drift_of as drift_of
    from senas.latency.profile.drift_check import recheck as recheck
    from senas.latency.profile.drift_check import run_profile_session as run_profile_session
    from senas.latency.profile.lookup import LatencyModel as LatencyModel
    from senas.latency.profile.plan import networks_seen as networks_seen
    from senas.latency.profile.profile import LatencyProfile as LatencyProfile

export_lazily(globals())
