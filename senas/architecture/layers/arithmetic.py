"""Output size of sliding windows, and limits on the numbers of an operation."""

from senas.errors import ArchitectureError

MAX_WEIGHTS = 2**28  # 1 GiB in fp32
MAX_ELEMENTS = 2**26  # elements of one feature map at batch size 1: 256 MiB in fp32


def output_size(size: int, kernel: int, stride: int, padding: int, *, ceil: bool = False) -> int:
    """Return the number of positions of a sliding window, by the arithmetic of torch.

    Args:
        size: Height = width of the input.
        kernel: Height = width of the window.
        stride: Distance between two positions.
        padding: Rows or columns added on every side.
        ceil: Whether a window may extend over the right and lower edge.

    Raises:
        ArchitectureError: The window is larger than the padded input.
    """
    room = size + 2 * padding - kernel
    if room < 0:
        raise ArchitectureError(
            f"a window of {kernel}x{kernel}: found {size}x{size} as input, "
            f"allowed: at least {kernel - 2 * padding}x{kernel - 2 * padding}"
        )
    if not ceil:
        return room // stride + 1
    positions = -(-room // stride) + 1
    return positions - 1 if (positions - 1) * stride >= size + padding else positions  # no window starts in the padding


def require_room(what: str, *, weights: int = 0, elements: int = 0) -> None:
    """Raise `ArchitectureError` for an operation that no device can hold, before it is allocated.

    Args:
        what: Name of the operation in the message.
        weights: Number of its weights.
        elements: Number of elements of its output at batch size 1.
    """
    if weights > MAX_WEIGHTS:
        raise ArchitectureError(f"{what}: found {weights} weights, allowed: at most {MAX_WEIGHTS}")
    if elements > MAX_ELEMENTS:
        raise ArchitectureError(f"{what}: found {elements} elements of its output, allowed: at most {MAX_ELEMENTS}")


def require_positive(what: str, **values: int) -> None:
    """Raise `ArchitectureError` for a value that is not a whole number of at least 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ArchitectureError(f"{what}: {name}: found {value!r}, expected a whole number of at least 1")
