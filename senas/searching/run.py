"""A run: one search in a folder, with everything needed to resume, inspect and retrain."""

import fcntl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from senas.costs.budget import Objective
from senas.errors import RunError
from senas.latency.profile import LatencyProfile
from senas.parsing import read_json, to_plain, write_json
from senas.searching.findings import Believed, Findings, findings_of
from senas.searching.journal import Journal
from senas.searching.known import problem_of
from senas.searching.pareto import hypervolume, knee, pareto_front
from senas.searching.record import RunRecord, SearchOptions, Training
from senas.searching.trial import Trial
from senas.spaces.space import SearchSpace
from senas.strategies.problem import Problem
from senas.version import __version__

RUN_FILE, JOURNAL_FILE, FRONT_FILE = "run.json", "journal.sqlite", "front.json"
PROFILE_FILE, LOCK_FILE = "profile.json", "run.lock"


class Run:
    """One search, as its folder tells it; valid while the search goes on and after it.

    Args:
        folder: made by `Run.create`.

    Raises:
        SenasError: the folder does not hold a run.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        if not (self.folder / RUN_FILE).is_file():
            raise RunError(f"{self.folder}: not a run folder, it has no {RUN_FILE}")
        self.record = read_json(self.folder / RUN_FILE, RunRecord)
        if self.record.reference_cost <= 0 or self.record.trials < 1:
            found = f"{self.record.reference_cost} and {self.record.trials}"
            raise RunError(f"{self.folder / RUN_FILE}: reference_cost and trials: found {found}, allowed: more than 0")
        if self.record.space.digest != self.record.space_digest:
            found, written = self.record.space.digest, self.record.space_digest
            raise RunError(f"{self.folder / RUN_FILE}: space: found one of digest {found}, expected {written}")

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
    ) -> "Run":
        """Make the folder of a new run.

        Raises:
            RunError: the folder holds a run already, or cannot be written to.
        """
        folder = Path(folder)
        if (folder / RUN_FILE).exists():
            raise RunError(f"{folder}: holds a run already; go on with it (senas resume {folder}) or choose another")
        for name in (JOURNAL_FILE, PROFILE_FILE):
            if (folder / name).exists():
                raise RunError(f"{folder}: holds {name} of another run; choose another folder")
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
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if profile is not None:
                profile.save(folder / PROFILE_FILE)
            Journal(folder / JOURNAL_FILE, create=True).close()
            write_json(folder / RUN_FILE, record)
        except OSError as error:
            raise RunError(f"{folder}: cannot be written to ({error.strerror})") from None
        return cls(folder)

    @property
    def objective(self) -> Objective:
        """The cost of the front."""
        return self.record.options.objective

    def profile(self) -> LatencyProfile | None:
        """The latency profile of the run, where it has one."""
        if self.record.profile_digest is None:
            return None
        path = self.folder / PROFILE_FILE
        profile = LatencyProfile.load(path)
        if profile.digest != self.record.profile_digest:
            raise RunError(f"{path}: found a profile of digest {profile.digest}, expected {self.record.profile_digest}")
        return profile

    def open_journal(self) -> Journal:
        """The journal, for reading and writing."""
        return Journal(self.folder / JOURNAL_FILE)

    def trials(self) -> list[Trial]:
        """Every trial so far, in order of starting."""
        journal = self.open_journal()
        try:
            return journal.trials()
        finally:
            journal.close()

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

    def extend(self, *, trials: int | None = None, replicates: int | None = None, baseline: bool | None = None) -> None:
        """Ask for other numbers of trials and replicates, or for a baseline, from now on.

        Args:
            trials: of the strategy in all; `None` leaves it as it is.
            replicates: in all, likewise.
            baseline: likewise.

        Raises:
            RunError: fewer than have ended.
        """
        ended = Counter(trial.purpose for trial in self.trials() if trial.status != "running")
        for name, asked, least, so_far in (
            ("trials", trials, 1, ended["search"]),
            ("replicates", replicates, 0, ended["replicate"]),
        ):
            if asked is not None and asked < max(least, so_far):
                allowed = f"the {so_far} that have ended" if so_far else str(least)
                raise RunError(f"{self.folder}: {name}: found {asked}, allowed: at least {allowed}")
        options = self.record.options
        extended = replace(
            self.record,
            trials=self.record.trials if trials is None else trials,
            options=replace(
                options,
                replicates=options.replicates if replicates is None else replicates,
                baseline=options.baseline if baseline is None else baseline,
            ),
        )
        if extended != self.record:
            write_json(self.folder / RUN_FILE, extended)
            self.record = extended

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep every other process from searching in this folder.

        Raises:
            RunError: another process does.
        """
        with (self.folder / LOCK_FILE).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(f"{self.folder}: another process is searching here") from None
            yield

    def discard(self) -> None:
        """Remove the files of a run in which no trial has started, so that its folder can be used again."""
        if not self.trials():
            for name in (RUN_FILE, PROFILE_FILE, LOCK_FILE, FRONT_FILE):
                (self.folder / name).unlink(missing_ok=True)
            for path in self.folder.glob(f"{JOURNAL_FILE}*"):
                path.unlink()
            with suppress(OSError):  # what was there before stays
                self.folder.rmdir()

    def save_front(self) -> list[Trial]:
        """Write `front.json` and the JSON of every architecture that was evaluated; returns the front."""
        trials = self.trials()
        front = pareto_front(trials, self.objective)
        for trial in trials:
            path = self.folder / "architectures" / f"{trial.digest}.json"
            if not path.exists():
                trial.architecture.save(path)
        write_json(self.folder / FRONT_FILE, [front_row(trial) for trial in front])
        return front


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
