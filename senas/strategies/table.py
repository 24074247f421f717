"""Strategies by name, and strategies that the caller provides.

NNI is imported only when a strategy is made, so that the names are available without it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from senas.errors import OptionError, one_of
from senas.io import name_of
from senas.strategies.problem import Problem

if TYPE_CHECKING:
    from nni.nas.strategy import Strategy


def make_strategy(
    strategy: "str | Strategy | Callable[..., Strategy]", problem: Problem, *, seed: int, trials: int, concurrency: int
) -> "Strategy":
    """Return a strategy, given its name or one that the caller provides.

    Args:
        strategy: Key of `STRATEGIES`, an NNI strategy, or a function `(problem, *, seed) -> strategy`, such as a
            subclass of `ProposingStrategy`.
        problem: What is known before training.
        seed: Random seed of all its decisions.
        trials: Number of trials, for strategies that divide them into phases.
        concurrency: Number of trials at a time.

    Raises:
        OptionError: Unknown name, or a function that does not return a strategy.
    """
    if isinstance(strategy, str):
        check_strategy(strategy)
        return STRATEGIES[strategy](problem, seed, trials, concurrency)
    from senas.strategies.nni_space import Strategy

    made = strategy if isinstance(strategy, Strategy) else strategy(problem, seed=seed)
    if not isinstance(made, Strategy):
        raise OptionError(f"strategy: found {made!r}, expected a name or an nni.nas.strategy.Strategy")
    return made


def strategy_name(strategy: object) -> str:
    """Return the name under which a run records a strategy: a key of `STRATEGIES`, or module and class.

    Raises:
        OptionError: Unknown name, or neither a strategy nor a function that makes one.
    """
    if isinstance(strategy, str):
        check_strategy(strategy)
        return strategy
    from senas.strategies.nni_space import Strategy

    if not isinstance(strategy, Strategy) and not callable(strategy):
        raise OptionError(f"strategy: found {strategy!r}, expected a name or an nni.nas.strategy.Strategy")
    return name_of(strategy)


def check_strategy(name: str) -> None:
    """Raise `OptionError` for an unknown name."""
    if name not in STRATEGIES:
        raise OptionError(f"strategy: {one_of(name, STRATEGIES)}")


def _ehvi(problem: Problem, seed: int, trials: int, _concurrency: int) -> "Strategy":
    from senas.strategies.ehvi import ExpectedHypervolumeImprovement

    return ExpectedHypervolumeImprovement(problem, seed=seed, startup=min(10, max(4, trials // 4)))


def _pareto_evolution(problem: Problem, seed: int, trials: int, _concurrency: int) -> "Strategy":
    from senas.strategies.pareto_evolution import ParetoEvolution

    return ParetoEvolution(problem, seed=seed, population=min(30, max(6, trials // 4)))


def _random(_problem: Problem, seed: int, _trials: int, _concurrency: int) -> "Strategy":
    from senas.strategies.nni_own import Random

    return Random(seed=seed)


def _regularized_evolution(_problem: Problem, seed: int, trials: int, concurrency: int) -> "Strategy":
    from senas.strategies.nni_own import aging_evolution

    return aging_evolution(seed=seed, trials=trials, concurrency=concurrency)


def _tpe(_problem: Problem, seed: int, trials: int, _concurrency: int) -> "Strategy":
    from senas.strategies.nni_own import EventDrivenTPE

    return EventDrivenTPE(seed=seed, startup=min(20, max(5, trials // 4)))


def _grid(_problem: Problem, seed: int, _trials: int, _concurrency: int) -> "Strategy":
    from senas.strategies.nni_own import GridSearch

    return GridSearch(seed=seed)


STRATEGIES: dict[str, Callable[[Problem, int, int, int], "Strategy"]] = {
    "ehvi": _ehvi,
    "pareto-evolution": _pareto_evolution,
    "random": _random,
    "regularized-evolution": _regularized_evolution,
    "tpe": _tpe,
    "grid": _grid,
}
