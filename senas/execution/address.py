"""Address of a Ray cluster."""

from senas.errors import OptionError


def check_address(address: str | None) -> None:
    """Raise `OptionError` for a Ray Client address."""
    if address is not None and address.startswith("ray://"):
        raise OptionError(
            f"address: found {address}, a Ray Client address, which senas does not support; "
            "run senas on a node of the cluster and give HOST:PORT of its head, or auto"
        )
