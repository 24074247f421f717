"""Where a search stands, kept up to date trial by trial: what is told after the five-thousandth costs no more."""

from collections import Counter

from senas.costs.budget import Objective
from senas.searching.journal import Journal
from senas.searching.pareto import hypervolume, pareto_front
from senas.searching.trial import Purpose, Trial


class Standing:
    """The front and the counts of a search.

    Args:
        journal: of the run; its trials as they are now are taken in.
        objective: the cost of the front, which is minimised.
        reference_cost: the cost that counts as worst in the hypervolume.

    Attributes:
        front: best accuracy first.
        hypervolume: of the front, in [0, 1].
        ended: trials by purpose, however they did.
        failed: how many of them failed.
        latest: the trial that started last, if any.
        last: the trial that ended last or, while it still runs, whose attempt failed last; if any.
    """

    def __init__(self, journal: Journal, objective: Objective, reference_cost: float):
        self._journal, self._reference_cost = journal, reference_cost
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

    def take(self, trial: Trial) -> None:
        """A trial has started, again or for the first time, or an attempt at it has ended."""
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
            again = trial.digest in self._trained  # changes the mean of its architecture: the front may lose it
            candidates = [*self._journal.trials.values()] if again else [*self.front, trial]
            self.front = pareto_front(candidates, self._objective)
            self.hypervolume = hypervolume(self.front, self._objective, self._reference_cost)
            self._trained.add(trial.digest)
