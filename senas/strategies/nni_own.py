"""NNI's own strategies, for comparison: they see only the accuracy, and the engine drops infeasible proposals."""

from typing import Any

import numpy as np

from senas.strategies.nni_space import NNIModel

import nni  # isort: skip  # after nni_space has chosen NNI's framework
from nni.nas.execution.event import FinalMetricEvent, TrainingEndEvent  # isort: skip
from nni.nas.strategy import TPE, GridSearch, Random, RegularizedEvolution, Strategy  # isort: skip


__all__ = ["EventDrivenTPE", "GridSearch", "Random", "aging_evolution"]


class EventDrivenTPE(TPE):
    """NNI's TPE (Bergstra et al. 2011), set to maximise and without its pause of one second after every proposal.

    Once it has converged, NNI's TPE proposes the same architectures repeatedly. A repeated proposal is discarded and
    replaced by another; after a few repeats in a row, one architecture is drawn at random, of which the model does not
    learn the result.

    Args:
        seed: Random seed of all decisions.
        startup: Number of random proposals before the model is used.
    """

    _max_attempts = 2

    def __init__(self, *, seed: int, startup: int):
        super().__init__(optimize_mode="maximize", seed=seed, tpe_args={"n_startup_jobs": startup})
        self._random_state = np.random.RandomState(seed)  # of the kind that NNI's spaces draw from
        self._proposed: set[str] = set()

    def _run(self) -> None:
        choices: Any = {label: mutable.as_legacy_dict() for label, mutable in self.model_space.simplify().items()}
        self.tuner.update_search_space(choices)
        while self.engine.idle_worker_available():
            try:
                model = self._new_model() or self.model_space.random(random_state=self._random_state)
            except nni.NoMoreTrialError:
                return
            self.engine.submit_models(model)

    def _new_model(self) -> NNIModel | None:
        """Return a proposal of an architecture that was not proposed before; `None` after too many repeats."""
        for _ in range(self._max_attempts):
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
        """Pass a result to the model if the model proposed the architecture."""
        if event.model in self._model_to_id:
            super().on_metric(event)

    def on_training_end(self, event: TrainingEndEvent) -> None:
        """Pass the end of a trial to the model if the model proposed the architecture."""
        if event.model in self._model_to_id:
            super().on_training_end(event)


def aging_evolution(*, seed: int, trials: int, concurrency: int) -> Strategy:
    """Return NNI's regularized evolution (Real et al. 2019).

    Its population is larger than the number of trials at a time; otherwise evolution would start from an empty one.

    Args:
        seed: Random seed of all decisions.
        trials: Number of trials, which determines the size of the population.
        concurrency: Number of trials at a time.
    """
    population = max(concurrency + 1, min(100, max(6, trials // 4)))
    return RegularizedEvolution(population_size=population, sample_size=max(2, population // 4), seed=seed)
