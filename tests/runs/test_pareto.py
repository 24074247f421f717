"""Front, hypervolume and knee against brute force; seeds of trials."""

import numpy as np
import pytest

from senas.architecture.references.catalogue import reference
from senas.costs.budget import Cost
from senas.runs.pareto import hypervolume, knee, pareto_front
from senas.runs.trial import Status, Trial, trial_seed


def trial(number: int, accuracy: float | None, flops: int, status: Status = "finished") -> Trial:
    return Trial(
        number=number,
        architecture=reference("resnet20", classes=number + 1),
        seed=0,
        cost=Cost(flops=flops, params=1),
        status=status,
        accuracy=accuracy,
    )


def test_the_front_agrees_with_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(30):
        points = [(int(tenths), int(cost)) for tenths, cost in rng.integers(1, 10, (25, 2))]
        trials = [trial(number, tenths / 10, cost) for number, (tenths, cost) in enumerate(points, 1)]
        best = {p for p in points if not any(q != p and q[0] >= p[0] and q[1] <= p[1] for q in points)}
        front = pareto_front(trials, "flops")
        assert {(round(10 * (t.accuracy or 0)), t.cost.flops) for t in front} == best
        assert len(front) == len(best)
        assert [t.accuracy for t in front] == sorted((t.accuracy or 0 for t in front), reverse=True)
        # The dominated cells of the 10 x 10 grid whose corner is accuracy 0, cost 10.
        dominated = sum(
            any(a >= row and c <= column for a, c in points) for row in range(1, 11) for column in range(10)
        )
        assert hypervolume(trials, "flops", 10) == pytest.approx(dominated / 100)


def test_only_finished_trials_make_the_front():
    trials = [trial(1, 0.5, 10), trial(2, 0.9, 5, "stopped"), trial(3, None, 1, "failed"), trial(4, None, 1, "running")]
    assert [t.number for t in pareto_front(trials, "flops")] == [1]
    assert pareto_front([], "flops") == []
    assert hypervolume([], "flops", 1) == 0


def test_the_knee_is_where_the_front_bends():
    front = [trial(1, 0.95, 100), trial(2, 0.94, 20), trial(3, 0.5, 10)]
    assert knee(front, "flops").number == 2
    assert knee(front[:1], "flops").number == 1


def test_trial_seeds_depend_on_search_and_architecture():
    assert trial_seed(0, "a") == trial_seed(0, "a") != trial_seed(1, "a")
    assert trial_seed(0, "a") != trial_seed(0, "b")
