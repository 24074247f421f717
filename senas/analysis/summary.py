"""Summary of a run: expected accuracies, and how the search compares with random search and with the template."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from senas.analysis.baseline import architectures, random_search
from senas.analysis.posterior import MIN_RESULTS, AccuracyPosterior, PosteriorSamples
from senas.architecture import Architecture
from senas.runs import Run, Trial, averaged, dominated
from senas.spaces import SearchSpace, TemplateName, make_templates
from senas.strategies import Problem, random_rows

_BACKGROUND = 2_000  # feasible rows that represent the space
_SIMULATED = 200  # approximate number of architectures in all simulated random searches


@dataclass(frozen=True, kw_only=True)
class AccuracyEstimate:
    """Estimate for one architecture.

    Attributes:
        accuracy: Expected accuracy in [0, 1]: the observed one, shrunk towards those of similar architectures.
        on_front: Probability that the architecture is on the front of all that were trained.
    """

    accuracy: float
    on_front: float


@dataclass(frozen=True, kw_only=True)
class TemplateEstimate:
    """Estimate for the plain or the all-SE version of the space's template.

    Attributes:
        name: Version of the template.
        architecture: Architecture of this version.
        cost: Minimised cost of the architecture.
        accuracy: Mean accuracy of its trainings; `None` if there is none.
        expected: Expected accuracy.
        interval: Interval that holds its accuracy with a probability of 95 %.
    """

    name: TemplateName
    architecture: Architecture
    cost: float
    accuracy: float | None
    expected: float
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """Summary of a run.

    Attributes:
        estimates: Estimate for each finished architecture, by digest.
        hypervolume: Hypervolume of the strategy's trials by their expected accuracies, in [0, 1].
        random_hypervolume: Hypervolume of a random search with as many trials.
        random_was_trained: Whether the random search was trained as the baseline; otherwise it is simulated.
        templates: Estimates for the versions of the template.
    """

    estimates: dict[str, AccuracyEstimate]
    hypervolume: float
    random_hypervolume: float
    random_was_trained: bool
    templates: tuple[TemplateEstimate, ...]


@dataclass(frozen=True, kw_only=True)
class TrialsPosterior:
    """Posterior of the accuracies, given the finished trials of a run.

    Attributes:
        posterior: Posterior for any architecture.
        samples: Samples for the finished architectures, in the order of `averaged`.
        estimates: Estimates for the finished architectures, by digest.
    """

    posterior: AccuracyPosterior
    samples: PosteriorSamples
    estimates: dict[str, AccuracyEstimate]


def posterior_of_trials(
    space: SearchSpace, problem: Problem, trials: Sequence[Trial], *, seed: int
) -> TrialsPosterior | None:
    """Return the posterior given the finished trials; `None` if too few have finished.

    Args:
        space: Space of the trials.
        problem: What was known before the search.
        trials: Trials in any state; only finished ones count.
        seed: Random seed of the search.
    """
    finished = {(trial.digest, trial.seed): trial for trial in trials if trial.status == "finished"}
    if len(finished) < MIN_RESULTS:
        return None
    archs = averaged(trials)
    trained = np.array([space.indices_of(trial.architecture) for trial in archs])
    row_of = dict(zip((trial.digest for trial in archs), trained, strict=True))
    posterior = AccuracyPosterior(
        problem,
        np.array([row_of[digest] for digest, _ in finished]),
        np.array([trial.accuracy for trial in finished.values()], dtype=np.float64),
        np.concatenate([trained, random_rows(problem, _BACKGROUND, np.random.default_rng(seed))]),
    )
    samples = posterior.sample(trained, seed=seed)
    rows = zip(archs, samples.accuracy, samples.on_front, strict=True)
    estimates = {
        trial.digest: AccuracyEstimate(accuracy=float(accuracy), on_front=float(on_front))
        for trial, accuracy, on_front in rows
    }
    return TrialsPosterior(posterior=posterior, samples=samples, estimates=estimates)


def summarize_run(run: Run) -> RunSummary | None:
    """Return the summary of a run; `None` if too few trials have finished.

    The summary uses expected accuracies, because the best of many noisy observations overestimates the true accuracy.
    """
    return summarize_trials(run.record.space, run.problem, run.trials(), seed=run.record.options.seed)


def summarize_trials(space: SearchSpace, problem: Problem, trials: Sequence[Trial], *, seed: int) -> RunSummary | None:
    """Return the summary of trials; arguments and `None` as for `posterior_of_trials`."""
    found = posterior_of_trials(space, problem, trials, seed=seed)
    if found is None:
        return None
    digests = [*found.estimates]
    searched = {trial.digest for trial in trials if trial.purpose == "search"}
    size = sum(trial.purpose == "search" for trial in trials)
    random = {arch.digest for arch in architectures(space, random_search(problem, size, seed=seed))}
    random_was_trained = random <= {trial.digest for trial in trials if trial.status != "running"}
    if random_was_trained:
        random_hypervolume = _expected_hypervolume(problem, found.samples, [digest in random for digest in digests])
    else:
        random_hypervolume = _simulated_hypervolume(problem, found.posterior, size, seed)
    accuracies = {trial.digest: trial.accuracy for trial in averaged(trials)}
    return RunSummary(
        estimates=found.estimates,
        hypervolume=_expected_hypervolume(problem, found.samples, [digest in searched for digest in digests]),
        random_hypervolume=random_hypervolume,
        random_was_trained=random_was_trained,
        templates=_templates(space, found.posterior, accuracies, seed),
    )


def _expected_hypervolume(problem: Problem, samples: PosteriorSamples, among: list[bool]) -> float:
    """Return the hypervolume of some of the architectures by their expected accuracies."""
    return dominated(samples.accuracy[among], samples.cost[among], problem.worst_cost)


def _simulated_hypervolume(problem: Problem, posterior: AccuracyPosterior, size: int, seed: int) -> float:
    """Return the expected hypervolume of `size` random architectures if they were trained."""
    reached: list[float] = []
    for repetition in range(max(1, _SIMULATED // size)):
        rows = random_search(problem, size, seed=seed + repetition)
        cost = problem.costs(rows)[:, 0]
        reached += [dominated(drawn, cost, problem.worst_cost) for drawn in posterior.simulate(rows, seed=seed)]
    return float(np.mean(reached))


def _templates(
    space: SearchSpace, posterior: AccuracyPosterior, accuracies: dict[str, float | None], seed: int
) -> tuple[TemplateEstimate, ...]:
    templates = make_templates(space)
    if not templates:
        return ()
    samples = posterior.sample(np.array([space.indices_of(arch) for arch in templates.values()]), seed=seed)
    low, high = np.quantile(samples.draws, [0.025, 0.975], axis=0)
    low, high = np.minimum(low, samples.accuracy), np.maximum(high, samples.accuracy)  # draws may be very skewed
    return tuple(
        TemplateEstimate(
            name=name,
            architecture=arch,
            cost=float(samples.cost[number]),
            accuracy=accuracies.get(arch.digest),
            expected=float(samples.accuracy[number]),
            interval=(float(low[number]), float(high[number])),
        )
        for number, (name, arch) in enumerate(templates.items())
    )
