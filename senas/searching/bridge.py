"""The Ray side of the bridge: Ray Tune's questions and events, handed on to the course of a search."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial as RayTrial
from ray.tune.search import Searcher

from senas.errors import SearchFailedError
from senas.searching.course import Course
from senas.searching.identity import source_of_this
from senas.searching.trial import Failure, Reason, Trial

_OUT_OF_MEMORY = re.compile(r"^([\w.]+\.)?(OutOfMemoryError|MemoryError)\b", re.MULTILINE)  # not a line of source code


@dataclass(kw_only=True, slots=True)
class _Live:
    """An attempt that Ray is running.

    Attributes:
        trial: that is attempted.
        began: when its worker took it up, `None` while it waits for one.
        over: whose time is over, where its worker is killed for that.
    """

    trial: Trial
    began: float | None = None
    over: Literal["", "trial", "search"] = ""

    @property
    def seconds(self) -> float:
        return 0.0 if self.began is None else time.monotonic() - self.began


class StrategySearcher(Searcher):
    """What Ray Tune asks for trials and tells of their results.

    Args:
        course: decides.

    Attributes:
        started: how many attempts were.
        broken: what was raised while a question or an event was dealt with. Ray Tune takes some errors for failures of
            a trial and loses others, so every further question raises it again.
    """

    def __init__(self, course: Course):
        super().__init__()
        self._course = course
        self._live: dict[str, _Live] = {}
        self.started = 0
        self.broken: BaseException | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Ray pickles searchers to restore them; a run restores from its journal, so there is nothing to keep."""
        return {}

    def set_max_concurrency(self, max_concurrent: int) -> bool:  # noqa: ARG002  # the course knows already
        """Tell Ray that this searcher keeps to the concurrency itself."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """The configuration of the next trial; `None` for not now, `FINISHED` for no more."""
        if self.broken is not None:
            raise self.broken
        with self._guarded():
            trial = self._course.next()
            if trial is None:
                return Searcher.FINISHED if self._course.over else None
            self._live[trial_id] = _Live(trial=trial)
            self.started += 1
            folder = self._course.folder(trial)
            return {
                "number": trial.number,
                "architecture": trial.architecture.to_json(),
                "seed": trial.seed,
                "purpose": trial.purpose,
                "folder": None if folder is None else str(folder),
                "source": source_of_this(),
            }

    def on_trial_start(self, trial_id: str) -> None:
        """A worker has taken a trial up."""
        if trial_id in self._live:
            self._live[trial_id].began = time.monotonic()

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """An intermediate accuracy."""
        if "epoch" in result and trial_id in self._live:
            with self._guarded():
                self._course.report(self._live[trial_id].trial.number, result["epoch"], result["accuracy"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The end of a trial, unless its worker was lost: `on_worker_error` knows more then."""
        if error or self.broken is not None or trial_id not in self._live:
            return
        outcome = result or {}
        with self._guarded():
            if "refused" in outcome:  # no fault of the trial: it would only go on to waste others there
                raise SearchFailedError(
                    f"{outcome['refused']}; install the same senas on every node, then senas resume"
                )
            live = self._live.pop(trial_id)
            number, seconds = live.trial.number, live.seconds
            if "final" in outcome:
                self._course.finish(number, outcome["final"], seconds)
            elif "failure" in outcome:
                self._course.fail(number, Failure(reason=outcome["reason"], text=outcome["failure"]), seconds)
            else:  # the report that early stopping acted on comes only here
                report = (outcome["epoch"], outcome["accuracy"]) if "epoch" in outcome else None
                self._course.stop(number, report, seconds)

    def on_worker_error(self, trial_id: str, reason: Reason, text: str) -> None:
        """The end of an attempt whose worker was lost, could not start, or was killed because its time was over."""
        if self.broken is not None or trial_id not in self._live:
            return
        with self._guarded():
            live = self._live.pop(trial_id)
            number, seconds = live.trial.number, live.seconds
            if live.over == "search":
                self._course.interrupt(number, seconds)
            elif live.over == "trial":
                limit = f"it took longer than the {self._course.trial_seconds:g} s that a trial may take"
                self._course.fail(number, Failure(reason="time", text=limit), seconds)
            else:
                self._course.fail(number, Failure(reason=reason, text=text), seconds)

    def overdue(self, trial_id: str) -> bool:
        """Whether the worker of a trial has to be killed now."""
        live = self._live.get(trial_id)
        if live is None or live.over:
            return False
        live.over = self._course.overdue(live.trial, live.seconds)
        return bool(live.over)

    def release(self) -> None:
        """Ray runs nothing any more: what has not ended is to run again."""
        while self._live:
            _, live = self._live.popitem()
            self._course.interrupt(live.trial.number, live.seconds)

    @property
    def over(self) -> bool:
        """Whether nothing is running and nothing will."""
        return self._course.over

    @property
    def stalled(self) -> bool:
        """Whether going on is of no use: something is broken, or time is over and what is left waits for a worker."""
        waiting = all(live.began is None and self._course.overdue(live.trial, 0.0) for live in self._live.values())
        return self.broken is not None or (bool(self._live) and waiting)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the journal has it."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: the journal has it."""

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.broken = self.broken or error
            raise


class RayEvents(Callback):
    """What Ray Tune tells its callbacks, but not its searchers."""

    def __init__(self, searcher: StrategySearcher):
        self._searcher = searcher
        self._started: dict[str, RayTrial] = {}

    def on_step_begin(self, iteration: int, trials: list[RayTrial], **info: Any) -> None:  # noqa: ARG002
        """Kill the workers whose time is over: they may hang, so that nothing else would end them."""
        for name, trial in self._started.items():
            actor = trial.temporary_state.ray_actor
            if actor is not None and self._searcher.overdue(name):
                ray.kill(actor)

    def on_trial_start(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:  # noqa: ARG002
        """A worker has taken a trial up."""
        self._started[trial.trial_id] = trial
        self._searcher.on_trial_start(trial.trial_id)

    def on_trial_complete(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:  # noqa: ARG002
        """Called by Ray after `Searcher.on_trial_complete`."""
        self._started.pop(trial.trial_id, None)

    def on_trial_error(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:  # noqa: ARG002
        """Called by Ray after `Searcher.on_trial_complete(error=True)`."""
        self._started.pop(trial.trial_id, None)
        path = Path(trial.error_file) if trial.error_file else None
        text = path.read_text(encoding="utf-8").strip() if path is not None and path.exists() else ""
        reason: Reason = "memory" if _OUT_OF_MEMORY.search(text) else "lost"
        self._searcher.on_worker_error(trial.trial_id, reason, text or "the worker was lost, Ray does not say why")
