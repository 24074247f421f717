"""The table of strategies: what proposes the next architecture, by name."""

from collections.abc import Callable

from senas.errors import OptionError, one_of
from senas.searching import nni_space  # noqa: F401  # chooses NNI's framework before the imports below

import nni  # isort: skip
from nni.nas.strategy import TPE, GridSearch, Random, RegularizedEvolution, Strategy  # isort: skip

DEFAULT_STRATEGY = "regularized-evolution"


def make_strategy(name: str, *, seed: int, trials: int, concurrency: int) -> Strategy:
    """A strategy by name.

    Args:
        name: a key of `STRATEGIES`.
        seed: of all its random decisions.
        trials: how many will be evaluated, for strategies that divide them into phases.
        concurrency: how many at a time.

    Raises:
        OptionError: unknown name.
    """
    if name not in STRATEGIES:
        raise OptionError(f"strategy: {one_of(name, STRATEGIES)}")
    return STRATEGIES[name](seed, trials, concurrency)


class EventDrivenTPE(TPE):
    """NNI's TPE (Bergstra et al. 2011), told to maximise and without its pause of a second after every proposal."""

    def __init__(self, *, seed: int, startup: int):
        super().__init__(optimize_mode="maximize", seed=seed, tpe_args={"n_startup_jobs": startup})

    def _run(self) -> None:
        choices = {label: mutable.as_legacy_dict() for label, mutable in self.model_space.simplify().items()}
        with self._thread_lock:
            self.tuner.update_search_space(choices)
        while self.engine.idle_worker_available():
            with self._thread_lock:
                try:
                    sample = self.tuner.generate_parameters(self._model_count)
                except nni.NoMoreTrialError:
                    return
                model = self.model_space.freeze(sample)
                self._model_to_id[model] = self._model_count
                self._model_count += 1
            self.engine.submit_models(model)


def _random(seed: int, trials: int, concurrency: int) -> Strategy:  # noqa: ARG001
    return Random(seed=seed)


def _grid(seed: int, trials: int, concurrency: int) -> Strategy:  # noqa: ARG001
    return GridSearch(seed=seed)


def _tpe(seed: int, trials: int, concurrency: int) -> Strategy:  # noqa: ARG001
    return EventDrivenTPE(seed=seed, startup=min(20, max(5, trials // 4)))


def _regularized_evolution(seed: int, trials: int, concurrency: int) -> Strategy:
    """Aging evolution (Real et al. 2019). Its population exceeds what runs at a time, or it would start empty."""
    population = max(concurrency + 1, min(100, max(6, trials // 4)))
    return RegularizedEvolution(population_size=population, sample_size=max(2, population // 4), seed=seed)


STRATEGIES: dict[str, Callable[[int, int, int], Strategy]] = {
    "random": _random,
    "regularized-evolution": _regularized_evolution,
    "tpe": _tpe,
    "grid": _grid,
}
