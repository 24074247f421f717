"""Factory of device backends."""

from senas.latency.devices.base import DeviceBackend
from senas.latency.devices.environment import DeviceKind, Mode


def open_device(kind: DeviceKind, mode: Mode, *, reuse_bytes: int = 0) -> DeviceBackend:
    """Return the device backend of this machine.

    Args:
        kind: Kind of device.
        mode: Mode in which the modules run.
        reuse_bytes: Bytes of weights that a whole network uses between two uses of one weight. The GPU backend
            touches as many between two uses of a part's weights, so that they do not stay in the cache.

    Raises:
        ProfileError: This machine has no such device.
    """
    if kind == "cpu":
        from senas.latency.devices.cpu import CpuBackend

        return CpuBackend(mode)
    from senas.latency.devices.cuda import CudaBackend

    return CudaBackend(mode, reuse_bytes=reuse_bytes)
