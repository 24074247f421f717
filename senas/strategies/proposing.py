"""The shape of our own strategies: propose a new feasible row, hear its accuracy, keep everything in a state."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from senas.errors import SearchFailedError
from senas.strategies import nni_space  # noqa: F401  # chooses NNI's framework
from senas.strategies.candidates import key
from senas.strategies.problem import Problem, Rows

from nni.nas.execution import ExecutionEngine  # isort: skip  # after nni_space has chosen NNI's framework
from nni.nas.execution.event import ModelEvent, ModelEventType  # isort: skip
from nni.nas.space import ExecutableModelSpace  # isort: skip
from nni.nas.strategy import Strategy  # isort: skip


class ProposingStrategy(Strategy, ABC):
    """An NNI strategy over a space whose costs are known: never proposes what is infeasible or was proposed before.

    It works with any NNI engine whose models are frozen samples; results reach it as events.

    Args:
        problem: what is known before training.
        seed: of all random decisions.
    """

    def __init__(self, problem: Problem, *, seed: int):
        super().__init__()
        self.problem = problem
        self.rng = np.random.default_rng(seed)
        self.known: set[bytes] = set()  # every row that was proposed
        self._rows: list[NDArray[np.integer]] = []
        self._stacked = np.empty((0, len(problem.labels)), dtype=np.int64)  # as many of them as were asked for so far
        self._accuracies: list[float] = []
        self._pending: dict[ExecutableModelSpace, NDArray[np.integer]] = {}
        self._again: deque[NDArray[np.integer]] = deque()

    @abstractmethod
    def propose(self) -> NDArray[np.integer] | None:
        """The next row, (L,), feasible and not in `known`; `None` where there is none."""

    @property
    def rows(self) -> Rows:
        """What was evaluated, in the order of the results, (N, L); failed trials are not among it."""
        new = self._rows[len(self._stacked) :]
        if new:
            self._stacked = np.concatenate([self._stacked, np.array(new, dtype=np.int64)])
        return self._stacked

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """The accuracy of each of `rows`, (N,)."""
        return np.array(self._accuracies)

    @property
    def pending(self) -> Rows:
        """What is being evaluated, (P, L)."""
        return np.array([*self._pending.values()], dtype=np.int64).reshape(-1, len(self.problem.labels))

    def observe(self, row: NDArray[np.integer], accuracy: float) -> None:
        """Take a result into account; the same row may come again, from another training."""
        self.known.add(key(row))
        self._rows.append(row)
        self._accuracies.append(accuracy)

    def memory(self) -> dict[str, Any]:
        """What the strategy knows beside the rows it proposed and their results, as plain data."""
        return {"random": self.rng.bit_generator.state}

    def recall(
        self, proposed: Iterable[NDArray[np.integer]], running: Iterable[NDArray[np.integer]], memory: Mapping[str, Any]
    ) -> None:
        """Go on as a strategy whose `memory` this was; results are to be told anew, with `observe`.

        Args:
            proposed: every row that it had proposed.
            running: those that have no result; they are proposed again first, in this order.
            memory: as it was after its latest proposal.

        Raises:
            SearchFailedError: this is no memory of this strategy.
        """
        self.known = {key(row) for row in proposed}
        self._again = deque(running)
        try:
            self._remember(memory)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SearchFailedError(f"the strategy's memory: not one of {type(self).__name__} ({error!r})") from None

    def state_dict(self) -> dict[str, Any]:
        """All that the strategy needs to go on: what was running is proposed again first."""
        return {
            "rows": [row.tolist() for row in self._rows],
            "accuracies": list(self._accuracies),
            "proposed": [np.frombuffer(row, dtype=np.int64).tolist() for row in sorted(self.known)],
            "running": [row.tolist() for row in (*self._pending.values(), *self._again)],
            **self.memory(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._rows, self._stacked = [np.array(row) for row in state_dict["rows"]], self._stacked[:0]
        self._accuracies = list(state_dict["accuracies"])
        self.recall(map(np.array, state_dict["proposed"]), map(np.array, state_dict["running"]), state_dict)

    def _remember(self, memory: Mapping[str, Any]) -> None:
        self.rng.bit_generator.state = memory["random"]

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
