"""NNI's own strategies, for comparison: they see accuracy alone, and the engine drops what is infeasible."""

from typing import Any

import numpy as np

from senas.strategies.nni_space import NNIModel

import nni  # isort: skip  # after nni_space has chosen NNI's framework
from nni.nas.execution.event import FinalMetricEvent, TrainingEndEvent  # isort: skip
from nni.nas.strategy import TPE, RegularizedEvolution, Strategy  # isort: skip


class EventDrivenTPE(TPE):
    """NNI's TPE (Bergstra et al. 2011), told to maximise, without its pause of a second after every proposal.

    Once it has converged, NNI's TPE proposes the same architectures again and again. A repeat is forgotten and asked
    for anew; after a few of them in a row one architecture is drawn at random, beside the model.

    Args:
        seed: of all random decisions.
        startup: how many proposals are random before the model takes over.
    """

    _repeats = 2

    def __init__(self, *, seed: int, startup: int):
        super().__init__(optimize_mode="maximize", seed=seed, tpe_args={"n_startup_jobs": startup})
        self._random_state = np.random.RandomState(seed)  # what NNI's spaces draw from
        self._proposed: set[str] = set()

    def _run(self) -> None:
        choices: Any = {label: mutable.as_legacy_dict() for label, mutable in self.model_space.simplify().items()}
        self.tuner.update_search_space(choices)
        while self.engine.idle_worker_available():
            try:
                model = self._fresh_model() or self.model_space.random(random_state=self._random_state)
            except nni.NoMoreTrialError:
                return
            self.engine.submit_models(model)

    def _fresh_model(self) -> NNIModel | None:
        """A proposal of an architecture that was not proposed before, or `None` after too many repeats."""
        for _ in range(self._repeats):
            self._model_count += 1
            model = self.model_space.freeze(self.tuner.generate_parameters(self._model_count))
            assert isinstance(model, NNIModel)
            if model.architecture.digest not in self._proposed:
                self._proposed.add(model.architecture.digest)
                self._model_to_id[model] = self._model_count
                return model
            self.tuner.trial_end(self._model_count, False)
        return None

    def on_metric(self, event: FinalMetricEvent) -> None:
        """Tell the model a result, unless it did not propose it."""
        if event.model in self._model_to_id:
            super().on_metric(event)

    def on_training_end(self, event: TrainingEndEvent) -> None:
        """Forget a proposal that has ended."""
        if event.model in self._model_to_id:
            super().on_training_end(event)


def aging_evolution(*, seed: int, trials: int, concurrency: int) -> Strategy:
    """Regularized evolution (Real et al. 2019). Its population exceeds what runs at a time, or it would start empty."""
    population = max(concurrency + 1, min(100, max(6, trials // 4)))
    return RegularizedEvolution(population_size=population, sample_size=max(2, population // 4), seed=seed)
