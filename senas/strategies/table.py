"""The table of strategies by name."""

from collections.abc import Callable

from senas.errors import OptionError, one_of
from senas.strategies.ehvi import ExpectedHypervolumeImprovement
from senas.strategies.nni_own import EventDrivenTPE, aging_evolution
from senas.strategies.pareto_evolution import ParetoEvolution
from senas.strategies.problem import Problem

from nni.nas.strategy import GridSearch, Random, Strategy  # isort: skip  # after nni_space has chosen NNI's framework

DEFAULT_STRATEGY = "ehvi"


def make_strategy(name: str, problem: Problem, *, seed: int, trials: int, concurrency: int) -> Strategy:
    """A strategy by name.

    Args:
        name: a key of `STRATEGIES`.
        problem: what is known before training.
        seed: of all its random decisions.
        trials: how many will be evaluated, for strategies that divide them into phases.
        concurrency: how many at a time.

    Raises:
        OptionError: unknown name.
    """
    check_strategy(name)
    return STRATEGIES[name](problem, seed, trials, concurrency)


def check_strategy(name: str) -> None:
    """Raise `OptionError` for a name that is none."""
    if name not in STRATEGIES:
        raise OptionError(f"strategy: {one_of(name, STRATEGIES)}")


STRATEGIES: dict[str, Callable[[Problem, int, int, int], Strategy]] = {
    "ehvi": lambda problem, seed, trials, _: ExpectedHypervolumeImprovement(
        problem, seed=seed, startup=min(10, max(4, trials // 4))
    ),
    "pareto-evolution": lambda problem, seed, trials, _: ParetoEvolution(
        problem, seed=seed, population=min(30, max(6, trials // 4))
    ),
    "random": lambda _, seed, __, ___: Random(seed=seed),
    "regularized-evolution": lambda _, seed, trials, concurrency: aging_evolution(
        seed=seed, trials=trials, concurrency=concurrency
    ),
    "tpe": lambda _, seed, trials, __: EventDrivenTPE(seed=seed, startup=min(20, max(5, trials // 4))),
    "grid": lambda _, seed, __, ___: GridSearch(seed=seed),
}
