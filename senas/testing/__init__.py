"""Test case of a strategy's contract, an executor that runs trials in this process, and a small space for tests.

A strategy passes the contract if a test class that inherits from `StrategyTestCase` passes under pytest:

    class TestMyStrategy(StrategyTestCase):
        def make_strategy(self, problem, *, seed, trials, concurrency):
            return MyStrategy(problem, seed=seed)
"""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.testing.in_process import run_in_process as run_in_process
    from senas.testing.sessions import explore as explore
    from senas.testing.sessions import replay_session as replay_session
    from senas.testing.sessions import sample_outcomes as sample_outcomes
    from senas.testing.small_space import SMALL_SPACE as SMALL_SPACE
    from senas.testing.small_space import digest_accuracy as digest_accuracy
    from senas.testing.small_space import make_small_space as make_small_space
    from senas.testing.strategy_case import StrategyTestCase as StrategyTestCase
    from senas.testing.strategy_case import small_problem as small_problem

export_lazily(globals())
