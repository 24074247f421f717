"""A run: one search in a folder, with everything needed to resume, inspect and retrain."""

from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from senas.costs import CostModel, Objective
from senas.errors import RunError
from senas.io import brief, from_plain, os_reason, to_plain, write_json
from senas.latency import LatencyProfile
from senas.runs.config import RunRecord, SearchCode, SearchOptions, Training
from senas.runs.journal import Journal
from senas.runs.lock import LOCK_FILE
from senas.runs.pareto import hypervolume, knee, pareto_front
from senas.runs.provenance import differences
from senas.runs.rows import front_row, trial_row
from senas.runs.schema import RUN_FILE
from senas.runs.trial import Trial
from senas.spaces import SearchSpace
from senas.strategies import Problem, make_problem
from senas.version import __version__

JOURNAL_FILE = "journal.sqlite"
FRONT_FILE, PROFILE_FILE, COSTS_FILE = "front.json", "profile.json", "costs.json"
ARCHITECTURES_FOLDER, SCRATCH_FOLDER = "architectures", "trials"
_CHECKED_TRIALS = 10  # trials whose costs in the journal a cost table must reproduce


class Run:
    """One search, as its folder describes it; valid while the search runs and after it.

    Args:
        folder: Folder that `Run.create` made.

    Raises:
        SenasError: The folder does not hold a run.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        require_run(self.folder)
        self._journal = Journal(self.inside(JOURNAL_FILE))
        self._journal.record  # noqa: B018  # raises if the journal has no options

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
        code: SearchCode,
        cost_model: CostModel,
    ) -> "Run":
        """Create the folder of a new run and return the run.

        Raises:
            RunError: The folder holds a run already, or cannot be written to.
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
            cost_model.save(folder / COSTS_FILE)
            Journal.create(folder / JOURNAL_FILE, record).close()
            write_json(folder / RUN_FILE, record)
        except OSError as error:
            raise RunError(f"{folder}: cannot be written to ({os_reason(error)})") from None
        run = cls(folder)
        run.cost_model = cost_model
        return run

    @property
    def record(self) -> RunRecord:
        """Identity and options of the run; `run.json` is a copy for people and other tools."""
        return self._journal.record

    @property
    def objective(self) -> Objective:
        """Cost of the front."""
        return self.record.options.objective

    @property
    def scratch(self) -> Path:
        """Folder for the files of running trials, as an absolute path, since workers run in other folders."""
        return self.inside(SCRATCH_FOLDER).absolute()

    def inside(self, *names: str) -> Path:
        """Return a path in the folder.

        Raises:
            RunError: A symbolic link leads out of the folder; the run may come from an untrusted source.
        """
        path = self.folder.joinpath(*names)
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise RunError(f"{path}: found a link to {path.resolve()}, allowed: paths inside the folder of the run")
        return path

    @cached_property
    def profile(self) -> LatencyProfile | None:
        """Latency profile of the run; `None` if it has none.

        Raises:
            SenasError: The profile is missing, damaged, or not the one that the run was started with.
        """
        if self.record.profile_digest is None:
            return None
        path = self.inside(PROFILE_FILE)
        profile = LatencyProfile.load(path)
        if profile.digest != self.record.profile_digest:
            raise RunError(f"{path}: found a profile of digest {profile.digest}, expected {self.record.profile_digest}")
        return profile

    @cached_property
    def cost_model(self) -> CostModel:
        """FLOPs and parameters of the space: from the folder, or counted if an older run has no such file.

        Raises:
            SenasError: The file is damaged, or contradicts the costs in the journal.
        """
        space, path = self.record.space, self.inside(COSTS_FILE)
        if not path.exists():
            return CostModel(space)
        model = CostModel.load(path, space)
        for trial in self.trials()[:_CHECKED_TRIALS]:
            found = model.complexity(space.sample_at(space.indices_of(trial.architecture).clip(min=0)))
            if (found.flops, found.params) != (trial.cost.flops, trial.cost.params):
                raise RunError(
                    f"{path}: found {found.flops} FLOPs and {found.params} parameters for trial {trial.number}, "
                    f"expected {trial.cost.flops} and {trial.cost.params}; remove the file to count them again"
                )
        return model

    @cached_property
    def problem(self) -> Problem:
        """Space, costs and budget of the run as a strategy sees them; its cost tables are built once.

        Raises:
            SenasError: The profile or the cost table in the folder cannot be used.
        """
        options = self.record.options
        return make_problem(
            self.record.space,
            objective=options.objective,
            budget=options.budget,
            worst_cost=self.record.reference_cost,
            profile=self.profile,
            confidence=options.confidence,
            cost_model=self.cost_model,
        )

    def open_journal(self) -> Journal:
        """Return the journal, open to append to."""
        return Journal(self.inside(JOURNAL_FILE), write=True)

    def trials(self) -> list[Trial]:
        """Return every trial so far, in order of starting; a search may be running meanwhile."""
        self._journal.refresh()
        return [*self._journal.trials.values()]

    def front(self) -> list[Trial]:
        """Return the Pareto front, best accuracy first."""
        return pareto_front(self.trials(), self.objective)

    def hypervolume(self) -> float:
        """Return the share of the accuracy-cost rectangle that the front dominates, in [0, 1]."""
        return hypervolume(self.trials(), self.objective, self.record.reference_cost)

    def to_records(self) -> list[dict[str, object]]:
        """Return every trial as a plain dict, best accuracy first, as `pandas.DataFrame` takes them."""
        trials = self.trials()
        front = {trial.digest for trial in pareto_front(trials, self.objective)}
        ordered = sorted(
            trials, key=lambda trial: (-1.0 if trial.accuracy is None else -trial.accuracy - 1, trial.number)
        )
        return [trial_row(trial, on_front=trial.digest in front) for trial in ordered]

    def pick(self, which: str) -> Trial:
        """Return a trial by name.

        Args:
            which: `best` accuracy or `knee` of the front, the number of a trial, or a digest or the start of one.

        Raises:
            RunError: No such trial, or more than one.
        """
        if which in ("best", "knee"):
            front = self.front()
            if not front:
                raise RunError(f"{self.folder}: no trial has finished, so there is no {which} one")
            return front[0] if which == "best" else knee(front, self.objective)
        usable = [trial for trial in self.trials() if trial.status != "failed"]
        numbered = [trial for trial in usable if str(trial.number) == which]
        found = numbered or [trial for trial in usable if trial.digest.startswith(which)]
        if len({trial.digest for trial in found}) != 1:
            listed = ", ".join(f"{trial.number} ({trial.digest[:8]})" for trial in (found or usable)[:5]) or "none"
            wrong = f"several trials for '{brief(which)}'" if found else f"no trial '{brief(which)}'"
            raise RunError(
                f"{self.folder}: found {wrong}, allowed: best, knee, the number of a trial, or the start of one "
                f"digest, such as {listed}"
            )
        return found[0]

    def extend(self, code: SearchCode, training: Training | None, *, trials: int | None = None, **options: Any) -> None:
        """Change the options from now on, and record the code and the training that the run is resumed with.

        Args:
            code: Code of this process.
            training: How trials are trained from now on.
            trials: Number of the strategy's trials in all; `None` leaves it as it is.
            options: Fields of `SearchOptions`; `None` leaves one as it is. Like the trials, replicates and the time
                budget count from the beginning of the run.

        Raises:
            RunError: Fewer trials or replicates than have ended.
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
        record = replace(
            self.record,
            trials=self.record.trials if trials is None else trials,
            options=replace(self.record.options, **changed),
            code=code,
            training=training,
        )
        from_plain(
            RunRecord, to_plain(record), str(self.folder)
        )  # raises if the written record could not be read again
        if record != self.record:
            with closing(self.open_journal()) as journal:
                journal.asked(record)
            self._journal.refresh()
        write_json(self.inside(RUN_FILE), record)

    def require_same(self, code: SearchCode, training: Training | None) -> None:
        """Check that the code and the training are those that the run was searched with.

        Raises:
            RunError: The code or the training differs; the message names what differs.
        """
        before = self.record.code
        changes = [] if before is None else [*differences(before, code)]
        trained = self.record.training
        if (trained is None) != (training is None):
            by = ["training by a function" if each is None else "training by senas" for each in (trained, training)]
            changes.append(f"{by[0]}, found {by[1]}")
        elif trained is not None and training is not None:
            changes += [*differences(replace(trained, loading=training.loading), training)]
            changes += [f"data: {each}" for each in differences(trained.loading, training.loading)]
        if changes:
            raise RunError(
                f"{self.folder}: was searched with {'; '.join(changes)}; "
                "--force continues the search, but its results will differ from those of an uninterrupted one"
            )

    def discard(self) -> None:
        """Remove the files of a run in which no trial has started, so that its folder can be used again."""
        if not self.trials():
            for name in (RUN_FILE, PROFILE_FILE, COSTS_FILE, LOCK_FILE, FRONT_FILE):
                (self.folder / name).unlink(missing_ok=True)
            for path in [*self.folder.glob(f"{JOURNAL_FILE}*"), *self.folder.glob(f".{JOURNAL_FILE}*.tmp*")]:
                path.unlink()
            with suppress(OSError):  # a folder that holds other files stays
                self.folder.rmdir()

    def save_front(self) -> list[Trial]:
        """Write `front.json` and the JSON of every architecture that was evaluated; return the front."""
        trials = self.trials()
        front = pareto_front(trials, self.objective)
        for trial in trials:
            path = self.inside(ARCHITECTURES_FOLDER, f"{trial.digest}.json")
            if not path.exists():
                trial.architecture.save(path)
        write_json(self.inside(FRONT_FILE), [front_row(trial) for trial in front])
        return front


def require_run(folder: Path) -> None:
    """Raise `RunError` if a folder is not that of a run."""
    if not (folder / JOURNAL_FILE).exists():
        raise RunError(f"{folder}: not a run folder, it has no {JOURNAL_FILE}")


def check_unused(folder: Path) -> None:
    """Raise `RunError` if a folder already holds a run or a part of one."""
    if (folder / JOURNAL_FILE).exists():
        raise RunError(f"{folder}: holds a run already; resume it (senas resume {folder}) or choose another folder")
    if (folder / RUN_FILE).exists():
        raise RunError(f"{folder}: holds {RUN_FILE} of another run; choose another folder")


def _save_profile(profile: LatencyProfile, path: Path) -> None:
    """Write the profile of a new run; it may exist if a process was killed before it created the journal."""
    if path.exists() and LatencyProfile.load(path).digest != profile.digest:
        raise RunError(f"{path}: holds another profile; choose another folder")
    profile.save(path)
