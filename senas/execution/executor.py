"""Type of the functions that run the trials of a search; the default one uses Ray Tune, locally or on a cluster."""

from collections.abc import Callable

from ray.tune.schedulers import TrialScheduler

from senas.execution.ray_searcher import StrategySearcher
from senas.runs import SearchOptions
from senas.training import Evaluate

TrialExecutor = Callable[[StrategySearcher, Evaluate, SearchOptions, TrialScheduler | None], None]
"""Function that asks a searcher for trials until it is over, runs them, and passes their reports on to it.

Its arguments are the searcher, the evaluate function, the options of the search, and a scheduler that may end trials
early. `senas.testing.run_in_process` is the simplest one.
"""
