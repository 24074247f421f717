"""Networks and profiles as they are named on the command line."""

import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from senas.cli.options import check_one_of, parse_whole
from senas.errors import ArchitectureError, OptionError, RunError, SenasError, one_of

if TYPE_CHECKING:
    from senas.architecture import Architecture, SEConfig
    from senas.latency import LatencyProfile
    from senas.runs import Run

_ARCHITECTURE_FILE = "architecture.json"  # of a retrained network


def network_named(
    source: str, *, pick: str | None = None, se: str | None = None, se_stages: str | None = None
) -> "tuple[Architecture, Run | None]":
    """Return an architecture, and the run that it was picked from.

    Args:
        source: Architecture file, folder of a run or of a retrained network, or name of a reference.
        pick: Trial of the run; `None` for the best.
        se: SE block of the reference, such as `r=16,integration=pre`.
        se_stages: Stages of the reference that get it, such as `2,3`.

    Raises:
        SenasError: None of these, or arguments that do not belong to it.
    """
    from senas.architecture import REFERENCES, Architecture

    folder = Path(source)
    if source in REFERENCES:
        _refuse("--pick", pick, f"{source}, which is one architecture, expected a run")
        return _reference(source, se, se_stages), None
    if not folder.is_dir() and folder.suffix != ".json":
        raise ArchitectureError(f"architecture: {_not_a_network(source, REFERENCES)}")
    _refuse("--se, --se-stages", se or se_stages, f"{source}, which has its own SE, expected a reference name")
    if folder.is_dir():
        return _network_in(folder, pick)
    _refuse("--pick", pick, f"{source}, which is one architecture, expected a run")
    return Architecture.load(source), None


def profile_at_hand(
    arch: "Architecture", name: str | None, run: "Run | None"
) -> "tuple[LatencyProfile | None, str | None]":
    """Return the profile of a name or else that of a run, and why the run's does not predict the latency, if so.

    Raises:
        SenasError: The profile of that name cannot be read or does not fit the architecture.
    """
    from senas.latency import LatencyProfile, latency_breakdown

    if name is None and (run is None or run.record.profile_digest is None):
        return None, None
    try:
        profile = LatencyProfile.load(name) if name is not None else cast("Run", run).profile
        assert profile is not None
        latency_breakdown(arch, profile)
    except SenasError as error:
        if name is not None:
            raise
        return None, f"no latency by the profile of the run: {error}"
    return profile, None


def trained_folder(source: Path, pick: str | None) -> Path:
    """Return the folder of a retrained network: the source itself, or that of a trial of a run.

    Raises:
        SenasError: Neither of them, or a run that has no such retrained network.
    """
    from senas.runs import JOURNAL_FILE, Run

    if not source.is_dir():
        raise RunError(f"{source}: no such folder, expected that of a retrained network, or of a run with one in it")
    if not (source / JOURNAL_FILE).exists():
        _refuse("--pick", pick, f"{source}, which is not a run")
        if not (source / _ARCHITECTURE_FILE).exists():
            raise RunError(f"{source}: found no {_ARCHITECTURE_FILE}, expected the folder of a retrained network")
        return source
    folder = source / "retrain" / Run(source).pick(pick or "best").digest
    if not (folder / "network.json").exists():  # the last file that retraining writes but for the result
        command = shlex.join(["senas", "retrain", str(source), "--pick", pick or "best"])
        raise RunError(f"{folder}: found no network.json, expected a retrained network: {command}")
    return folder


def _refuse(option: str, value: str | None, beside: str) -> None:
    if value is not None:
        raise OptionError(f"{option}: found {value} beside {beside}")


def _network_in(folder: Path, pick: str | None) -> "tuple[Architecture, Run | None]":
    """Return the architecture of a folder, which is a run or a retrained network."""
    from senas.architecture import Architecture
    from senas.runs import JOURNAL_FILE, Run

    if (folder / JOURNAL_FILE).exists():
        run = Run(folder)
        return run.pick(pick or "best").architecture, run
    _refuse("--pick", pick, f"{folder}, which is not a run")
    if not (folder / _ARCHITECTURE_FILE).exists():
        raise RunError(
            f"{folder}: found neither {JOURNAL_FILE}, which a run has, nor {_ARCHITECTURE_FILE}, which a retrained "
            "network has"
        )
    return Architecture.load(folder / _ARCHITECTURE_FILE), None


def _not_a_network(source: str, references: "dict[str, Any]") -> str:
    """Return why a text names no network, for the end of a message."""
    from senas.spaces import shipped_spaces

    if source in shipped_spaces() or source.endswith(".toml"):
        return (
            f"found '{source}', a search space, which holds many (senas spaces lists spaces), expected one network: "
            f"{', '.join(sorted(references))}, a path ending in .json, or a folder"
        )
    return f"{one_of(source, references)}, or a path ending in .json, or the folder of a run or a retrained network"


def _reference(name: str, se: str | None, se_stages: str | None) -> "Architecture":
    """Return a reference, with an SE block if there is one."""
    from senas.architecture import reference

    if se_stages is not None and se is None:
        raise OptionError("--se-stages: needs --se, such as --se r=16")
    stages = None if se_stages is None else [parse_whole("--se-stages", item) for item in se_stages.split(",")]
    return reference(name, se=None if se is None else _parse_se(se), se_stages=stages)


def _parse_se(text: str) -> "SEConfig":
    """Return the SE block of a text such as `r=16,squeeze=max,bias=false`."""
    from senas.architecture import SEConfig

    values: dict[str, str] = {}
    for item in text.split(","):
        key, equals, value = item.partition("=")
        name = {"r": "reduction"}.get(key.strip(), key.strip())
        known = [field.name for field in fields(SEConfig)]
        if name not in known or not equals:
            raise OptionError(f"--se: {one_of(item, [f'{key}=' for key in ('r', *known)])}")
        if name in values:
            raise OptionError(f"--se: found {name} twice in '{text}', allowed: once")
        values[name] = value.strip()
    if "reduction" not in values:
        raise OptionError(f"--se: found '{text}', expected at least r=, such as r=16")
    bias = check_one_of("--se bias", values.get("bias", "true"), ("true", "false")) == "true"
    return SEConfig(
        reduction=parse_whole("--se r", values["reduction"]),
        squeeze=cast(Any, values.get("squeeze", "avg")),
        excitation=cast(Any, values.get("excitation", "sigmoid")),
        integration=cast(Any, values.get("integration", "standard")),
        bias=bias,
        multiple=parse_whole("--se multiple", values.get("multiple", "1")),
    )
