"""What a run was asked for, and of what: the first event of its journal, and `run.json`."""

from dataclasses import dataclass
from typing import Literal, get_args

from senas.costs.budget import Budget, Objective
from senas.errors import OptionError, RunError, one_of
from senas.latency.calibration import CONFIDENCE
from senas.spaces.space import SearchSpace
from senas.training.loop import Recipe

MOST_TRIALS = 10**9
_LEAST_COST, _LARGEST_COST = 1e-6, 1e30  # milliseconds or counts; beyond them arithmetic ends, not the use of networks


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the trials of a run are trained, where senas trains them itself."""

    data: str
    recipe: Recipe
    device: str


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The arguments of a search that shape its course; a resumption may ask for a baseline and for replicates.

    Attributes:
        strategy: a key of `STRATEGIES`.
        objective: the cost of the front.
        budget: hard upper bounds.
        confidence: of the upper bound of a latency, which is what its budget holds.
        trials: how many the strategy may ask for, as first given.
        seed: of everything random.
        concurrency: trials at a time.
        cpus_per_trial: CPU cores, and threads, of one trial.
        gpus_per_trial: GPUs of one trial; a fraction shares one.
        early_stopping: whether ASHA (Li et al. 2020) stops the worse trials early.
        time_budget_seconds: the strategy's trials take no longer, in all sessions; what runs then is interrupted.
        trial_seconds: an attempt at a trial that takes longer is ended as failed.
        retries: how many more attempts a trial has that failed in a way that may not come again.
        baseline: whether the templates and random search of the same size are trained afterwards, for comparison.
        replicates: how many more trainings of architectures whose place on the front is not certain.
    """

    strategy: str
    objective: Objective
    budget: Budget
    trials: int
    seed: int
    concurrency: int
    cpus_per_trial: float
    gpus_per_trial: float
    early_stopping: bool = False
    time_budget_seconds: float | None = None
    confidence: float = CONFIDENCE
    baseline: bool = False
    replicates: int = 0
    trial_seconds: float | None = None
    retries: int = 1

    def __post_init__(self) -> None:
        limits = {
            "trials": (self.trials, 1, MOST_TRIALS),
            "replicates": (self.replicates, 0, MOST_TRIALS),
            "seed": (self.seed, 0, 2**32 - 1),
            "concurrency": (self.concurrency, 1, 10_000),
            "cpus_per_trial": (self.cpus_per_trial, 1e-3, 10_000),
            "gpus_per_trial": (self.gpus_per_trial, 0, 10_000),
            "confidence": (self.confidence, 0.5, 0.999),
            "time_budget_seconds": (1 if self.time_budget_seconds is None else self.time_budget_seconds, 0, 1e10),
            "trial_seconds": (1 if self.trial_seconds is None else self.trial_seconds, 0.1, 1e10),
            "retries": (self.retries, 0, 1_000),
        }
        for name, (value, least, most) in limits.items():
            if not least <= value <= most:
                raise OptionError(f"{name}: found {value}, allowed: {least} to {most}")
        if self.objective not in get_args(Objective):
            raise OptionError(f"objective: {one_of(self.objective, get_args(Objective))}")


@dataclass(frozen=True, kw_only=True)
class Code:
    """What proposes and trains; another one may go on with a run, but not silently.

    Attributes:
        senas: its version.
        source: a digest of what of its source proposes and trains.
        nni: its version.
        torch: its version.
        evaluate: the name of the function that evaluates an architecture.
    """

    senas: str
    source: str
    nni: str
    torch: str
    evaluate: str


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The identity of a run and what is asked of it: events of its journal, the latest of which is also `run.json`.

    Attributes:
        created: when, in UTC.
        version: of senas that created it.
        space: the whole space, so that the run does not depend on its file.
        space_digest: the identity of the space.
        profile_digest: the identity of `profile.json`, `None` where there is no profile.
        options: the arguments.
        trials: how many the strategy may ask for, `options.trials` until a resumption asks for more.
        reference_cost: the cost that counts as worst in the hypervolume.
        training: `None` where the caller brought an `evaluate` of their own.
        code: that searches; `None` in runs from before it was recorded.

    Raises:
        RunError: values that contradict each other.
    """

    format: Literal["senas-run/1"] = "senas-run/1"
    created: str
    version: str
    space: SearchSpace
    space_digest: str
    profile_digest: str | None
    options: SearchOptions
    trials: int
    reference_cost: float
    training: Training | None
    code: Code | None = None

    def __post_init__(self) -> None:
        if not _LEAST_COST <= self.reference_cost <= _LARGEST_COST:
            raise RunError(f"reference_cost: found {self.reference_cost}, allowed: {_LEAST_COST} to {_LARGEST_COST:g}")
        if not 1 <= self.trials <= MOST_TRIALS:
            raise RunError(f"trials: found {self.trials}, allowed: 1 to {MOST_TRIALS}")
        if self.space.digest != self.space_digest:
            raise RunError(f"space: found one of digest {self.space.digest}, expected {self.space_digest}")
