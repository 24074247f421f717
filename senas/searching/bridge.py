"""The Ray side of the bridge: a Ray Tune searcher that asks an NNI strategy and writes everything into the journal."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ray.tune import Callback
from ray.tune.experiment import Trial as RayTrial
from ray.tune.search import Searcher

from senas.architecture import Architecture
from senas.costs.budget import Cost
from senas.errors import RunError
from senas.searching.engine import ProposalEngine
from senas.searching.fidelity import promised_accuracy
from senas.searching.journal import Journal
from senas.searching.trial import Purpose, Task, Trial, trial_seed

HOPELESS = 10  # this many failures and nothing else, and the search gives up

EndReason = Literal["", "trials", "time", "strategy", "exhausted", "failures"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a search has had enough.

    Attributes:
        trials: ended trials of the strategy, failed ones included.
        concurrency: trials at a time.
        seconds: the strategy starts no trial later than this after the first of a session, `None` for no limit.
    """

    trials: int
    concurrency: int
    seconds: float | None = None


@dataclass(kw_only=True, slots=True)
class _Live:
    """A trial that Ray is running."""

    number: int
    purpose: Purpose
    started: float
    accuracy: float | None = None


class StrategySearcher(Searcher):
    """Turns Ray Tune's questions into a strategy's proposals, and its results into journal entries and events.

    A result is on disk before the strategy hears of it, and so before the next proposal.

    Args:
        engine: with its strategy started.
        journal: where events go.
        cost_of: the cost of an architecture.
        limits: when to stop.
        seed: of the search.
        extras: what else is trained once the strategy's trials have ended.
        on_replicate: told the architecture and accuracy of every replicate.
        on_change: called after every start and end of a trial.

    Attributes:
        end_reason: why the strategy starts no more trials: `trials` are all there, `time` is up, the `strategy` has no
            more to propose, is `exhausted` (what it proposes is infeasible or known), or nothing but `failures` came.
        interrupted: set from outside, makes the next `suggest` raise `KeyboardInterrupt`.
    """

    def __init__(
        self,
        *,
        engine: ProposalEngine,
        journal: Journal,
        cost_of: Callable[[Architecture], Cost],
        limits: Limits,
        seed: int,
        extras: Callable[[Sequence[Trial]], Task | None] = lambda _: None,
        on_replicate: Callable[[Architecture, float], None] = lambda *_: None,
        on_change: Callable[[], None] = lambda: None,
    ):
        super().__init__()
        self._engine = engine
        self._journal = journal
        self._cost_of = cost_of
        self._limits = limits
        self._seed = seed
        self._extras = extras
        self._on_replicate = on_replicate
        self._on_change = on_change
        self._live: dict[str, _Live] = {}
        self._again: deque[Trial] = deque()
        self._finished: list[Trial] = []
        self._next_number = 1
        self._ended = 0
        self._succeeded = 0
        self._deadline: float | None = None
        self.end_reason: EndReason = ""
        self.interrupted = False

    def replay(self) -> None:
        """Ask and tell the strategy again what the journal says it was asked and told, in the same order.

        Afterwards it stands where it stood; what was running then runs again first, under its old number.

        Raises:
            RunError: it proposes something else than it did, so another version of it must be at work.
        """
        running: dict[int, Trial] = {}
        for trial in self._journal.history():
            if trial.number not in running:
                if trial.purpose == "search":
                    self._ask_again(trial)
                running[trial.number] = trial
            else:
                del running[trial.number]
                self._tell(trial)
            self._next_number = max(self._next_number, trial.number + 1)
        self._again.extend(running.values())

    @property
    def complete(self) -> bool:
        """Whether everything was trained already that a run asks for."""
        if self._ended < self._limits.trials or any(trial.purpose != "search" for trial in self._again):
            return False
        return self._extras(self._journal.trials()) is None

    def __getstate__(self) -> dict[str, Any]:
        """Ray pickles searchers to restore them; a run restores from its journal, so there is nothing to keep."""
        return {}

    def set_max_concurrency(self, max_concurrent: int) -> bool:  # noqa: ARG002  # our limits know already
        """Tell Ray that this searcher keeps to the concurrency itself."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """The configuration of the next trial; `None` for not now, `FINISHED` for no more."""
        if self.interrupted:
            raise KeyboardInterrupt
        if len(self._live) >= self._limits.concurrency:
            return None
        task = self._next()
        if task is None:
            return Searcher.FINISHED if self.end_reason and not self._live else None
        number, todo = task
        arch, purpose = todo.architecture, todo.purpose
        self._journal.started(number, arch, todo.seed, self._cost_of(arch), purpose)
        self._live[trial_id] = _Live(number=number, purpose=purpose, started=time.monotonic())
        self._on_change()
        return {"architecture": arch.to_json(), "seed": todo.seed, "purpose": purpose}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Journal an intermediate accuracy."""
        if "epoch" in result and trial_id in self._live:
            live = self._live[trial_id]
            live.accuracy = result["accuracy"]
            self._journal.reported(live.number, result["epoch"], result["accuracy"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Journal the end of a trial, then tell the strategy."""
        if error or trial_id not in self._live:
            return  # `on_worker_error` knows more
        live = self._live[trial_id]
        seconds = time.monotonic() - live.started
        if result and "final" in result:
            self._journal.finished(live.number, result["final"], seconds)
        elif result and "failure" in result:
            self._journal.failed(live.number, result["failure"], seconds)
        else:
            self.on_trial_result(trial_id, result or {})  # the report that early stopping acted on comes only here
            self._journal.stopped(live.number, live.accuracy, seconds)
        self._end(trial_id)

    def on_worker_error(self, trial_id: str, reason: str) -> None:
        """Journal a trial whose worker was lost or could not start."""
        if trial_id in self._live:
            live = self._live[trial_id]
            self._journal.failed(live.number, reason, time.monotonic() - live.started)
            self._end(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the journal has it."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: the journal has it."""

    def _ask_again(self, trial: Trial) -> None:
        proposal = self._engine.ask()
        found = proposal if isinstance(proposal, str) else proposal.digest
        if found != trial.digest:
            raise RunError(
                f"{self._journal.path}: trial {trial.number}: found architecture {trial.digest}, the strategy "
                f"proposes {found}; it was searched with another version of senas or nni"
            )

    def _next(self) -> tuple[int, Task] | None:
        """Number and content of the next trial; `None` for not now or, with an `end_reason`, for never."""
        self.end_reason = self.end_reason or self._limit_reached()
        if self.end_reason:  # what the strategy had running is not trained again then
            self._again = deque(trial for trial in self._again if trial.purpose != "search")
        if self._again:
            trial = self._again.popleft()
            return trial.number, Task(purpose=trial.purpose, architecture=trial.architecture, seed=trial.seed)
        task = None if self.end_reason else self._proposed()
        if task is None and self.end_reason:
            task = self._extra()
        if task is None:
            return None
        number, self._next_number = self._next_number, self._next_number + 1
        return number, task

    def _proposed(self) -> Task | None:
        """What the strategy proposes; `None` for not now or, with an `end_reason`, for never."""
        proposal = self._engine.ask()
        if not isinstance(proposal, str):
            return Task(purpose="search", architecture=proposal, seed=trial_seed(self._seed, proposal.digest))
        if proposal == "never":
            self.end_reason = "exhausted" if self._engine.exhausted else "strategy"
        return None

    def _extra(self) -> Task | None:
        """What else there is to train once the strategy's trials have ended."""
        if self.end_reason == "failures" or self._searching():
            return None
        return self._extras(self._journal.trials())

    def _searching(self) -> int:
        """How many of the strategy's trials are running."""
        return sum(live.purpose == "search" for live in self._live.values())

    def _limit_reached(self) -> EndReason:
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + (float("inf") if self._limits.seconds is None else self._limits.seconds)
        if self._ended + self._searching() >= self._limits.trials:
            return "trials"
        if now > self._deadline:
            return "time"
        return "failures" if self._ended >= HOPELESS and not self._succeeded else ""

    def _end(self, trial_id: str) -> None:
        number = self._live.pop(trial_id).number
        self._tell(next(trial for trial in reversed(self._journal.trials()) if trial.number == number))
        self._on_change()

    def _tell(self, trial: Trial) -> None:
        """Let the strategy know how a trial has ended; the baseline it is held against is none of its business."""
        if trial.purpose == "search":
            self._ended += 1
            self._succeeded += trial.accuracy is not None
            self._engine.tell(trial.digest, promised_accuracy(trial, self._finished))
        elif trial.purpose == "replicate" and trial.status == "finished" and trial.accuracy is not None:
            self._on_replicate(trial.architecture, trial.accuracy)
        if trial.status == "finished":
            self._finished.append(trial)


class WorkerErrors(Callback):
    """Brings the reason of a lost worker to the searcher, which Ray only tells that there was one."""

    def __init__(self, searcher: StrategySearcher):
        self._searcher = searcher

    def on_trial_error(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:  # noqa: ARG002
        """Called by Ray after `Searcher.on_trial_complete(error=True)`."""
        path = Path(trial.error_file) if trial.error_file else None
        reason = path.read_text(encoding="utf-8").strip() if path is not None and path.exists() else ""
        self._searcher.on_worker_error(trial.trial_id, reason or "the worker was lost, Ray does not say why")
