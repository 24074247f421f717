"""`senas profile`: measure a space on this device and write the file."""

from pathlib import Path

from senas.costs.profile import LatencyProfile
from senas.costs.profiling import profile_space
from senas.errors import ProfileError
from senas.launch.options import ProgressDisplay, check_measurable, check_one_of
from senas.spaces.file import load_space


def launch_profile(
    space: str,
    *,
    device: str,
    dtype: str,
    batch: int,
    seconds: float,
    seed: int,
    out: Path,
    display: ProgressDisplay,
) -> LatencyProfile:
    """Measure a space on this device and write the profile."""
    check_measurable(device)
    check_one_of("--dtype", dtype, ("fp32",))
    measured = profile_space(load_space(space), seconds=seconds, batch=batch, seed=seed, progress=display.profiling)
    try:
        measured.save(out)
    except OSError as error:
        raise ProfileError(f"{out}: cannot be written to ({error.strerror})") from None
    return measured
