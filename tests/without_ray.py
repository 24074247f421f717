"""Searches driven as Ray Tune drives them, but without Ray: fast, and stopped as if killed wherever a test wants."""

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import run_record

from senas.architecture import Architecture
from senas.costs.budget import cost_of
from senas.searching.bridge import StrategySearcher
from senas.searching.course import Limits
from senas.searching.journal import Journal
from senas.searching.loop import course_of
from senas.searching.trial import Task, Trial
from senas.spaces.space import SearchSpace

from nni.nas.strategy import Strategy  # isort: skip  # after nni_space has chosen NNI's framework

Train = Callable[[Architecture, int], list[dict[str, Any]]]


def session(
    space: SearchSpace,
    strategy: Strategy,
    path: Path,
    train: Train,
    *,
    trials: int,
    concurrency: int,
    until: int,
    retries: int = 0,
    extras: Callable[[Sequence[Trial]], Task | None] = lambda _: None,
) -> list[Trial]:
    """Search, or go on with a search, until so many trials have ended; then stop as a killed process does.

    The trial that has run longest ends first. `train` gives what a worker would report, the end of the trial last;
    `lost` stands for a worker that was.
    """
    journal = Journal(path, write=True) if path.exists() else Journal.create(path, run_record(space))
    live: deque[tuple[str, dict[str, Any]]] = deque()
    with (
        closing(journal),
        course_of(
            strategy,
            space,
            journal,
            feasible=lambda _: True,
            patience=3000,
            cost_of=lambda arch: cost_of(arch, None),
            limits=Limits(trials=trials, concurrency=concurrency, retries=retries),
            seed=0,
            extras=extras,
        ) as course,
    ):
        searcher = StrategySearcher(course)
        for name in map(str, itertools.count()):
            config = searcher.suggest(name)
            if isinstance(config, dict):
                searcher.on_trial_start(name)
                live.append((name, config))
                continue
            if not live:
                assert config == "FINISHED"
                break
            trial_id, config = live.popleft()
            *reports, end = train(Architecture.from_json(config["architecture"]), config["seed"])
            for report in reports:
                searcher.on_trial_result(trial_id, report)
            if "lost" in end:
                searcher.on_worker_error(trial_id, "lost", end["lost"])
            else:
                searcher.on_trial_complete(trial_id, end)
            if sum(trial.status != "running" for trial in journal.trials.values()) == until:
                break
        return [replace(trial, seconds=None) for trial in journal.trials.values()]
