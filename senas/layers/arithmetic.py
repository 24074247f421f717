"""The arithmetic of sliding windows, and what operations refuse."""

from senas.errors import ArchitectureError

_MAX_WEIGHTS = 2**28  # of one operation: 1 GiB in fp32
_MAX_ELEMENTS = 2**27  # of one operation's output at batch size 1: 512 MiB in fp32


def slid(size: int, kernel: int, stride: int, padding: int, *, ceil: bool = False) -> int:
    """How many positions a sliding window has; torch's arithmetic."""
    room = size + 2 * padding - kernel
    if room < 0:
        raise ArchitectureError(
            f"a window of {kernel}x{kernel}: found {size}x{size} flowing in, "
            f"allowed: at least {kernel - 2 * padding}x{kernel - 2 * padding}"
        )
    if not ceil:
        return room // stride + 1
    positions = -(-room // stride) + 1
    return positions - 1 if (positions - 1) * stride >= size + padding else positions  # none starts in the padding


def require_room(what: str, *, weights: int = 0, elements: int = 0) -> None:
    """Refuse what no device holds before anybody tries to allocate it."""
    if weights > _MAX_WEIGHTS:
        raise ArchitectureError(f"{what}: found {weights} weights, allowed: at most {_MAX_WEIGHTS}")
    if elements > _MAX_ELEMENTS:
        raise ArchitectureError(f"{what}: found {elements} elements of its output, allowed: at most {_MAX_ELEMENTS}")


def require_positive(what: str, **values: int) -> None:
    """Raise `ArchitectureError` for a value that is no whole number of at least 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ArchitectureError(f"{what}: {name}: found {value!r}, expected a whole number of at least 1")
