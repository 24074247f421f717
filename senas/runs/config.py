"""Options and identity of a run: the first event of its journal, and `run.json`."""

import os
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from senas.costs import Budget, Objective
from senas.errors import OptionError, RunError, one_of
from senas.io import check_option, from_plain, option, options_of, parse_duration
from senas.latency import CONFIDENCE, count_gpus
from senas.spaces import SearchSpace
from senas.training import Loading, Recipe

MAX_TRIALS = 10**9
_MAX_CONCURRENCY = 10_000
_MIN_COST, _MAX_COST = 1e-6, 1e30  # milliseconds or counts; values beyond these limits break the arithmetic
_BUDGETS = {"latency_budget_ms": "latency_ms", "max_flops": "flops", "max_params": "params"}


@dataclass(frozen=True, kw_only=True)
class Training:
    """Training of the trials of a run, if senas trains them itself; the arguments of `TrainingEvaluator`."""

    data: str
    recipe: Recipe
    device: str
    loading: Loading = Loading(streamed=False)  # noqa: RUF009  # immutable


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options of a search: the one place where each of them is written down.

    The command line's options, the keyword arguments of `senas.search` and `senas.resume`, their limits, and what
    `run.json` records follow from these fields.

    Attributes:
        budget: Hard upper bounds on costs.
    """

    budget: Budget
    strategy: str = option(
        "ehvi", metavar="NAME", help="Strategy: ehvi, pareto-evolution, regularized-evolution, tpe, random or grid."
    )
    objective: Objective = option(
        metavar="COST",
        help="Cost of the front, which is minimised: latency, flops or params.",
        allowed=get_args(Objective),
    )
    confidence: float = option(
        CONFIDENCE,
        metavar="SHARE",
        help="Share of networks that keep their upper bound of the latency.",
        least=0.5,
        most=0.999,
    )
    elsewhere: bool = option(
        False, help="Use the profile, of another machine, as it was measured; nothing is measured on this one."
    )
    trials: int = option(24, metavar="N", help="Architectures that the strategy may train.", least=1, most=MAX_TRIALS)
    time_budget_seconds: float | None = option(
        None,
        metavar="2h",
        help="Time for all trials of the strategy, over all sessions: 90s, 30m, 2h; resume continues with more.",
        flag="time-budget",
        parse=parse_duration,
        least=0,
        most=1e10,
        resumable=True,
    )
    trial_seconds: float | None = option(
        None,
        metavar="30m",
        help="Time limit of one attempt at a trial, which fails beyond it: 90s, 30m, 2h.",
        flag="trial-limit",
        parse=parse_duration,
        least=0.1,
        most=1e10,
        resumable=True,
    )
    retries: int = option(
        1,
        metavar="N",
        help="Further attempts at a trial that raised, ran out of memory or lost its worker.",
        least=0,
        most=1_000,
        resumable=True,
    )
    concurrency: int = option(
        metavar="K", help="Trials at a time; by default as many as fit this machine.", least=1, most=_MAX_CONCURRENCY
    )
    cpus_per_trial: float = option(1, metavar="N", help="CPU cores, and threads, of a trial.", least=1e-3, most=10_000)
    gpus_per_trial: float = option(
        metavar="N",
        help="GPUs of a trial; a fraction shares one. By default 1 if senas trains on CUDA, else 0.",
        least=0,
        most=10_000,
    )
    early_stopping: bool = option(False, help="Let ASHA stop the worse trials early (Li et al. 2020).")
    baseline: bool = option(
        False,
        help="After the search, train the plain and all-SE templates and a random search of the same size.",
        resumable=True,
    )
    replicates: int = option(
        0,
        metavar="N",
        help="Extra trainings, at the end, of architectures whose place on the front is least certain.",
        flag="replicate",
        least=0,
        most=MAX_TRIALS,
        resumable=True,
    )
    seed: int = option(
        0,
        metavar="N",
        help="Random seed of the search; repeats it exactly with --concurrency 1.",
        least=0,
        most=2**32 - 1,
    )

    def __post_init__(self) -> None:
        for name, info in options_of(SearchOptions).items():
            check_option(name, getattr(self, name), info)

    @classmethod
    def from_arguments(cls, *, has_profile: bool, on_cuda: bool, here: bool, **arguments: Any) -> "SearchOptions":
        """Return the options given by the keyword arguments of `senas.search`.

        Arguments that are missing or `None` take their defaults.

        Args:
            has_profile: Whether there is a latency profile, which makes latency the default objective.
            on_cuda: Whether senas trains the trials on CUDA, which gives each a GPU by default.
            here: Whether trials run on this machine, whose GPUs are then counted for the default concurrency.
            arguments: Values of fields of this class; the budget as `latency_budget_ms`, `max_flops` and `max_params`.

        Raises:
            SenasError: An unknown name, a value of the wrong type or outside the limits of its option.
        """
        known = options_of(cls)
        for name in arguments:
            if name not in known and name not in _BUDGETS:
                raise OptionError(f"search: unknown argument, {one_of(name, [*known, *_BUDGETS])}")
        given = {name: value for name, value in arguments.items() if value is not None}
        given["budget"] = {field: given.pop(name) for name, field in _BUDGETS.items() if name in given}
        given.setdefault("objective", "latency" if has_profile else "flops")
        given.setdefault("gpus_per_trial", 1.0 if on_cuda else 0.0)
        chosen = "concurrency" in given
        # with the checks of a file, since it will be written to one
        asked = from_plain(cls, {"concurrency": 1, **given}, "search")
        return asked if chosen else replace(asked, concurrency=_default_concurrency(asked, on_cuda and here))


def _default_concurrency(options: SearchOptions, by_gpus: bool) -> int:
    """Return the number of trials that this machine's GPUs, or this process's CPU cores, can run at once."""
    if by_gpus and options.gpus_per_trial > 0:
        return _fitting(count_gpus(), options.gpus_per_trial)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _fitting(cores, options.cpus_per_trial)


def _fitting(count: int, per_trial: float) -> int:
    """Return the number of trials that fit `count` cores or GPUs, within the limits of `concurrency`."""
    return min(max(1, int(count / per_trial * (1 + 1e-9))), _MAX_CONCURRENCY)


@dataclass(frozen=True, kw_only=True)
class SearchCode:
    """Code that proposes and trains; to resume a run with other code, the caller has to force it.

    Attributes:
        senas: Version of senas.
        source: Digest of the source of senas.
        nni: Version of NNI.
        torch: Version of torch.
        evaluate: Name of the function that evaluates an architecture.
    """

    senas: str
    source: str
    nni: str
    torch: str
    evaluate: str


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Identity and options of a run: an event of its journal, the latest of which is also `run.json`.

    Attributes:
        created: Time of creation, in UTC.
        version: Version of senas that created it.
        space: Whole space, so that the run does not depend on its file.
        space_digest: Digest of the space.
        profile_digest: Digest of `profile.json`; `None` without a profile.
        options: Options of the search.
        trials: Number of trials that the strategy may ask for: `options.trials` until the run is resumed with more.
        reference_cost: Cost that counts as worst in the hypervolume.
        training: Training of the trials; `None` for an `evaluate` function of the caller's own.
        code: Code of the search; `None` in runs of versions that did not record it.

    Raises:
        RunError: Values that contradict each other.
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
    code: SearchCode | None = None

    def __post_init__(self) -> None:
        self.space.check_layers()
        if not _MIN_COST <= self.reference_cost <= _MAX_COST:
            raise RunError(f"reference_cost: found {self.reference_cost}, allowed: {_MIN_COST} to {_MAX_COST:g}")
        if not 1 <= self.trials <= MAX_TRIALS:
            raise RunError(f"trials: found {self.trials}, allowed: 1 to {MAX_TRIALS}")
        if self.space.digest != self.space_digest:
            raise RunError(f"space: found one of digest {self.space.digest}, expected {self.space_digest}")
