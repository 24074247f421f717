"""Follow-up trials: a baseline to compare the search with, and replicates where the front is uncertain."""

from collections import Counter
from collections.abc import Sequence

from senas.analysis.baseline import baseline_architectures
from senas.analysis.summary import posterior_of_trials
from senas.architecture import Architecture
from senas.costs import Objective
from senas.runs import Purpose, Trial, TrialTask, averaged, pareto_front, trial_seed
from senas.spaces import SearchSpace
from senas.strategies import Problem


class FollowUpTrials:
    """Trials that are run one by one after those of the strategy.

    The baseline comes first, if it is requested: the templates of the space that keep the budget, and as many random
    feasible architectures as the strategy has had trials. Architectures that the search has trained are not trained
    again, but a strategy does not see the baseline and may later propose one of its architectures. Replicates follow:
    each one repeats the training of the architecture whose place on the front is least certain.

    Args:
        space: Space of the search.
        problem: What is known before training.
        objective: Cost of the front.
        seed: Random seed of the search.
        baseline: Whether to train the baseline.
        replicates: Number of replicates.
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
        self._baselines: dict[int, list[Architecture]] = {}  # baseline by the number of its random architectures

    def next(self, trials: Sequence[Trial]) -> TrialTask | None:
        """Return the next trial; `None` if there is none, or none until a running trial has ended.

        Args:
            trials: All trials of the run; those of the strategy have ended.
        """
        if not averaged(trials):
            return None
        tried = {trial.digest for trial in trials}
        for arch in self.baseline(trials):
            if arch.digest not in tried:
                return TrialTask(purpose="baseline", architecture=arch, seed=trial_seed(self._seed, arch.digest))
        if any(trial.status == "running" and trial.purpose == "baseline" for trial in trials):
            return None
        if sum(trial.purpose == "replicate" for trial in trials) >= self._replicates:
            return None
        return self._replicate(trials)

    def total(self, purpose: Purpose, trials: Sequence[Trial]) -> int:
        """Return the number of trials of a purpose that there will be in the end."""
        if purpose == "replicate":
            return self._replicates
        searched, trained = ({t.digest for t in trials if t.purpose == which} for which in ("search", "baseline"))
        return len({arch.digest for arch in self.baseline(trials)} - searched | trained)

    def baseline(self, trials: Sequence[Trial]) -> list[Architecture]:
        """Return the architectures of the baseline, the templates first; none if the baseline is not requested."""
        count = sum(trial.purpose == "search" for trial in trials) if self._baseline else 0
        if count not in self._baselines:
            self._baselines[count] = (
                baseline_architectures(self._space, self._problem, count, seed=self._seed) if count else []
            )
        return self._baselines[count]

    def _replicate(self, trials: Sequence[Trial]) -> TrialTask | None:
        """Return another training of the architecture whose place on the front is least certain.

        Ties go to the architecture with the fewest trainings, then to one on the front. An architecture with failed
        trials comes after all others, since repeating its failure would add no information.
        """
        running = {trial.digest for trial in trials if trial.status == "running"}
        waiting = [trial for trial in averaged(trials) if trial.digest not in running]
        if not waiting:
            return None
        posterior = posterior_of_trials(self._space, self._problem, trials, seed=self._seed)
        front = {trial.digest for trial in pareto_front(trials, self._objective)}
        failed = Counter(trial.digest for trial in trials if trial.status == "failed")

        def rank(trial: Trial) -> tuple[int, float, int, bool, int]:
            on_front = posterior.estimates[trial.digest].on_front if posterior else float(trial.digest in front)
            variance = on_front * (1 - on_front)  # of the indicator that the architecture is on the front
            return failed[trial.digest], -variance, trial.trainings, trial.digest not in front, trial.number

        chosen = min(waiting, key=rank)
        seeds = {trial.seed for trial in trials if trial.digest == chosen.digest}
        seed = trial_seed(self._seed, chosen.digest, replicate=len(seeds))
        return TrialTask(purpose="replicate", architecture=chosen.architecture, seed=seed)
