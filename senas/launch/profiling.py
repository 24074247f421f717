"""`senas profile`: measure a space on this device and write a profile for each batch size."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from senas.costs.se_costs import SECost, se_costs, summary
from senas.errors import OptionError, ProfileError
from senas.latency.identity import make_mode, profile_name
from senas.latency.profile import LatencyProfile
from senas.latency.profiling import write_profile
from senas.launch.options import ProgressDisplay, check_device
from senas.report.se_figure import draw_se_costs
from senas.spaces.file import load_space


@dataclass(frozen=True, kw_only=True)
class ProfileRequest:
    """The arguments of `senas profile` as they were written."""

    space: str
    device: str
    execution: str | None
    dtype: str
    batches: Sequence[int]
    memory_format: str
    seconds: float
    share: float
    seed: int
    out: Path | None


def launch_profile(request: ProfileRequest, *, display: ProgressDisplay) -> list[tuple[Path, LatencyProfile]]:
    """Measure a space on this device, once for each batch size, and write the profiles.

    What an interrupt leaves beside the file to be written is gone on with when the call is repeated.
    """
    device, space = check_device(request.device), load_space(request.space)
    if request.out is not None and len(request.batches) > 1:
        raise OptionError(f"--out: found one file for {len(request.batches)} batch sizes, allowed: none or one --batch")
    if len(set(request.batches)) < len(request.batches):
        raise OptionError(f"--batch: found {', '.join(map(str, request.batches))}, allowed: each size once")
    modes = [
        make_mode(
            device,
            space.input,
            execution=request.execution,
            dtype=request.dtype,
            batch=batch,
            memory_format=request.memory_format,
        )
        for batch in request.batches
    ]
    done = []
    for mode in modes:
        path = request.out or Path("profiles") / f"{profile_name(space.name, device, mode)}.json"
        measured = write_profile(
            path,
            space,
            device,
            mode,
            seconds=request.seconds,
            share=request.share,
            seed=request.seed,
            progress=display.profiling,
        )
        done.append((path, measured))
    return done


def explain_se(profiles: Sequence[LatencyProfile], space: str) -> tuple[list[SECost], str]:
    """What SE adds by profiles of one space, and the same in a sentence; nothing where the space has no SE."""
    loaded = load_space(space)
    costs = [cost for profile in profiles for cost in se_costs(loaded, profile)]
    return costs, summary(costs) if costs else ""


def draw_se(profiles: Sequence[str], space: str | None) -> list[Path]:
    """Draw what SE adds beside the first of some profiles, as PNG and SVG; returns their paths.

    Raises:
        SenasError: not profiles of one space, device and mode but for different batch sizes, or of a space that is not
            known by its name.
    """
    loaded = [LatencyProfile.load(name) for name in profiles]
    for name, other in zip(profiles[1:], loaded[1:], strict=True):
        if other.device != loaded[0].device or replace(other.mode, batch=0) != replace(loaded[0].mode, batch=0):
            raise ProfileError(f"{name}: device and mode: found others than in {profiles[0]}, expected the same")
    if len({other.mode.batch for other in loaded}) < len(loaded):
        raise ProfileError("mode.batch: found the same in two profiles, expected each batch size once")
    costs, _ = explain_se(loaded, space or loaded[0].space.name)
    if not costs:
        raise ProfileError(
            f"{profiles[0]}: space {loaded[0].space.name} has no cell with SE, so there is nothing to draw"
        )
    first = Path(profiles[0])
    paths = [first.with_name(f"{first.stem}-se{ending}") for ending in (".png", ".svg")]
    mode = loaded[0].mode
    title = f"{loaded[0].space.name} on {loaded[0].device.name}, {mode.execution}, {mode.dtype}"
    draw_se_costs(costs, title, paths)
    return paths
