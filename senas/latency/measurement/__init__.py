"""Measurement of modules in interleaved rounds, and of whole networks in measurement sessions, one process each."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.latency.measurement.rounds import Rounds as Rounds
    from senas.latency.measurement.samples import Measurement as Measurement
    from senas.latency.measurement.session import NETWORK_INTERVAL as NETWORK_INTERVAL
    from senas.latency.measurement.session import SESSION_SECONDS as SESSION_SECONDS
    from senas.latency.measurement.session import MeasurementSession as MeasurementSession
    from senas.latency.measurement.session import MeasureNetworks as MeasureNetworks
    from senas.latency.measurement.session import measure_in_subprocess as measure_in_subprocess
    from senas.latency.measurement.session import run_session as run_session
    from senas.latency.measurement.session import start_ahead as start_ahead
    from senas.latency.measurement.wall_clock import WallClock as WallClock
    from senas.latency.measurement.wall_clock import measure_wall_clock as measure_wall_clock

export_lazily(globals())
