"""Progress of a search, updated trial by trial, so that a report costs the same after any number of trials."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from senas.costs import Objective
from senas.runs import Journal, Purpose, Trial, hypervolume, pareto_front


@dataclass(frozen=True, kw_only=True)
class SearchProgress:
    """Progress of a search.

    Attributes:
        purpose: Purpose of the trials that are running now: the search itself, its baseline, or replicates.
        ended: Number of trials of that purpose that have ended, in whatever way.
        failed: Number of those that failed.
        running: Number of trials that are running.
        reporting: Those of them that have reported an epoch, by number.
        epochs: Number of epochs of each training; `None` if senas does not train.
        trials: Number of trials of that purpose that there will be.
        best_accuracy: Best accuracy on the front; `None` before the first result.
        hypervolume: Hypervolume of the front, in [0, 1].
        front: Number of trials on the front.
        last: Trial that ended last or, while it still runs, whose attempt failed last; if any.
        note: Why the search ended before all its trials, once it has.
    """

    purpose: Purpose
    ended: int
    failed: int
    running: int
    reporting: tuple[Trial, ...]
    epochs: int | None
    trials: int
    best_accuracy: float | None
    hypervolume: float
    front: int
    last: Trial | None
    note: str = ""


class ProgressTracker:
    """Front and counts of a search.

    Args:
        journal: Journal of the run; its trials so far are counted.
        objective: Cost of the front, which is minimised.
        reference_cost: Cost that counts as worst in the hypervolume.
        epochs: Number of epochs of each training; `None` if senas does not train.

    Attributes:
        front: Front, best accuracy first.
        hypervolume: Hypervolume of the front, in [0, 1].
        ended: Number of trials that have ended, by purpose.
        failed: Number of those that failed.
        latest: Trial that started last, if any.
        last: Trial that ended last or, while it still runs, whose attempt failed last; if any.
    """

    def __init__(self, journal: Journal, objective: Objective, reference_cost: float, epochs: int | None = None):
        self._journal, self._reference_cost, self._epochs = journal, reference_cost, epochs
        self._objective: Objective = objective
        trials, history = [*journal.trials.values()], journal.history()
        ended = [trial for trial in trials if trial.status != "running"]
        self.front = pareto_front(trials, objective)
        self.hypervolume = hypervolume(self.front, objective, reference_cost)
        self.ended: Counter[Purpose] = Counter(trial.purpose for trial in ended)
        self.failed: Counter[Purpose] = Counter(trial.purpose for trial in ended if trial.status == "failed")
        self.latest: Trial | None = trials[-1] if trials else None
        self.last = next((trial for trial in reversed(history) if trial.status != "running"), None)
        self._failures = {trial.number: len(trial.failures) for trial in trials if trial.status == "running"}
        self._trained = {trial.digest for trial in trials if trial.status == "finished"}

    def update(self, trial: Trial) -> None:
        """Take into account that a trial has started, or that an attempt at it has ended."""
        if trial.status == "running":
            if len(trial.failures) > self._failures.get(trial.number, 0):
                self.last = trial
            elif self.latest is None or trial.number > self.latest.number:
                self.latest = trial
            self._failures[trial.number] = len(trial.failures)
            return
        self.last = trial
        self._failures.pop(trial.number, None)
        self.ended[trial.purpose] += 1
        self.failed[trial.purpose] += trial.status == "failed"
        if trial.status == "finished":
            again = trial.digest in self._trained  # it changes the mean of its architecture, which may leave the front
            candidates = [*self._journal.trials.values()] if again else [*self.front, trial]
            self.front = pareto_front(candidates, self._objective)
            self.hypervolume = hypervolume(self.front, self._objective, self._reference_cost)
            self._trained.add(trial.digest)

    def purpose(self, note: str = "") -> Purpose:
        """Return the purpose that a report is about; a note about the end is always about the search."""
        return self.latest.purpose if self.latest is not None and not note else "search"

    def report(self, *, running: Sequence[Trial], trials: int, note: str = "") -> SearchProgress:
        """Return the progress now.

        Args:
            running: Trials that are running, by number.
            trials: Number of trials of the `purpose` that there will be.
            note: Why the search ended before all its trials, if it has.
        """
        purpose = self.purpose(note)
        return SearchProgress(
            purpose=purpose,
            ended=self.ended[purpose],
            failed=self.failed[purpose],
            running=len(running),
            reporting=tuple(trial for trial in running if trial.epochs),
            epochs=self._epochs,
            trials=trials,
            best_accuracy=self.front[0].accuracy if self.front else None,
            hypervolume=self.hypervolume,
            front=len(self.front),
            last=self.last,
            note=note,
        )
