"""Ray Tune searcher and callback that forward requests and events to the controller of a search."""

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
from senas.execution.controller import Controller
from senas.runs import Failure, Reason, Trial, senas_source_digest

# anchored at the start of a line, so that no indented source line of a traceback matches
_OUT_OF_MEMORY = re.compile(r"^([\w.]+\.)?(OutOfMemoryError|MemoryError)\b", re.MULTILINE)


@dataclass(kw_only=True, slots=True)
class _Attempt:
    """An attempt that Ray is running.

    Attributes:
        trial: Trial of the attempt.
        start: Time at which a worker started it; `None` while it waits for one.
        exceeded: Time limit that the attempt exceeded, for which its worker is killed; empty if none.
    """

    trial: Trial
    start: float | None = None
    exceeded: Literal["", "trial", "search"] = ""

    @property
    def seconds(self) -> float:
        """Time since the start, in seconds."""
        return 0.0 if self.start is None else time.monotonic() - self.start


class StrategySearcher(Searcher):
    """Searcher that Ray Tune asks for trials and informs of their results.

    Args:
        controller: Controller of the search.

    Attributes:
        started: Number of attempts that have been started.
        broken: Exception that was raised while a request or an event was handled, if any. Ray Tune takes some
            exceptions for failures of a trial and loses others, so every further request raises it again.
    """

    def __init__(self, controller: Controller):
        super().__init__()
        self._controller = controller
        self._attempts: dict[str, _Attempt] = {}
        self.started = 0
        self.broken: BaseException | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return an empty state: Ray pickles searchers to restore them, but a run is restored from its journal."""
        return {}

    def set_max_concurrency(self, max_concurrent: int) -> bool:  # noqa: ARG002  # the controller has its own limit
        """Return True, by which Ray learns that this searcher limits the concurrency itself."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """Return the configuration of the next trial; `None` if there is none now, `FINISHED` if there are no more."""
        if self.broken is not None:
            raise self.broken
        with self._guarded():
            trial = self._controller.next()
            if trial is None:
                return Searcher.FINISHED if self._controller.over else None
            self._attempts[trial_id] = _Attempt(trial=trial)
            self.started += 1
            folder = self._controller.folder(trial)
            return {
                "number": trial.number,
                "architecture": trial.architecture.to_json(),
                "seed": trial.seed,
                "purpose": trial.purpose,
                "folder": None if folder is None else str(folder),
                "source": senas_source_digest(),
            }

    def on_trial_start(self, trial_id: str) -> None:
        """Record when a worker has started an attempt."""
        if trial_id in self._attempts:
            self._attempts[trial_id].start = time.monotonic()

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Pass an intermediate accuracy on to the controller."""
        if "epoch" in result and trial_id in self._attempts:
            with self._guarded():
                self._controller.report(self._attempts[trial_id].trial.number, result["epoch"], result["accuracy"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Handle the end of an attempt, except the loss of its worker, which `on_worker_error` handles."""
        if error or self.broken is not None or trial_id not in self._attempts:
            return
        outcome = result or {}
        with self._guarded():
            if "refused" in outcome:  # not a failure of the trial: others would be refused on that node as well
                raise SearchFailedError(
                    f"{outcome['refused']}; install the same senas on every node, then senas resume"
                )
            attempt = self._attempts.pop(trial_id)
            number, seconds = attempt.trial.number, attempt.seconds
            if "final" in outcome:
                self._controller.finish(number, outcome["final"], seconds)
            elif "failure" in outcome:
                self._controller.fail(number, Failure(reason=outcome["reason"], text=outcome["failure"]), seconds)
            else:  # the report that early stopping acted on is passed on only here
                report = (outcome["epoch"], outcome["accuracy"]) if "epoch" in outcome else None
                self._controller.stop(number, report, seconds)

    def on_worker_error(self, trial_id: str, reason: Reason, text: str) -> None:
        """Handle the end of an attempt whose worker was lost, could not start, or was killed at a time limit."""
        if self.broken is not None or trial_id not in self._attempts:
            return
        with self._guarded():
            attempt = self._attempts.pop(trial_id)
            number, seconds = attempt.trial.number, attempt.seconds
            if attempt.exceeded == "search":
                self._controller.interrupt(number, seconds)
            elif attempt.exceeded == "trial":
                text = f"it took longer than the {self._controller.trial_seconds:g} s that a trial may take"
                self._controller.fail(number, Failure(reason="time", text=text), seconds)
            else:
                self._controller.fail(number, Failure(reason=reason, text=text), seconds)

    def overdue(self, trial_id: str) -> bool:
        """Return whether the worker of an attempt must be killed now because a time limit is exceeded."""
        attempt = self._attempts.get(trial_id)
        if attempt is None or attempt.exceeded:
            return False
        attempt.exceeded = self._controller.overdue(attempt.trial, attempt.seconds)
        return bool(attempt.exceeded)

    def release(self) -> None:
        """Interrupt all attempts that have not ended, to be run again; called when Ray runs none any more."""
        while self._attempts:
            _, attempt = self._attempts.popitem()
            self._controller.interrupt(attempt.trial.number, attempt.seconds)

    @property
    def over(self) -> bool:
        """Whether nothing is running and nothing more will run."""
        return self._controller.over

    @property
    def stalled(self) -> bool:
        """Whether continuing is useless: an exception was raised, or time is up and all open attempts lack a worker."""
        attempts = self._attempts.values()
        waiting = all(each.start is None and self._controller.overdue(each.trial, 0.0) for each in attempts)
        return self.broken is not None or (bool(attempts) and waiting)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the journal has everything."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the journal has everything."""

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Keep the first exception raised in the context as `broken`."""
        try:
            yield
        except BaseException as error:
            self.broken = self.broken or error
            raise


class RayEvents(Callback):
    """Callback that passes on the events that Ray Tune does not report to searchers."""

    def __init__(self, searcher: StrategySearcher):
        self._searcher = searcher
        self._started: dict[str, RayTrial] = {}

    def on_step_begin(self, iteration: int, trials: list[RayTrial], **info: Any) -> None:  # noqa: ARG002
        """Kill the workers of attempts that exceed a time limit; they may hang, so nothing else would end them."""
        for name, trial in self._started.items():
            actor = trial.temporary_state.ray_actor
            if actor is not None and self._searcher.overdue(name):
                ray.kill(actor)

    def on_trial_start(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:  # noqa: ARG002
        """Pass on that a worker has started an attempt."""
        self._started[trial.trial_id] = trial
        self._searcher.on_trial_start(trial.trial_id)

    def on_trial_complete(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:  # noqa: ARG002
        """Forget an attempt that has ended; Ray calls this after `Searcher.on_trial_complete`."""
        self._started.pop(trial.trial_id, None)

    def on_trial_error(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:  # noqa: ARG002
        """Pass on that a worker failed; Ray calls this after `Searcher.on_trial_complete(error=True)`."""
        self._started.pop(trial.trial_id, None)
        path = Path(trial.error_file) if trial.error_file else None
        text = path.read_text(encoding="utf-8").strip() if path is not None and path.exists() else ""
        reason: Reason = "memory" if _OUT_OF_MEMORY.search(text) else "lost"
        self._searcher.on_worker_error(trial.trial_id, reason, text or "the worker was lost; Ray gave no reason")
