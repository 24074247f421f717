"""Executor that runs the trials of a search in this process."""

from collections import deque
from types import SimpleNamespace
from typing import Any

from senas.architecture import Architecture
from senas.execution import StrategySearcher, evaluate_trial
from senas.runs import SearchOptions
from senas.training import Evaluate


def run_in_process(
    searcher: StrategySearcher, evaluate: Evaluate, options: SearchOptions, scheduler: Any | None
) -> None:
    """Run trials in this process, one after the other: an executor for `senas.search(..., execute=run_in_process)`.

    Concurrent trials end in the order in which they started. Nothing limits the time of a trial. An interrupt
    within the evaluate function ends the search.
    """
    live: deque[tuple[str, dict[str, Any]]] = deque()
    while not searcher.over:
        name = str(searcher.started)
        config = searcher.suggest(name) if len(live) < options.concurrency else None
        if isinstance(config, dict):
            live.append((name, config))
            searcher.on_trial_start(name)
            continue
        if not live:
            continue
        name, config = live.popleft()
        ray_trial: Any = SimpleNamespace(config=config)
        if scheduler is not None:
            scheduler.on_trial_add(None, ray_trial)
        outcome = _run_trial(searcher, name, config, ray_trial, evaluate, scheduler)
        if outcome is not None:
            searcher.on_trial_complete(name, outcome)
        if scheduler is not None:
            scheduler.on_trial_complete(None, ray_trial, outcome or {})


class _StoppedError(Exception):
    """Error that ends a trial which early stopping has stopped."""

    def __init__(self, report: dict[str, Any]):
        super().__init__()
        self.report = report


def _run_trial(
    searcher: StrategySearcher,
    name: str,
    config: dict[str, Any],
    ray_trial: Any,
    evaluate: Evaluate,
    scheduler: Any | None,
) -> dict[str, Any] | None:
    """Return the outcome of a trial; `None` if the searcher has been told that the worker was lost."""

    def send(report: dict[str, Any]) -> None:
        if scheduler is not None and scheduler.on_trial_result(None, ray_trial, report) == "STOP":
            raise _StoppedError(report)
        searcher.on_trial_result(name, report)

    interrupts: list[KeyboardInterrupt] = []

    def interruptible(arch: Architecture, seed: int, report: Any) -> float:
        try:
            return evaluate(arch, seed, report)
        except KeyboardInterrupt as interrupt:  # of this process, where a worker's would be a failure of the trial
            interrupts.append(interrupt)
            raise

    try:
        outcome = evaluate_trial(config, lambda: interruptible, send)
        if interrupts:
            raise interrupts[0]
        return outcome
    except _StoppedError as stopped:
        return stopped.report
    except Exception as error:  # after which a worker would be replaced
        searcher.on_worker_error(name, "memory", f"{type(error).__name__}: {error}")
        return None
