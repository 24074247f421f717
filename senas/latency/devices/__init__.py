"""Device backends, one for each kind of device. A new one takes a file in this folder and a case in `open_device`."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.latency.devices.base import DeviceBackend as DeviceBackend
    from senas.latency.devices.environment import MAX_BATCH as MAX_BATCH
    from senas.latency.devices.environment import Device as Device
    from senas.latency.devices.environment import DeviceKind as DeviceKind
    from senas.latency.devices.environment import Mode as Mode
    from senas.latency.devices.environment import Software as Software
    from senas.latency.devices.environment import count_gpus as count_gpus
    from senas.latency.devices.environment import make_mode as make_mode
    from senas.latency.devices.environment import this_device as this_device
    from senas.latency.devices.environment import this_software as this_software
    from senas.latency.devices.factory import open_device as open_device
    from senas.latency.devices.readings import DeviceConditions as DeviceConditions
    from senas.latency.devices.readings import TimingSample as TimingSample

export_lazily(globals())
