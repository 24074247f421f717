"""The published contract, held by every strategy of senas."""

import pytest

from senas.strategies.table import STRATEGIES, make_strategy
from senas.testing import StrategyTestCase


@pytest.mark.parametrize("name", STRATEGIES)
class TestEveryStrategy(StrategyTestCase):
    @pytest.fixture(autouse=True)
    def _named(self, name):
        self.name = name
        self.least_found = 6 if name == "grid" else 3

    def make_strategy(self, problem, *, seed, trials, concurrency):
        return make_strategy(self.name, problem, seed=seed, trials=trials, concurrency=concurrency)
