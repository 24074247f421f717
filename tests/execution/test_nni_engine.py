"""The bridge between NNI and a search: strategies against the engine, and what the searcher does with errors."""

from contextlib import closing

import numpy as np
import pytest
from conftest import run_record

from senas.costs.feasibility import cost_of
from senas.errors import SearchFailedError, SenasError
from senas.execution.controller import SearchLimits
from senas.execution.nni_engine import ProposalEngine
from senas.execution.ray_searcher import StrategySearcher
from senas.execution.trial_runner import open_controller
from senas.runs.journal import Journal
from senas.spaces.toml_file import load_space
from senas.strategies.nni_space import NNISpace
from senas.strategies.table import make_strategy
from senas.testing import explore, replay_session, sample_outcomes, small_problem

problem = small_problem()  # of a space with the same choices as `tiny`


def session(space, strategy, path, *, until):
    made = make_strategy(strategy, problem, seed=0, trials=50, concurrency=1)
    return replay_session(space, made, path, sample_outcomes, trials=50, concurrency=1, until=until, retries=1)


def test_an_interrupt_that_ray_lost_is_raised_again(tiny, tmp_path):
    made = make_strategy("random", problem, seed=0, trials=5, concurrency=1)
    with (
        closing(Journal.create(tmp_path / "j.sqlite", run_record(tiny))) as journal,
        open_controller(
            made,
            tiny,
            journal,
            feasible=lambda _: True,
            cost_of=lambda arch: cost_of(arch, None),
            limits=SearchLimits(trials=5, concurrency=1),
            seed=0,
        ) as controller,
    ):
        searcher = StrategySearcher(controller)
        searcher.broken = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            searcher.suggest("a")
        assert searcher.stalled
        assert not journal.trials


def test_a_journal_of_another_strategy_is_not_gone_on_with(tiny, tmp_path):
    session(tiny, "random", tmp_path / "j.sqlite", until=5)
    with pytest.raises(SenasError, match=r"trial 1: found architecture \w{16}, the strategy proposes \w{16}"):
        session(tiny, "grid", tmp_path / "j.sqlite", until=6)


@pytest.mark.slow  # draws a thousand architectures of large spaces
def test_max_params_pushes_the_search_to_networks_without_se_in_the_final_stage():
    for name in ("se-resnet-digits", "se-resnet-cifar", "se-resnet-imagenet"):
        space = load_space(name)
        drawn = [space.random(np.random.default_rng(seed)) for seed in range(300)]
        bound = float(np.percentile([cost_of(arch, None).params for arch in drawn], 5))
        proposed = explore(
            make_strategy("random", problem, seed=0, trials=60, concurrency=1),
            space,
            60,
            feasible=lambda arch, b=bound: cost_of(arch, None).params <= b,
        ).proposed

        def share_without(archs, last=space.stages[-1].number):
            return np.mean([all(cell.se is None for cell in arch.stage(last)) for arch in archs])

        assert share_without(proposed) > 1.5 * share_without(drawn)


def test_an_unknown_strategy_is_refused(tiny):
    with pytest.raises(SenasError, match="strategy: found 'randon', did you mean 'random'"):
        make_strategy("randon", problem, seed=0, trials=1, concurrency=1)


def test_a_strategy_that_fails_is_heard_of(tiny):
    class Broken(type(make_strategy("random", problem, seed=0, trials=1, concurrency=1))):
        def _run(self):
            raise ZeroDivisionError("broken")

    engine = ProposalEngine(lambda _: True)
    engine.start(Broken(), NNISpace(tiny))
    with pytest.raises(SearchFailedError, match="the strategy failed: ZeroDivisionError"):
        engine.ask()
    engine.close()
