"""Trials of one architecture as one, the front by their means, and seeds."""

import pytest

import senas
from senas.costs.budget import Cost
from senas.runs.pareto import pareto_front
from senas.runs.trial import Purpose, Status, Trial, averaged, trial_seed


class TestAveraged:
    def trial(
        self, number, accuracy, seed, flops=10, classes=10, status: Status = "finished", purpose: Purpose = "search"
    ) -> Trial:
        return Trial(
            number=number,
            architecture=senas.reference("resnet20", classes=classes),
            seed=seed,
            cost=Cost(flops=flops, params=1),
            status=status,
            accuracy=accuracy,
            purpose=purpose,
        )

    def test_trainings_of_one_architecture_are_one_by_their_mean(self):
        trials = [
            self.trial(1, 0.8, seed=1),
            self.trial(2, 0.7, seed=1, classes=11),
            self.trial(3, 0.9, seed=2, purpose="replicate"),
            self.trial(4, 0.8, seed=1, purpose="baseline"),  # the first training again: nothing new
            self.trial(5, 0.1, seed=3, status="stopped"),
            self.trial(6, None, seed=4, status="failed"),
        ]
        assert [(t.number, t.accuracy, t.trainings) for t in averaged(trials)] == [
            (1, pytest.approx(0.85), 2),
            (2, 0.7, 1),
        ]

    def test_the_front_is_by_means(self):
        lucky = [self.trial(1, 0.9, seed=1), self.trial(2, 0.8, seed=1, flops=5, classes=11)]
        assert [t.number for t in pareto_front(lucky, "flops")] == [1, 2]
        assert [t.number for t in pareto_front([*lucky, self.trial(3, 0.5, seed=2)], "flops")] == [2]

    def test_every_replicate_has_a_seed_of_its_own(self):
        assert len({trial_seed(0, "a", replicate) for replicate in range(50)}) == 50
        assert trial_seed(0, "a") == trial_seed(0, "a", replicate=0)
