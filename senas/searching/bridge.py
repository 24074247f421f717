"""The Ray side of the bridge: a Ray Tune searcher that asks an NNI strategy and writes everything into the journal."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial as RayTrial
from ray.tune.search import Searcher

from senas.architecture import Architecture
from senas.costs.budget import Cost
from senas.searching.engine import ProposalEngine
from senas.searching.journal import Journal
from senas.searching.trial import trial_seed

HOPELESS = 10  # this many failures and nothing else, and the search gives up


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a search has had enough.

    Attributes:
        trials: ended trials in all, failed ones included.
        concurrency: trials at a time.
        seconds: no trial starts later than this after the first, `None` for no limit.
    """

    trials: int
    concurrency: int
    seconds: float | None = None


@dataclass(kw_only=True, slots=True)
class _Live:
    """A trial that Ray is running."""

    number: int
    digest: str
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
        ended: how many trials the journal already holds as ended.
        interrupted: digest and number of trials that an earlier session left running; proposed again, they start anew.
        next_number: of the next trial.
        on_change: called after every start, report and end.
    """

    def __init__(
        self,
        *,
        engine: ProposalEngine,
        journal: Journal,
        cost_of: Callable[[Architecture], Cost],
        limits: Limits,
        seed: int,
        ended: int = 0,
        interrupted: dict[str, int] | None = None,
        next_number: int = 1,
        on_change: Callable[[], None] = lambda: None,
    ):
        super().__init__()
        self._engine = engine
        self._journal = journal
        self._cost_of = cost_of
        self._limits = limits
        self._seed = seed
        self._ended = ended
        self._interrupted = dict(interrupted or {})
        self._next_number = next_number
        self._on_change = on_change
        self._live: dict[str, _Live] = {}
        self._failures_in_a_row = 0
        self._deadline = time.monotonic() + limits.seconds if limits.seconds is not None else float("inf")

    def __getstate__(self) -> dict[str, Any]:
        """Ray pickles searchers to restore them; a run restores from its journal, so there is nothing to keep."""
        return {}

    def set_max_concurrency(self, max_concurrent: int) -> bool:  # noqa: ARG002  # our limits know already
        """Tell Ray that this searcher keeps to the concurrency itself."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """The configuration of the next trial; `None` for not now, `FINISHED` for no more."""
        if self._ended + len(self._live) >= self._limits.trials or self.gave_up or time.monotonic() > self._deadline:
            return Searcher.FINISHED if not self._live else None
        if len(self._live) >= self._limits.concurrency:
            return None
        proposal = self._engine.ask()
        if isinstance(proposal, str):
            return Searcher.FINISHED if not self._live else None
        number = self._interrupted.pop(proposal.digest, None)
        if number is None:
            number, self._next_number = self._next_number, self._next_number + 1
        seed = trial_seed(self._seed, proposal.digest)
        self._journal.started(number, proposal, seed, self._cost_of(proposal))
        self._live[trial_id] = _Live(number=number, digest=proposal.digest, started=time.monotonic())
        self._on_change()
        return {"architecture": proposal.to_json(), "seed": seed}

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
            self._end(trial_id, result["final"])
        elif result and "failure" in result:
            self._journal.failed(live.number, result["failure"], seconds)
            self._end(trial_id, None)
        else:
            self.on_trial_result(trial_id, result or {})  # the report that early stopping acted on comes only here
            self._journal.stopped(live.number, live.accuracy, seconds)
            self._end(trial_id, live.accuracy)

    def on_worker_error(self, trial_id: str, reason: str) -> None:
        """Journal a trial whose worker was lost or could not start."""
        if trial_id in self._live:
            live = self._live[trial_id]
            self._journal.failed(live.number, reason, time.monotonic() - live.started)
            self._end(trial_id, None)

    @property
    def gave_up(self) -> bool:
        """Whether so many trials failed, and nothing else, that there is no point in going on."""
        return self._failures_in_a_row >= HOPELESS and self._failures_in_a_row >= self._ended

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the journal has it."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: the journal has it."""

    def _end(self, trial_id: str, accuracy: float | None) -> None:
        live = self._live.pop(trial_id)
        self._ended += 1
        self._failures_in_a_row = self._failures_in_a_row + 1 if accuracy is None else 0
        self._engine.tell(live.digest, accuracy)
        self._on_change()


class WorkerErrors(Callback):
    """Brings the reason of a lost worker to the searcher, which Ray only tells that there was one."""

    def __init__(self, searcher: StrategySearcher):
        self._searcher = searcher

    def on_trial_error(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:  # noqa: ARG002
        """Called by Ray after `Searcher.on_trial_complete(error=True)`."""
        path = Path(trial.error_file) if trial.error_file else None
        reason = path.read_text(encoding="utf-8").strip() if path is not None and path.exists() else ""
        self._searcher.on_worker_error(trial.trial_id, reason or "the worker was lost, Ray does not say why")
