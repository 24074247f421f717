"""Latency profile of a search, measured now or adjusted to the machine's current speed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

from senas.execution.ray_driver import run_alone
from senas.latency import DeviceKind, Drift, LatencyProfile, profile_space, recheck
from senas.spaces import SearchSpace

_PROFILE_SECONDS = 20.0  # of a profile for one search; `senas profile` takes longer by default


def profile_of_elsewhere(
    space: SearchSpace, *, source: str, execution: str | None, dtype: str | None, batch: int | None
) -> tuple[LatencyProfile, list[str]]:
    """Return the profile of another machine, as it was measured there.

    Args:
        space: Space of the search.
        source: Name of a shipped profile, or a path.
        execution: Execution that the search asks for; `None` for any.
        dtype: Number format that the search asks for; `None` for any.
        batch: Batch size that the search asks for; `None` for any.

    Returns:
        The profile, and notes for the user.

    Raises:
        SenasError: A profile that cannot be read or does not fit.
    """
    profile = LatencyProfile.load(source)
    _Asked(execution=execution, dtype=dtype, batch=batch).require(profile, space, profile.device.kind, here=False)
    mode = profile.mode
    return profile, [
        f"latency of {profile.device.name} ({mode.execution}, {mode.dtype}, batch {mode.batch}) as it was measured on "
        f"{profile.provenance.created[:10]}; nothing is measured on this machine"
    ]


def profile_for_search(
    space: SearchSpace,
    device: DeviceKind,
    *,
    source: str,
    execution: str | None,
    dtype: str | None,
    batch: int | None,
    seed: int,
    address: str | None,
    progress: Callable[[float], None] = lambda _: None,
    on_estimate: Callable[[float, float], None] | None = None,
) -> tuple[LatencyProfile, list[str]]:
    """Return the profile of a search: measured now, or with its anchors measured again.

    With CUDA and a cluster's address, measurement runs on an otherwise unused GPU of the cluster.

    Args:
        space: Space of the search.
        device: Kind of device.
        source: `measure`, the name of a shipped profile, or a path.
        execution: Execution that the search asks for; `None` for any.
        dtype: Number format that the search asks for; `None` for any.
        batch: Batch size that the search asks for; `None` for any.
        seed: Random seed of the measurement.
        address: Address of a Ray cluster, or `None`.
        progress: Function that is called with the share done, in [0, 1].
        on_estimate: Function that is told the least and the most seconds that measuring a profile here will take.

    Returns:
        The profile, and notes for the user.

    Raises:
        SenasError: A profile that cannot be read or does not fit, or a machine that is too busy.
    """
    cluster = address if device == "cuda" else None
    asked = _Asked(execution=execution, dtype=dtype, batch=batch)
    if source == "measure":
        told = on_estimate if cluster is None else None  # it cannot be called from another machine
        work = partial(_measured, space, device, asked, seed, on_estimate=told)
    else:
        profile = LatencyProfile.load(source)
        asked.require(profile, space, device, here=False)
        work = partial(_rechecked, profile, space, device, asked)
    if cluster is None:
        return work(progress=progress)
    found, notes = run_alone(work, cluster)
    return found, [f"measured on a GPU of {cluster} that nothing else used meanwhile", *notes]


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """Mode that a search asks for; `None` for any."""

    execution: str | None
    dtype: str | None
    batch: int | None

    def require(self, profile: LatencyProfile, space: SearchSpace, device: DeviceKind, *, here: bool) -> None:
        """Raise `ProfileError` if a profile does not fit."""
        profile.require(space, device, execution=self.execution, dtype=self.dtype, batch=self.batch, here=here)


def _measured(
    space: SearchSpace,
    device: DeviceKind,
    asked: _Asked,
    seed: int,
    progress: Callable[[float], None] = lambda _: None,
    on_estimate: Callable[[float, float], None] | None = None,
) -> tuple[LatencyProfile, list[str]]:
    profile = profile_space(
        space,
        device=device,
        execution=asked.execution,
        dtype="fp32" if asked.dtype is None else asked.dtype,
        batch=1 if asked.batch is None else asked.batch,
        seconds=_PROFILE_SECONDS,
        seed=seed,
        progress=progress,
        on_estimate=on_estimate,
    )
    return profile, []


def _rechecked(
    profile: LatencyProfile,
    space: SearchSpace,
    device: DeviceKind,
    asked: _Asked,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[LatencyProfile, list[str]]:
    """Return the profile adjusted to the machine's current speed, and notes on what has changed since it was made."""
    asked.require(profile, space, device, here=True)
    current, at_profile = recheck(profile, progress=progress), profile.drifted(Drift())
    anchors = [anchor.architecture for anchor in profile.anchors]
    times = median(current.predict(arch).latency_ms / at_profile.predict(arch).latency_ms for arch in anchors)
    changes = [
        f"warning: the profile was made with {change}; its anchors were measured again"
        for change in profile.software_changes()
    ]
    drift = f"the machine takes {times:.3f} times as long as when the profile was made; predictions are adjusted"
    return current, [*changes, drift]
