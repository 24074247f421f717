"""Base class of our own strategies: propose a new feasible row, observe its accuracy."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from senas.strategies import nni_space  # noqa: F401  # chooses NNI's framework
from senas.strategies.candidates import key
from senas.strategies.problem import Problem, Rows

from nni.nas.execution import ExecutionEngine  # isort: skip  # after nni_space has chosen NNI's framework
from nni.nas.execution.event import ModelEvent, ModelEventType  # isort: skip
from nni.nas.space import ExecutableModelSpace  # isort: skip
from nni.nas.strategy import Strategy  # isort: skip


class ProposingStrategy(Strategy, ABC):
    """NNI strategy over a space whose costs are known; it proposes only rows that are feasible and new.

    A subclass implements `propose`. The strategy works with any NNI engine whose models are frozen samples; results
    reach it as events.

    Args:
        problem: What is known before training.
        seed: Random seed of all decisions.

    Attributes:
        problem: What is known before training.
        rng: Random generator of all decisions.
        known: Key of every row that was proposed, see `senas.strategies.candidates.key`.
    """

    def __init__(self, problem: Problem, *, seed: int):
        super().__init__()
        self.problem = problem
        self.rng = np.random.default_rng(seed)
        self.known: set[bytes] = set()
        self._rows: list[NDArray[np.integer]] = []
        self._stacked = np.empty((0, len(problem.labels)), dtype=np.int64)  # `_rows` as of the last use of `rows`
        self._accuracies: list[float] = []
        self._pending: dict[ExecutableModelSpace, NDArray[np.integer]] = {}
        self._again: deque[NDArray[np.integer]] = deque()

    @abstractmethod
    def propose(self) -> NDArray[np.integer] | None:
        """Return the next row, (L,), feasible and not in `known`; `None` if there is none."""

    @property
    def rows(self) -> Rows:
        """Evaluated rows in the order of their results, (N, L), without those of failed trials."""
        new = self._rows[len(self._stacked) :]
        if new:
            self._stacked = np.concatenate([self._stacked, np.array(new, dtype=np.int64)])
        return self._stacked

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """Accuracy of each of `rows`, (N,)."""
        return np.array(self._accuracies)

    @property
    def pending(self) -> Rows:
        """Rows that are being evaluated, (P, L)."""
        return np.array([*self._pending.values()], dtype=np.int64).reshape(-1, len(self.problem.labels))

    def observe(self, row: NDArray[np.integer], accuracy: float) -> None:
        """Record a result; the same row may be observed again, from another training."""
        self.known.add(key(row))
        self._rows.append(row)
        self._accuracies.append(accuracy)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the strategy as plain data, without the rows that it proposed and their results."""
        return {"random": self.rng.bit_generator.state}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`; rows and results are passed to `restore_proposals` and `observe`.

        A strategy with state of its own extends this method and `state_dict`.

        Raises:
            KeyError: Not a state of this strategy; a `TypeError`, `ValueError` or `OverflowError` means the same.
        """
        self.rng.bit_generator.state = state_dict["random"]

    def restore_proposals(
        self, proposed: Iterable[NDArray[np.integer]], running: Iterable[NDArray[np.integer]]
    ) -> None:
        """Restore the rows that were proposed before the run was resumed.

        Args:
            proposed: Every row that was proposed.
            running: Rows of `proposed` without a result; they are proposed again first, in this order.
        """
        self.known = {key(row) for row in proposed}
        self._again = deque(running)

    def _initialize(self, model_space: ExecutableModelSpace, engine: ExecutionEngine) -> ExecutableModelSpace:
        engine.register_model_event_callback(ModelEventType.TrainingEnd, self._on_training_end)
        return model_space

    def _cleanup(self) -> None:
        self.engine.unregister_model_event_callback(ModelEventType.TrainingEnd, self._on_training_end)

    def _run(self) -> None:
        while self.wait_for_resource():
            row = self._again.popleft() if self._again else self.propose()
            if row is None:
                return
            self.known.add(key(row))
            model = self.model_space.freeze(self.problem.sample(row))
            self._pending[model] = row
            self.engine.submit_models(model)

    def _on_training_end(self, event: ModelEvent) -> None:
        row = self._pending.pop(event.model, None)
        if row is not None and event.model.metric is not None:
            self.observe(row, float(event.model.metric))
