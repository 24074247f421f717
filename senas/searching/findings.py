"""What to believe of the trials of a run, and whether the search has earned its cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from senas.architecture import Architecture
from senas.searching.baseline import architectures, random_search
from senas.searching.pareto import dominated
from senas.searching.trial import Trial, averaged
from senas.spaces.space import SearchSpace
from senas.spaces.templates import TemplateName, templates
from senas.strategies.belief import LEAST, Belief, Posterior
from senas.strategies.candidates import random_rows
from senas.strategies.problem import Problem

_BACKGROUND = 2_000  # feasible rows that stand for the space
_IMAGINED = 200  # architectures of imagined random searches, at least


@dataclass(frozen=True, kw_only=True)
class Believed:
    """What is believed of one architecture.

    Attributes:
        accuracy: expected, in [0, 1]: what was seen, shrunk towards what architectures like it reached.
        on_front: the probability that it is on the front of all that were trained.
    """

    accuracy: float
    on_front: float


@dataclass(frozen=True, kw_only=True)
class Template:
    """The plain or the all-SE version of the space's template.

    Attributes:
        name: which.
        architecture: of the space.
        cost: the minimised one.
        accuracy: of its trainings, `None` where there is none.
        expected: its accuracy as it is believed to be.
        interval: which holds its accuracy with a probability of 95 %.
    """

    name: TemplateName
    architecture: Architecture
    cost: float
    accuracy: float | None
    expected: float
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What to believe of a run.

    Attributes:
        of: each finished architecture, by digest.
        hypervolume: of the strategy's trials by their expected accuracies, in [0, 1]: what the search may claim.
        by_random: the same of random search of the same size.
        random_was_trained: whether that is of trained architectures, the baseline, or of what is expected of such.
        templates: the reference points.
    """

    of: dict[str, Believed]
    hypervolume: float
    by_random: float
    random_was_trained: bool
    templates: tuple[Template, ...]


def beliefs_of(
    space: SearchSpace, problem: Problem, trials: Sequence[Trial], *, seed: int
) -> tuple[Posterior, dict[str, Believed], Belief] | None:
    """What a surrogate makes of the finished trials; `None` where too few have finished.

    Args:
        space: they are from.
        problem: what was known before.
        trials: in any state; only finished ones count.
        seed: of the search.

    Returns:
        The posterior, what is believed of each finished architecture by its digest, and the same as one belief in the
        order of `averaged`.
    """
    finished = {(trial.digest, trial.seed): trial for trial in trials if trial.status == "finished"}
    if len(finished) < LEAST:
        return None
    archs = averaged(trials)
    trained = np.array([space.indices_of(trial.architecture) for trial in archs])
    row_of = dict(zip((trial.digest for trial in archs), trained, strict=True))
    posterior = Posterior(
        problem,
        np.array([row_of[digest] for digest, _ in finished]),
        np.array([trial.accuracy for trial in finished.values()], dtype=np.float64),
        np.concatenate([trained, random_rows(problem, _BACKGROUND, np.random.default_rng(seed))]),
    )
    belief = posterior.believe(trained, seed=seed)
    told = zip(archs, belief.accuracy, belief.on_front, strict=True)
    of = {t.digest: Believed(accuracy=float(accuracy), on_front=float(on)) for t, accuracy, on in told}
    return posterior, of, belief


def findings_of(space: SearchSpace, problem: Problem, trials: Sequence[Trial], *, seed: int) -> Findings | None:
    """What to believe of a run; arguments and `None` as for `beliefs_of`."""
    beliefs = beliefs_of(space, problem, trials, seed=seed)
    if beliefs is None:
        return None
    posterior, of, belief = beliefs
    digests = [*of]
    searched = {trial.digest for trial in trials if trial.purpose == "search"}
    size = sum(trial.purpose == "search" for trial in trials)
    random = {arch.digest for arch in architectures(space, random_search(problem, size, seed=seed))}
    random_was_trained = random <= {trial.digest for trial in trials if trial.status != "running"}
    if random_was_trained:
        by_random = _claim(problem, belief, [digest in random for digest in digests])
    else:
        by_random = _imagined(problem, posterior, size, seed)
    return Findings(
        of=of,
        hypervolume=_claim(problem, belief, [digest in searched for digest in digests]),
        by_random=by_random,
        random_was_trained=random_was_trained,
        templates=_templates(space, posterior, {trial.digest: trial.accuracy for trial in averaged(trials)}, seed),
    )


def _claim(problem: Problem, belief: Belief, among: list[bool]) -> float:
    """The hypervolume of some of the architectures by their expected accuracies."""
    return dominated(belief.accuracy[among], belief.cost[among], problem.worst_cost)


def _imagined(problem: Problem, posterior: Posterior, size: int, seed: int) -> float:
    """The hypervolume that so many random architectures could be expected to claim, were they trained."""
    reached: list[float] = []
    for number in range(max(1, _IMAGINED // size)):
        rows = random_search(problem, size, seed=seed + number)
        cost = problem.costs(rows)[:, 0]
        reached += [dominated(drawn, cost, problem.worst_cost) for drawn in posterior.imagine(rows, seed=seed)]
    return float(np.mean(reached))


def _templates(
    space: SearchSpace, posterior: Posterior, accuracies: dict[str, float | None], seed: int
) -> tuple[Template, ...]:
    named = templates(space)
    if not named:
        return ()
    belief = posterior.believe(np.array([space.indices_of(arch) for arch in named.values()]), seed=seed)
    low, high = np.quantile(belief.draws, [0.025, 0.975], axis=0)
    low, high = np.minimum(low, belief.accuracy), np.maximum(high, belief.accuracy)  # draws may be very skewed
    return tuple(
        Template(
            name=name,
            architecture=arch,
            cost=float(belief.cost[number]),
            accuracy=accuracies.get(arch.digest),
            expected=float(belief.accuracy[number]),
            interval=(float(low[number]), float(high[number])),
        )
        for number, (name, arch) in enumerate(named.items())
    )
