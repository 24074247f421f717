"""Trainings that no strategy asks for: a baseline to hold the search against, replicates where the front is unsure."""

from collections import Counter
from collections.abc import Sequence

from senas.architecture import Architecture
from senas.costs.budget import Objective
from senas.searching.baseline import baseline_of
from senas.searching.findings import beliefs_of
from senas.searching.pareto import pareto_front
from senas.searching.trial import Purpose, Task, Trial, averaged, trial_seed
from senas.spaces.space import SearchSpace
from senas.strategies.problem import Problem


class Extras:
    """What is trained after the strategy's trials, one by one.

    First the baseline, where it is asked for: the templates of the space, as far as they keep the budget, and as many
    random feasible architectures as the strategy has had trials. What the search has trained is not trained again, but
    a strategy does not know of the baseline and may later ask for one of its architectures. Then replicates: another
    training of the architecture whose place on the front is least certain.

    Args:
        space: that is searched.
        problem: what is known of it.
        objective: the cost of the front.
        seed: of the search.
        baseline: whether there is one.
        replicates: how many.
    """

    def __init__(
        self,
        space: SearchSpace,
        problem: Problem,
        *,
        objective: Objective,
        seed: int,
        baseline: bool,
        replicates: int,
    ):
        self._space = space
        self._problem = problem
        self._objective: Objective = objective
        self._seed = seed
        self._baseline = baseline
        self._replicates = replicates
        self._listed: dict[int, list[Architecture]] = {}  # the baseline, by how many of it are random

    def next(self, trials: Sequence[Trial]) -> Task | None:
        """The next training; `None` where there is none, or none before one that is running has ended.

        Args:
            trials: of the run, those of the strategy all ended.
        """
        if not averaged(trials):
            return None
        tried = {trial.digest for trial in trials}
        for arch in self.baseline(trials):
            if arch.digest not in tried:
                return Task(purpose="baseline", architecture=arch, seed=trial_seed(self._seed, arch.digest))
        if any(trial.status == "running" and trial.purpose == "baseline" for trial in trials):
            return None
        if sum(trial.purpose == "replicate" for trial in trials) >= self._replicates:
            return None
        return self._replicate(trials)

    def total(self, purpose: Purpose, trials: Sequence[Trial]) -> int:
        """How many trainings of a purpose there will be."""
        if purpose == "replicate":
            return self._replicates
        searched, trained = ({t.digest for t in trials if t.purpose == which} for which in ("search", "baseline"))
        return len({arch.digest for arch in self.baseline(trials)} - searched | trained)

    def baseline(self, trials: Sequence[Trial]) -> list[Architecture]:
        """The architectures of the baseline, the templates first; none where it is not asked for."""
        count = sum(trial.purpose == "search" for trial in trials) if self._baseline else 0
        if count not in self._listed:
            self._listed[count] = baseline_of(self._space, self._problem, count, seed=self._seed) if count else []
        return self._listed[count]

    def _replicate(self, trials: Sequence[Trial]) -> Task | None:
        """One more training where it would tell most; of equals, where there are fewest, first on the front.

        Where a replicate has failed, others come first: trying again and again would tell nothing.
        """
        running = {trial.digest for trial in trials if trial.status == "running"}
        waiting = [trial for trial in averaged(trials) if trial.digest not in running]
        if not waiting:
            return None
        beliefs = beliefs_of(self._space, self._problem, trials, seed=self._seed)
        front = {trial.digest for trial in pareto_front(trials, self._objective)}
        failed = Counter(trial.digest for trial in trials if trial.status == "failed")

        def rank(trial: Trial) -> tuple[int, float, int, bool, int]:
            on_front = beliefs[1][trial.digest].on_front if beliefs else float(trial.digest in front)
            unsure = on_front * (1 - on_front)
            return failed[trial.digest], -unsure, trial.trainings, trial.digest not in front, trial.number

        chosen = min(waiting, key=rank)
        seeds = {trial.seed for trial in trials if trial.digest == chosen.digest}
        seed = trial_seed(self._seed, chosen.digest, replicate=len(seeds))
        return Task(purpose="replicate", architecture=chosen.architecture, seed=seed)
