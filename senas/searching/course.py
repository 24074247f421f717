"""The course of a search: which trial comes next, what becomes of it; every step is in the journal before it counts."""

import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from senas.architecture import Architecture
from senas.costs.budget import Cost
from senas.errors import RunError
from senas.searching.engine import ProposalEngine
from senas.searching.fidelity import promised_accuracy
from senas.searching.journal import Journal
from senas.searching.trial import RETRIED, Failure, Task, Trial, trial_seed

HOPELESS = 10  # this many failures and nothing else, and the search gives up
_LATEST = 50  # trials that tell how long one takes

EndReason = Literal["", "trials", "time", "strategy", "exhausted", "failures"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a search has had enough.

    Attributes:
        trials: ended trials of the strategy, failed ones included.
        concurrency: trials at a time.
        seconds: that are left for the strategy's trials, `None` for no limit.
        trial_seconds: for one attempt at a trial, `None` for no limit.
        retries: how many more attempts a trial has.
    """

    trials: int
    concurrency: int
    seconds: float | None = None
    trial_seconds: float | None = None
    retries: int = 0


class Course:
    """Decides what is trained next, and takes in how it went.

    A result is on disk before the strategy hears of it, and so before the next proposal.

    Args:
        engine: with its strategy started, or about to be where the strategy recalls the journal (see `replay`).
        journal: where events go.
        cost_of: the cost of an architecture.
        limits: when to stop.
        seed: of the search.
        extras: what else is trained once the strategy's trials have ended.
        observe: tells the strategy of an accuracy that it has not asked for, or in `replay` of one that it has.
        remember: what the strategy will need to go on from here, `None` where asking it again is enough.
        scratch: a folder for what trials keep for later attempts, `None` for none.
        on_change: called after every start and end of an attempt, with the trial.

    Attributes:
        end_reason: why the strategy starts no more trials: `trials` are all there, `time` is up, the `strategy` has no
            more to propose, is `exhausted` (what it proposes is infeasible or known), or nothing but `failures` came.
        over: whether `next` has found that nothing is running and nothing will.
    """

    def __init__(
        self,
        *,
        engine: ProposalEngine,
        journal: Journal,
        cost_of: Callable[[Architecture], Cost],
        limits: Limits,
        seed: int,
        extras: Callable[[Sequence[Trial]], Task | None],
        observe: Callable[[Architecture, float], None],
        remember: Callable[[], Mapping[str, Any] | None],
        scratch: Path | None,
        on_change: Callable[[Trial], None],
    ):
        self._engine = engine
        self._journal = journal
        self._cost_of = cost_of
        self._limits = limits
        self._seed = seed
        self._extras = extras
        self._observe = observe
        self._remember = remember
        self._scratch = scratch
        self._on_change = on_change
        self._running: dict[int, Trial] = {}
        self._again: deque[Trial] = deque()  # what was interrupted or is retried
        self._finished: list[Trial] = []
        self._next_number = 1
        self._ended = 0
        self._failed = self._succeeded = 0  # in this session
        self._deadline = float("inf") if limits.seconds is None else time.monotonic() + limits.seconds
        self.end_reason: EndReason = ""
        self.over = False

    def replay(self, *, recalled: bool = False) -> None:
        """Bring everything back to where the journal stands; what was running then runs again first.

        Args:
            recalled: the strategy has recalled what it proposed, and is told the results; otherwise it is asked and
                told everything again, in the same order.

        Raises:
            RunError: it proposes something else than it did, so another version of it must be at work.
        """
        running: dict[int, Trial] = {}
        for trial in self._journal.history():
            if trial.number not in running:
                if trial.purpose == "search" and not recalled:
                    self._ask_again(trial)
                running[trial.number] = trial
            else:
                del running[trial.number]
                self._tell(trial, recalled=recalled)
            self._next_number = max(self._next_number, trial.number + 1)
        for trial in running.values():
            if trial.purpose == "search" and recalled:
                self._ask_again(trial)
        self._again.extend(running.values())
        self._tidy_scratch()
        self.end_reason = self._limit_reached()

    @property
    def complete(self) -> bool:
        """Whether nothing is left to train."""
        waiting = any(self._may_run(trial, self.end_reason) for trial in self._again)
        return bool(self.end_reason) and not waiting and self._extras([*self._journal.trials.values()]) is None

    def next(self) -> Trial | None:
        """The next trial, its start journaled; `None` for not now or, where it is `over`, for never."""
        if len(self._running) >= self._limits.concurrency or (self._hopeless and self._running):
            return None
        if self.end_reason in ("", "trials"):  # of which the last may yet run out of time
            self.end_reason = self._limit_reached()
        again = next((trial for trial in self._again if self._may_run(trial, self.end_reason)), None)
        if again is not None:
            self._again.remove(again)
            task = Task(purpose=again.purpose, architecture=again.architecture, seed=again.seed)
            return self._start(again.number, task)
        task = None if self.end_reason else self._proposed()
        if task is not None:
            return self._start(self._next_number, task, self._remember())
        task = self._extra() if self.end_reason else None
        self.over = task is None and bool(self.end_reason) and not self._running
        return None if task is None else self._start(self._next_number, task)

    def report(self, number: int, epoch: int, accuracy: float) -> None:
        """A trial has an intermediate accuracy."""
        self._journal.reported(number, epoch, accuracy)

    def finish(self, number: int, accuracy: float, seconds: float) -> None:
        """A trial has finished."""
        self._journal.finished(number, accuracy, seconds)
        self._end(number)

    def stop(self, number: int, report: tuple[int, float] | None, seconds: float) -> None:
        """Early stopping has ended a trial after a last report of (epoch, accuracy), if any."""
        self._journal.stopped(number, report, seconds)
        self._end(number)

    def fail(self, number: int, failure: Failure, seconds: float) -> None:
        """An attempt has failed; the trial has another one, or it has failed for good."""
        if failure.reason in RETRIED and len(self._running[number].failures) < self._limits.retries:
            self._journal.retried(number, failure, seconds)
            del self._running[number]
            self._again.append(self._journal.trials[number])
            self._on_change(self._journal.trials[number])
        else:
            self._journal.failed(number, failure, seconds)
            self._end(number)

    def interrupt(self, number: int, seconds: float) -> None:
        """An attempt was ended for no fault of its own: a resumption runs it again."""
        self._journal.interrupted(number, seconds)
        trial = self._running.pop(number)
        self._again.append(trial)
        self._on_change(trial)

    def overdue(self, trial: Trial, seconds: float) -> Literal["", "trial", "search"]:
        """Whose time is over, where a trial has taken so long: its own, that of the whole search, or nobody's."""
        if self._limits.trial_seconds is not None and seconds > self._limits.trial_seconds:
            return "trial"
        return "search" if trial.purpose == "search" and time.monotonic() > self._deadline else ""

    def folder(self, trial: Trial) -> Path | None:
        """Where a trial keeps what spares a later attempt, if anywhere."""
        return None if self._scratch is None else self._scratch / str(trial.number)

    @property
    def trial_seconds(self) -> float | None:
        """The limit of one attempt."""
        return self._limits.trial_seconds

    def _tidy_scratch(self) -> None:
        """Remove what trials that have ended left, where a process was killed before it could."""
        kept = {self.folder(trial) for trial in self._again}
        if self._scratch is not None and self._scratch.is_dir():
            for folder in self._scratch.iterdir():
                if folder not in kept:
                    shutil.rmtree(folder, ignore_errors=True)

    def _ask_again(self, trial: Trial) -> None:
        proposal = self._engine.ask()
        found = proposal if isinstance(proposal, str) else proposal.digest
        if found != trial.digest:
            raise RunError(
                f"{self._journal.path}: trial {trial.number}: found architecture {trial.digest}, the strategy "
                f"proposes {found}; it was searched with another version of senas or nni"
            )

    def _start(self, number: int, task: Task, memory: Mapping[str, Any] | None = None) -> Trial:
        self._journal.started(number, task, self._cost_of(task.architecture), memory)
        self._next_number = max(self._next_number, number + 1)
        trial = self._running[number] = self._journal.trials[number]
        self._on_change(trial)
        return trial

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
        return self._extras([*self._journal.trials.values()])

    def _searching(self) -> int:
        """How many of the strategy's trials are running."""
        return sum(trial.purpose == "search" for trial in self._running.values())

    def _may_run(self, trial: Trial, reason: EndReason) -> bool:
        """Whether a trial that was interrupted may run again, where the strategy starts no more for some reason."""
        if trial.purpose != "search":
            return reason != "failures"
        left = self._ended + self._searching() < self._limits.trials
        return left and reason not in ("time", "failures") and not self._late

    def _limit_reached(self) -> EndReason:
        waiting = sum(trial.purpose == "search" for trial in self._again)
        if self._ended + self._searching() + waiting >= self._limits.trials:
            return "time" if waiting and self._late else "trials"
        if self._late:
            return "time"
        return "failures" if self._hopeless else ""

    @property
    def _late(self) -> bool:
        """Whether a trial would not end in time, going by how long the latest that finished took."""
        latest = [trial.seconds or 0.0 for trial in self._finished[-_LATEST:]]
        return time.monotonic() + (median(latest) if latest else 0.0) > self._deadline

    @property
    def _hopeless(self) -> bool:
        """Whether nothing but failures came, since the search was begun or gone on with."""
        return self._failed >= HOPELESS and not self._succeeded

    @property
    def running(self) -> int:
        """How many attempts are under way."""
        return len(self._running)

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
        self._tell(trial)
        self._on_change(trial)

    def _tell(self, trial: Trial, *, recalled: bool = False) -> None:
        """Let the strategy know how a trial has ended; the baseline it is held against is none of its business."""
        accuracy = promised_accuracy(trial, self._finished)
        if trial.purpose == "search":
            self._ended += 1
            self._engine.tell(trial.digest, accuracy)
        if accuracy is not None and (trial.purpose == "replicate" or (trial.purpose == "search" and recalled)):
            self._observe(trial.architecture, accuracy)
        if trial.status == "finished":
            self._finished.append(trial)
