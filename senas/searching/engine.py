"""The NNI side of the bridge: an execution engine that hands a strategy's proposals over one by one.

A strategy runs in a thread of its own, but never at the same time as its caller: it is parked until a proposal is
asked for, and the caller waits until it is parked again. So results reach a strategy only while it waits, nothing
polls, and with one trial at a time the sequence of proposals depends on the seed alone.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

from senas.architecture import Architecture
from senas.errors import SearchFailedError
from senas.strategies.nni_space import NNIModel, NNISpace

from nni.nas.execution import ExecutionEngine  # isort: skip  # after nni_space has chosen NNI's framework
from nni.nas.execution.event import FinalMetricEvent, TrainingEndEvent  # isort: skip
from nni.nas.space import ExecutableModelSpace, ModelStatus  # isort: skip
from nni.nas.strategy import Strategy  # isort: skip

PATIENCE = 20_000


class ProposalEngine(ExecutionEngine):
    """Asks a strategy for architectures that are feasible and new; answers all else at once.

    An infeasible proposal ends as invalid, without a metric. A proposal of an architecture that has a result gets
    that result; of one that is running, the result when it comes. Neither reaches the caller.

    Args:
        feasible: whether an architecture keeps the budgets.
        patience: this many proposals in a row may be infeasible or known before the search counts as exhausted.
    """

    def __init__(self, feasible: Callable[[Architecture], bool], patience: int = PATIENCE):
        super().__init__()
        self._feasible = feasible
        self._known: dict[str, float | None] = {}  # results so far, by digest; `None` for a failure
        self._patience = patience
        self._running: dict[str, list[NNIModel]] = {}
        self._proposals: deque[Architecture] = deque()
        self._in_vain = 0
        self._turn = threading.Condition()
        self._demand = False
        self._parked: Literal["", "for demand", "for results", "for good"] = ""
        self._closed = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    # The caller's side.

    def start(self, strategy: Strategy, space: NNISpace) -> None:
        """Let a strategy explore a space, in its own thread."""

        def explore() -> None:
            try:
                strategy(space, self)
            except BaseException as error:  # handed to the caller by `ask`
                self._error = error
            with self._turn:
                self._parked = "for good"
                self._turn.notify_all()

        self._thread = threading.Thread(target=explore, name="strategy", daemon=True)
        self._thread.start()

    def ask(self) -> Architecture | Literal["later", "never"]:
        """The next architecture to train.

        Returns:
            An architecture; `later` where the strategy waits for results first; `never` where it has no more.

        Raises:
            SearchFailedError: the strategy failed.
        """
        with self._turn:
            if not self._proposals:
                self._demand = True
                if self._parked == "for demand":
                    self._parked = ""
                self._turn.notify_all()
                self._turn.wait_for(lambda: self._parked and (self._parked != "for demand" or self._proposals))
            if self._error is not None:
                raise SearchFailedError(f"the strategy failed: {self._error!r}") from self._error
            if self._proposals:
                return self._proposals.popleft()
            return "later" if self._parked == "for results" else "never"

    def tell(self, digest: str, accuracy: float | None) -> None:
        """Give the strategy the result of an architecture, `None` for a failure."""
        self._known[digest] = accuracy
        for model in self._running.pop(digest, []):
            self._settle(model, accuracy)
        with self._turn:
            if self._parked == "for results" and not self._running:
                self._parked = ""
                self._turn.notify_all()
                self._turn.wait_for(lambda: self._parked)

    def close(self) -> None:
        """End the strategy; what it would still propose is lost."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        if self._thread is not None:
            self._thread.join()

    @property
    def exhausted(self) -> bool:
        """Whether the search ended because too many proposals in a row were infeasible or known."""
        return self._in_vain >= self._patience

    # The strategy's side.

    def idle_worker_available(self) -> bool:
        """Wait until a proposal is asked for; false when none will be."""
        with self._turn:
            if not self._demand:
                self._park("for demand", lambda: self._demand or self._closed)
            return not self._closed

    def budget_available(self) -> bool:
        """Whether the strategy may go on."""
        return not self._closed

    def submit_models(self, *models: ExecutableModelSpace) -> None:
        """Take a strategy's proposals."""
        for model in models:
            assert isinstance(model, NNIModel)
            digest = model.architecture.digest
            self._in_vain += 1
            if digest in self._known:
                self._settle(model, self._known[digest])
            elif digest in self._running:
                self._running[digest].append(model)
            elif not self._feasible(model.architecture):
                self.dispatch_model_event(TrainingEndEvent(model, ModelStatus.Invalid))
            else:
                self._in_vain = 0
                self._running[digest] = [model]
                with self._turn:
                    self._demand = False
                    self._proposals.append(model.architecture)
            if self.exhausted:
                self._closed = True

    def wait_models(self, *models: ExecutableModelSpace) -> None:  # noqa: ARG002  # whichever: wait for all
        """Wait until nothing is running."""
        with self._turn:
            if self._running and not self._closed:
                self._park("for results", lambda: not self._running or self._closed)

    def list_models(self, status: ModelStatus | None = None) -> Iterable[ExecutableModelSpace]:
        """The models that are running: what has ended is in the journal."""
        return [model for models in self._running.values() for model in models if status in (None, model.status)]

    def shutdown(self) -> None:
        """The same as `close`, by NNI's name."""
        self.close()

    def _park(self, why: Literal["for demand", "for results"], until: Callable[[], object]) -> None:
        self._parked = why
        self._turn.notify_all()
        self._turn.wait_for(until)
        self._parked = ""

    def _settle(self, model: NNIModel, accuracy: float | None) -> None:
        if accuracy is not None:
            self.dispatch_model_event(FinalMetricEvent(model, accuracy))
        status = ModelStatus.Failed if accuracy is None else ModelStatus.Trained
        self.dispatch_model_event(TrainingEndEvent(model, status))
