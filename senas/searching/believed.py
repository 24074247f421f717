"""What to believe of the trials of a run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from senas.searching.pareto import dominated
from senas.searching.trial import Trial
from senas.spaces.space import SearchSpace
from senas.strategies.belief import LEAST, Posterior
from senas.strategies.candidates import random_rows
from senas.strategies.problem import Problem

_BACKGROUND = 2_000  # feasible rows that stand for the space


@dataclass(frozen=True, kw_only=True)
class Believed:
    """What is believed of one architecture that was trained.

    Attributes:
        accuracy: expected, in [0, 1]: what was seen, shrunk towards what architectures like it reached.
        deviation: its standard deviation.
        on_front: the probability that it is on the front of all that were trained.
    """

    accuracy: float
    deviation: float
    on_front: float


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What to believe of a run.

    Attributes:
        of: each finished architecture, by digest.
        hypervolume: that the front reaches by the expected accuracies, in [0, 1]: what the run may claim.
        by_random: the hypervolume that as many random feasible architectures are expected to reach.
    """

    of: dict[str, Believed]
    hypervolume: float
    by_random: float


def believed(space: SearchSpace, problem: Problem, trials: Sequence[Trial], *, seed: int) -> Findings | None:
    """What a surrogate makes of the finished trials; `None` where there are too few.

    Args:
        space: they are from.
        problem: what was known before.
        trials: in any state; only finished ones count.
        seed: of the draws from the posterior.
    """
    finished = [trial for trial in trials if trial.status == "finished" and trial.accuracy is not None]
    if len(finished) < LEAST:
        return None
    row_of = {trial.digest: space.indices_of(trial.architecture) for trial in finished}
    trained = np.array([*row_of.values()])
    background = random_rows(problem, _BACKGROUND, np.random.default_rng(seed))
    posterior = Posterior(
        problem,
        np.array([row_of[trial.digest] for trial in finished]),
        np.array([trial.accuracy for trial in finished], dtype=np.float64),
        np.concatenate([trained, background]),
    )
    belief = posterior.believe(trained, seed=seed)
    others = np.unique(background[: len(trained)], axis=0)
    random = posterior.believe(others, seed=seed) if len(others) else belief
    worst = problem.worst_cost
    return Findings(
        of={
            digest: Believed(accuracy=float(accuracy), deviation=float(deviation), on_front=float(on_front))
            for digest, accuracy, deviation, on_front in zip(
                row_of, belief.accuracy, belief.deviation, belief.on_front, strict=True
            )
        },
        hypervolume=dominated(belief.accuracy, belief.cost, worst),
        by_random=float(np.mean([dominated(draw, random.cost, worst) for draw in random.draws])),
    )
