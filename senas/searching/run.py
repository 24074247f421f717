"""A run: one search in a folder, with everything needed to resume, inspect and retrain."""

from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from senas.costs.budget import Objective
from senas.errors import RunError
from senas.files import os_reason
from senas.latency.profile import LatencyProfile
from senas.parsing import from_plain, to_plain, write_json
from senas.searching.claim import LOCK_FILE
from senas.searching.findings import Believed, Findings, findings_of
from senas.searching.identity import differences
from senas.searching.journal import Journal
from senas.searching.known import problem_of
from senas.searching.pareto import hypervolume, knee, pareto_front
from senas.searching.record import Code, RunRecord, SearchOptions, Training
from senas.searching.schema import RUN_FILE
from senas.searching.trial import Trial
from senas.spaces.space import SearchSpace
from senas.strategies.problem import Problem
from senas.version import __version__

JOURNAL_FILE, FRONT_FILE, PROFILE_FILE = "journal.sqlite", "front.json", "profile.json"
ARCHITECTURES_FOLDER, SCRATCH_FOLDER = "architectures", "trials"


class Run:
    """One search, as its folder tells it; valid while the search goes on and after it.

    Args:
        folder: made by `Run.create`.

    Raises:
        SenasError: the folder does not hold a run.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        if not (self.folder / JOURNAL_FILE).exists():
            raise RunError(f"{self.folder}: not a run folder, it has no {JOURNAL_FILE}")
        self._journal = Journal(self.inside(JOURNAL_FILE))
        self._journal.record  # noqa: B018  # raises where it does not say what was asked for

    @classmethod
    def create(
        cls,
        folder: Path | str,
        *,
        space: SearchSpace,
        options: SearchOptions,
        reference_cost: float,
        profile: LatencyProfile | None,
        training: Training | None,
        code: Code,
    ) -> "Run":
        """Make the folder of a new run.

        Raises:
            RunError: the folder holds a run already, or cannot be written to.
        """
        folder = Path(folder)
        check_unused(folder)
        record = RunRecord(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            version=__version__,
            space=space,
            space_digest=space.digest,
            profile_digest=None if profile is None else profile.digest,
            options=options,
            trials=options.trials,
            reference_cost=reference_cost,
            training=training,
            code=code,
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if profile is not None:
                _save_profile(profile, folder / PROFILE_FILE)
            Journal.create(folder / JOURNAL_FILE, record).close()
            write_json(folder / RUN_FILE, record)
        except OSError as error:
            raise RunError(f"{folder}: cannot be written to ({os_reason(error)})") from None
        return cls(folder)

    @property
    def record(self) -> RunRecord:
        """What was asked for; `run.json` is a copy of it for people and other tools."""
        return self._journal.record

    @property
    def scratch(self) -> Path:
        """The folder for what running trials keep, as a worker finds it in whatever folder it works."""
        return self.inside(SCRATCH_FOLDER).absolute()

    def inside(self, *names: str) -> Path:
        """A path in the folder.

        Raises:
            RunError: a symbolic link makes it lead elsewhere; the run may come from a stranger.
        """
        path = self.folder.joinpath(*names)
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise RunError(f"{path}: found a link to {path.resolve()}, allowed: what is in the folder of the run")
        return path

    @property
    def objective(self) -> Objective:
        """The cost of the front."""
        return self.record.options.objective

    def profile(self) -> LatencyProfile | None:
        """The latency profile of the run, where it has one."""
        if self.record.profile_digest is None:
            return None
        path = self.inside(PROFILE_FILE)
        profile = LatencyProfile.load(path)
        if profile.digest != self.record.profile_digest:
            raise RunError(f"{path}: found a profile of digest {profile.digest}, expected {self.record.profile_digest}")
        return profile

    def open_journal(self) -> Journal:
        """The journal, to append to."""
        return Journal(self.inside(JOURNAL_FILE), write=True)

    def trials(self) -> list[Trial]:
        """Every trial so far, in order of starting; a search may be going on meanwhile."""
        self._journal.refresh()
        return [*self._journal.trials.values()]

    def front(self) -> list[Trial]:
        """The Pareto front, best accuracy first."""
        return pareto_front(self.trials(), self.objective)

    def hypervolume(self) -> float:
        """Share of the accuracy-cost rectangle that the front dominates, in [0, 1]."""
        return hypervolume(self.trials(), self.objective, self.record.reference_cost)

    def problem(self) -> Problem:
        """What was known of the space before the search."""
        options = self.record.options
        return problem_of(
            self.record.space,
            objective=options.objective,
            budget=options.budget,
            worst_cost=self.record.reference_cost,
            profile=self.profile(),
            confidence=options.confidence,
        )

    def findings(self) -> Findings | None:
        """What to believe of each finished architecture and of the front; `None` where too few trials have finished.

        One training is one noisy look, and the best of many noisy looks is too good to be true.
        """
        return findings_of(self.record.space, self.problem(), self.trials(), seed=self.record.options.seed)

    def pick(self, which: str) -> Trial:
        """A trial by name.

        Args:
            which: `best` accuracy or `knee` of the front, or a digest or the start of one.

        Raises:
            RunError: no such trial, or more than one.
        """
        if which in ("best", "knee"):
            front = self.front()
            if not front:
                raise RunError(f"{self.folder}: no trial has finished, so there is no {which} one")
            return front[0] if which == "best" else knee(front, self.objective)
        found = [trial for trial in self.trials() if trial.digest.startswith(which) and trial.status != "failed"]
        if len({trial.digest for trial in found}) != 1:
            digests = ", ".join(trial.digest for trial in found[:5]) or "none"
            raise RunError(
                f"{self.folder}: found {len(found)} trials for '{which}' ({digests}), "
                "allowed: best, knee, or the start of one digest"
            )
        return found[0]

    def extend(self, code: Code, training: Training | None, *, trials: int | None = None, **options: Any) -> None:
        """Ask for other numbers from now on, and take note of what the run is gone on with.

        Args:
            code: of this process.
            training: how trials are trained from now on.
            trials: of the strategy in all; `None` leaves it as it is.
            options: fields of `SearchOptions`, likewise; replicates and the time budget are meant in all, too.

        Raises:
            RunError: fewer than have ended.
        """
        ended = Counter(trial.purpose for trial in self.trials() if trial.status != "running")
        for name, asked, least, so_far in (
            ("trials", trials, 1, ended["search"]),
            ("replicates", options.get("replicates"), 0, ended["replicate"]),
        ):
            if asked is not None and asked < max(least, so_far):
                allowed = f"the {so_far} that have ended" if so_far else str(least)
                raise RunError(f"{self.folder}: {name}: found {asked}, allowed: at least {allowed}")
        changed = {name: value for name, value in options.items() if value is not None}
        wanted = self.record.trials if trials is None else trials
        options_now = replace(self.record.options, **changed)
        record = replace(self.record, trials=wanted, options=options_now, code=code, training=training)
        from_plain(RunRecord, to_plain(record), str(self.folder))  # what is written must be readable again
        if record != self.record:
            with closing(self.open_journal()) as journal:
                journal.asked(record)
            self._journal.refresh()
        write_json(self.inside(RUN_FILE), record)

    def require_same(self, code: Code, training: Training | None) -> None:
        """Refuse to go on with other code than the run was searched with, or to train in another way.

        Raises:
            RunError: something differs; the message names it.
        """
        before = self.record.code
        changes = [] if before is None else [*differences(before, code)]
        if training != self.record.training:
            changes.append(f"training {self.record.training or 'of its own'}, found {training or 'one of its own'}")
        if changes:
            raise RunError(
                f"{self.folder}: was searched with {'; '.join(changes)}; "
                "with --force the search goes on, but not as it would have"
            )

    def discard(self) -> None:
        """Remove the files of a run in which no trial has started, so that its folder can be used again."""
        if not self.trials():
            for name in (RUN_FILE, PROFILE_FILE, LOCK_FILE, FRONT_FILE):
                (self.folder / name).unlink(missing_ok=True)
            for path in [*self.folder.glob(f"{JOURNAL_FILE}*"), *self.folder.glob(f".{JOURNAL_FILE}*.tmp*")]:
                path.unlink()
            with suppress(OSError):  # what was there before stays
                self.folder.rmdir()

    def save_front(self) -> list[Trial]:
        """Write `front.json` and the JSON of every architecture that was evaluated; returns the front."""
        trials = self.trials()
        front = pareto_front(trials, self.objective)
        for trial in trials:
            path = self.inside(ARCHITECTURES_FOLDER, f"{trial.digest}.json")
            if not path.exists():
                trial.architecture.save(path)
        write_json(self.inside(FRONT_FILE), [front_row(trial) for trial in front])
        return front


def check_unused(folder: Path) -> None:
    """Raise `RunError` where a folder holds a run already, or a part of one."""
    if (folder / JOURNAL_FILE).exists():
        raise RunError(f"{folder}: holds a run already; go on with it (senas resume {folder}) or choose another folder")
    if (folder / RUN_FILE).exists():
        raise RunError(f"{folder}: holds {RUN_FILE} of another run; choose another folder")


def _save_profile(profile: LatencyProfile, path: Path) -> None:
    """Write the profile of a new run; the same may be there, where a process was killed before it made the journal."""
    if path.exists() and LatencyProfile.load(path).digest != profile.digest:
        raise RunError(f"{path}: holds another profile; choose another folder")
    profile.save(path)


def front_row(trial: Trial, belief: Believed | None = None) -> dict[str, object]:
    """A trial of the front as plain data, for `front.json` and, with what is believed of it, `senas front --json`."""
    return {
        "digest": trial.digest,
        "number": trial.number,
        "accuracy": trial.accuracy,
        "trainings": trial.trainings,
        **to_plain(trial.cost),
        "measured_ms": trial.measured_ms,
        "drift": trial.drift,
        **({} if belief is None else {"expected_accuracy": belief.accuracy, "on_front": belief.on_front}),
        "se": trial.architecture.describe_se(),
        "cells": len(trial.architecture.cells),
        "architecture": to_plain(trial.architecture),
    }
