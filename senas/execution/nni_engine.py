"""NNI execution engine that returns a strategy's proposals one by one.

A strategy runs in its own thread, but never at the same time as its caller: the strategy is parked until a proposal is
requested, and the caller waits until the strategy is parked again. Results therefore reach a strategy only while it
waits, nothing polls, and with one trial at a time the sequence of proposals depends on the seed alone.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

from senas.architecture import Architecture
from senas.errors import SearchFailedError
from senas.strategies import NNIModel, NNISpace

from nni.nas.execution import ExecutionEngine  # isort: skip  # after nni_space has chosen NNI's framework
from nni.nas.execution.event import FinalMetricEvent, TrainingEndEvent  # isort: skip
from nni.nas.space import ExecutableModelSpace, ModelStatus  # isort: skip
from nni.nas.strategy import Strategy  # isort: skip

PATIENCE = 20_000  # rejected proposals in a row


class ProposalEngine(ExecutionEngine):
    """Engine that passes on a strategy's feasible, new architectures and answers all other proposals itself.

    An infeasible proposal ends as invalid, without a metric. A proposal of an architecture that has a result receives
    that result; a proposal of one that is running receives the result when there is one. None of these reach the
    caller.

    Args:
        feasible: Function that returns whether an architecture keeps the budgets.
        patience: Number of proposals in a row that may be infeasible or known before the search counts as exhausted.
    """

    def __init__(self, feasible: Callable[[Architecture], bool], patience: int = PATIENCE):
        super().__init__()
        self._feasible = feasible
        self._known: dict[str, float | None] = {}  # results so far by digest; `None` for a failure
        self._patience = patience
        self._running: dict[str, list[NNIModel]] = {}
        self._proposals: deque[Architecture] = deque()
        self._rejected_in_a_row = 0
        self._turn = threading.Condition()
        self._capacity_requested = False
        self._parked: Literal["", "for capacity", "for results", "for good"] = ""
        self._closed = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    # methods for the caller

    def start(self, strategy: Strategy, space: NNISpace) -> None:
        """Start a strategy on a space, in its own thread."""

        def explore() -> None:
            try:
                strategy(space, self)
            except BaseException as error:  # `ask` raises it in the caller's thread
                self._error = error
            with self._turn:
                self._parked = "for good"
                self._turn.notify_all()

        self._thread = threading.Thread(target=explore, name="strategy", daemon=True)
        self._thread.start()

    def ask(self) -> Architecture | Literal["later", "never"]:
        """Return the next architecture to train.

        Returns:
            An architecture; `later` if the strategy waits for results first; `never` if it has no more to propose.

        Raises:
            SearchFailedError: A failure of the strategy.
        """
        with self._turn:
            if not self._proposals:
                self._capacity_requested = True
                if self._parked == "for capacity":
                    self._parked = ""
                self._turn.notify_all()
                self._turn.wait_for(lambda: self._parked and (self._parked != "for capacity" or self._proposals))
            if self._error is not None:
                raise SearchFailedError(f"the strategy failed: {self._error!r}") from self._error
            if self._proposals:
                return self._proposals.popleft()
            return "later" if self._parked == "for results" else "never"

    def tell(self, digest: str, accuracy: float | None) -> None:
        """Give the strategy the accuracy of an architecture; `None` for a failure."""
        self._known[digest] = accuracy
        for model in self._running.pop(digest, []):
            self._settle(model, accuracy)
        with self._turn:
            if self._parked == "for results" and not self._running:
                self._parked = ""
                self._turn.notify_all()
                self._turn.wait_for(lambda: self._parked)

    def close(self) -> None:
        """End the strategy and discard its further proposals."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        if self._thread is not None:
            self._thread.join()

    @property
    def exhausted(self) -> bool:
        """Whether the search ended because too many proposals in a row were infeasible or known."""
        return self._rejected_in_a_row >= self._patience

    # methods that NNI calls in the strategy's thread

    def idle_worker_available(self) -> bool:
        """Wait until a proposal is requested and return True; return False if none will be."""
        with self._turn:
            if not self._capacity_requested:
                self._park("for capacity", lambda: self._capacity_requested or self._closed)
            return not self._closed

    def budget_available(self) -> bool:
        """Return whether the strategy may continue."""
        return not self._closed

    def submit_models(self, *models: ExecutableModelSpace) -> None:
        """Receive proposals of the strategy."""
        for model in models:
            assert isinstance(model, NNIModel)
            digest = model.architecture.digest
            self._rejected_in_a_row += 1
            if digest in self._known:
                self._settle(model, self._known[digest])
            elif digest in self._running:
                self._running[digest].append(model)
            elif not self._feasible(model.architecture):
                self.dispatch_model_event(TrainingEndEvent(model, ModelStatus.Invalid))
            else:
                self._rejected_in_a_row = 0
                self._running[digest] = [model]
                with self._turn:
                    self._capacity_requested = False
                    self._proposals.append(model.architecture)
            if self.exhausted:
                self._closed = True

    def wait_models(self, *models: ExecutableModelSpace) -> None:  # noqa: ARG002  # always waits for all models
        """Wait until no model is running."""
        with self._turn:
            if self._running and not self._closed:
                self._park("for results", lambda: not self._running or self._closed)

    def list_models(self, status: ModelStatus | None = None) -> Iterable[ExecutableModelSpace]:
        """Return the models that are running; those that have ended are in the journal."""
        return [model for models in self._running.values() for model in models if status in (None, model.status)]

    def shutdown(self) -> None:
        """Close the engine, as NNI calls it."""
        self.close()

    def _park(self, reason: Literal["for capacity", "for results"], until: Callable[[], object]) -> None:
        self._parked = reason
        self._turn.notify_all()
        self._turn.wait_for(until)
        self._parked = ""

    def _settle(self, model: NNIModel, accuracy: float | None) -> None:
        if accuracy is not None:
            self.dispatch_model_event(FinalMetricEvent(model, accuracy))
        status = ModelStatus.Failed if accuracy is None else ModelStatus.Trained
        self.dispatch_model_event(TrainingEndEvent(model, status))
