"""Controller of a search: choice of the next trial and handling of outcomes, with every step journaled first."""

import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from senas.analysis import extrapolated_accuracy
from senas.architecture import Architecture
from senas.costs import Cost
from senas.errors import RunError
from senas.execution.nni_engine import ProposalEngine
from senas.runs import RETRIED, Failure, Journal, Trial, TrialTask, trial_seed

MAX_INITIAL_FAILURES = 10  # the search ends after this many failures without a single success
_RECENT_TRIALS = 50  # number of trials that the duration of the next one is estimated from

EndReason = Literal["", "trials", "time", "strategy", "exhausted", "failures"]


@dataclass(frozen=True, kw_only=True)
class SearchLimits:
    """Limits at which a search ends.

    Attributes:
        trials: Number of ended trials of the strategy at which the search ends, failed ones included.
        concurrency: Number of trials at a time.
        seconds: Time left for the strategy's trials; `None` for no limit.
        trial_seconds: Time limit of one attempt at a trial; `None` for no limit.
        retries: Number of further attempts at a trial that fails.
    """

    trials: int
    concurrency: int
    seconds: float | None = None
    trial_seconds: float | None = None
    retries: int = 0


class Controller:
    """Controller that chooses the next trial to run and handles the outcome of each.

    A result is written to the journal before the strategy receives it, and so before the next proposal.

    Args:
        engine: Engine that proposes. Its strategy must be started before `replay`, restored first if it can be.
        journal: Journal that every event is written to.
        cost_of: Function that returns the cost of an architecture.
        limits: Limits at which the search ends.
        seed: Random seed of the search.
        followup: Function of all trials that returns the next follow-up trial once the strategy's trials have ended,
            or `None`.
        observe: Function that gives the strategy an accuracy directly: of a replicate or, while `replay` restores the
            strategy, of one of its own trials.
        strategy_state: Function that returns the state that the strategy needs to continue from here, or `None` if
            replaying its proposals is enough.
        scratch: Folder in which trials keep files for later attempts; `None` for none.
        on_change: Function that is called with the trial after every start, reported epoch and end of an attempt.

    Attributes:
        end_reason: Reason why the strategy starts no more trials; empty while it still does. `trials`: all have been
            started. `time`: the time limit is reached. `strategy`: the strategy has no more to propose. `exhausted`:
            all it proposes is infeasible or known. `failures`: trials of this session have failed, and none has
            succeeded.
        over: Whether `next` has found that nothing is running and nothing more will run.
    """

    def __init__(
        self,
        *,
        engine: ProposalEngine,
        journal: Journal,
        cost_of: Callable[[Architecture], Cost],
        limits: SearchLimits,
        seed: int,
        followup: Callable[[Sequence[Trial]], TrialTask | None],
        observe: Callable[[Architecture, float], None],
        strategy_state: Callable[[], Mapping[str, Any] | None],
        scratch: Path | None,
        on_change: Callable[[Trial], None],
    ):
        self._engine = engine
        self._journal = journal
        self._cost_of = cost_of
        self._limits = limits
        self._seed = seed
        self._followup = followup
        self._observe = observe
        self._strategy_state = strategy_state
        self._scratch = scratch
        self._on_change = on_change
        self._running: dict[int, Trial] = {}
        self._waiting: deque[Trial] = deque()  # trials that were interrupted or will be retried
        self._finished: list[Trial] = []
        self._next_number = 1
        self._ended = 0
        self._failed = self._succeeded = 0  # numbers of trials in this session
        self._deadline = float("inf") if limits.seconds is None else time.monotonic() + limits.seconds
        self.end_reason: EndReason = ""
        self.over = False

    def replay(self, *, restored: bool = False) -> None:
        """Restore the state of the search from the journal; trials that were running then will run again first.

        Args:
            restored: Whether the strategy has restored its own proposals and only needs the results. Otherwise it is
                asked for every proposal and given every result again, in the same order.

        Raises:
            RunError: A proposal that differs from the journal's, which another version of the strategy must have made.
        """
        running: dict[int, Trial] = {}
        for trial in self._journal.history():
            if trial.number not in running:
                if trial.purpose == "search" and not restored:
                    self._replay_proposal(trial)
                running[trial.number] = trial
            else:
                del running[trial.number]
                self._update_strategy(trial, restored=restored)
            self._next_number = max(self._next_number, trial.number + 1)
        for trial in running.values():
            if trial.purpose == "search" and restored:
                self._replay_proposal(trial)
        self._waiting.extend(running.values())
        self._clean_scratch()
        self.end_reason = self._limit_reached()

    @property
    def complete(self) -> bool:
        """Whether nothing is left to train."""
        rerun = any(self._may_run(trial, self.end_reason) for trial in self._waiting)
        return bool(self.end_reason) and not rerun and self._followup([*self._journal.trials.values()]) is None

    def next(self) -> Trial | None:
        """Journal the start of the next trial and return it.

        `None` if no trial can start now; `over` says whether any will.
        """
        if len(self._running) >= self._limits.concurrency or (self._only_failures and self._running):
            return None
        if self.end_reason in ("", "trials"):  # the last of all trials may still run out of time
            self.end_reason = self._limit_reached()
        rerun = next((trial for trial in self._waiting if self._may_run(trial, self.end_reason)), None)
        if rerun is not None:
            self._waiting.remove(rerun)
            task = TrialTask(purpose=rerun.purpose, architecture=rerun.architecture, seed=rerun.seed)
            return self._start(rerun.number, task)
        task = None if self.end_reason else self._propose()
        if task is not None:
            return self._start(self._next_number, task, self._strategy_state())
        task = self._next_followup() if self.end_reason else None
        self.over = task is None and bool(self.end_reason) and not self._running
        return None if task is None else self._start(self._next_number, task)

    def report(self, number: int, epoch: int, accuracy: float) -> None:
        """Record an intermediate accuracy of a trial."""
        self._journal.reported(number, epoch, accuracy)
        self._on_change(self._journal.trials[number])

    def finish(self, number: int, accuracy: float, seconds: float) -> None:
        """Record that a trial has finished."""
        self._journal.finished(number, accuracy, seconds)
        self._end(number)

    def stop(self, number: int, report: tuple[int, float] | None, seconds: float) -> None:
        """Record that early stopping has ended a trial after a last report of (epoch, accuracy), if any."""
        self._journal.stopped(number, report, seconds)
        self._end(number)

    def fail(self, number: int, failure: Failure, seconds: float) -> None:
        """Record that an attempt has failed, and queue another one if the reason and the number of retries allow it."""
        if failure.reason in RETRIED and len(self._running[number].failures) < self._limits.retries:
            self._journal.retried(number, failure, seconds)
            del self._running[number]
            self._waiting.append(self._journal.trials[number])
            self._on_change(self._journal.trials[number])
        else:
            self._journal.failed(number, failure, seconds)
            self._end(number)

    def interrupt(self, number: int, seconds: float) -> None:
        """Record that an attempt was ended without a failure of its own; a resumption runs it again."""
        self._journal.interrupted(number, seconds)
        trial = self._running.pop(number)
        self._waiting.append(trial)
        self._on_change(trial)

    def overdue(self, trial: Trial, seconds: float) -> Literal["", "trial", "search"]:
        """Return which time limit a trial that has run for `seconds` exceeds: its own, the search's, or neither."""
        if self._limits.trial_seconds is not None and seconds > self._limits.trial_seconds:
            return "trial"
        return "search" if trial.purpose == "search" and time.monotonic() > self._deadline else ""

    def folder(self, trial: Trial) -> Path | None:
        """Return the folder in which a trial keeps files for later attempts, if any."""
        return None if self._scratch is None else self._scratch / str(trial.number)

    @property
    def trial_seconds(self) -> float | None:
        """Time limit of one attempt; `None` for no limit."""
        return self._limits.trial_seconds

    def _clean_scratch(self) -> None:
        """Remove folders of trials that have ended, which remain if a process was killed before it removed them."""
        kept = {self.folder(trial) for trial in self._waiting}
        if self._scratch is not None and self._scratch.is_dir():
            for folder in self._scratch.iterdir():
                if folder not in kept:
                    shutil.rmtree(folder, ignore_errors=True)

    def _replay_proposal(self, trial: Trial) -> None:
        proposal = self._engine.ask()
        if isinstance(proposal, str) or proposal.digest != trial.digest:
            proposed = "has no proposal" if isinstance(proposal, str) else f"proposes {proposal.digest}"
            raise RunError(
                f"{self._journal.path}: trial {trial.number}: found architecture {trial.digest}, the strategy "
                f"{proposed}; the run was searched with another version of senas or nni"
            )

    def _start(self, number: int, task: TrialTask, state: Mapping[str, Any] | None = None) -> Trial:
        self._journal.started(number, task, self._cost_of(task.architecture), state)
        self._next_number = max(self._next_number, number + 1)
        trial = self._running[number] = self._journal.trials[number]
        self._on_change(trial)
        return trial

    def _propose(self) -> TrialTask | None:
        """Return the strategy's next proposal; `None` if it has none now, or none at all once `end_reason` is set."""
        proposal = self._engine.ask()
        if not isinstance(proposal, str):
            return TrialTask(purpose="search", architecture=proposal, seed=trial_seed(self._seed, proposal.digest))
        if proposal == "never":
            self.end_reason = "exhausted" if self._engine.exhausted else "strategy"
        return None

    def _next_followup(self) -> TrialTask | None:
        """Return the next follow-up trial; `None` until the strategy's trials have ended, or if none is left."""
        if self.end_reason == "failures" or self._running_search_trials():
            return None
        return self._followup([*self._journal.trials.values()])

    def _running_search_trials(self) -> int:
        """Return the number of the strategy's trials that are running."""
        return sum(trial.purpose == "search" for trial in self._running.values())

    def _may_run(self, trial: Trial, reason: EndReason) -> bool:
        """Return whether a waiting trial may run again, given the reason why the strategy starts no more."""
        if trial.purpose != "search":
            return reason != "failures"
        left = self._ended + self._running_search_trials() < self._limits.trials
        return left and reason not in ("time", "failures") and not self._out_of_time

    def _limit_reached(self) -> EndReason:
        waiting = sum(trial.purpose == "search" for trial in self._waiting)
        if self._ended + self._running_search_trials() + waiting >= self._limits.trials:
            return "time" if waiting and self._out_of_time else "trials"
        if self._out_of_time:
            return "time"
        return "failures" if self._only_failures else ""

    @property
    def _out_of_time(self) -> bool:
        """Whether a trial started now would end too late, judged by the median duration of recent finished trials."""
        latest = [trial.seconds or 0.0 for trial in self._finished[-_RECENT_TRIALS:]]
        return time.monotonic() + (median(latest) if latest else 0.0) > self._deadline

    @property
    def _only_failures(self) -> bool:
        """Whether enough trials of this session have failed and none has succeeded."""
        return self._failed >= MAX_INITIAL_FAILURES and not self._succeeded

    @property
    def running(self) -> list[Trial]:
        """Trials that are running, by number."""
        return [self._journal.trials[number] for number in sorted(self._running)]

    def _end(self, number: int) -> None:
        trial = self._journal.trials[number]
        self._running.pop(number)
        folder = self.folder(trial)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if trial.accuracy is None:
            self._failed += 1
        else:
            self._succeeded += 1
        self._update_strategy(trial)
        self._on_change(trial)

    def _update_strategy(self, trial: Trial, *, restored: bool = False) -> None:
        """Give the strategy the outcome of a trial that has ended, except for baseline trials."""
        accuracy = extrapolated_accuracy(trial, self._finished)
        if trial.purpose == "search":
            self._ended += 1
            self._engine.tell(trial.digest, accuracy)
        if accuracy is not None and (trial.purpose == "replicate" or (trial.purpose == "search" and restored)):
            self._observe(trial.architecture, accuracy)
        if trial.status == "finished":
            self._finished.append(trial)
