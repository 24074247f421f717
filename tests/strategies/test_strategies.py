"""Our own strategies without an engine: acquisition, surrogate, candidates, and what they make of a known formula."""

import itertools
import json
from dataclasses import replace

import moocore
import numpy as np
import pytest

from senas.analysis.posterior import AccuracyPosterior
from senas.costs.budget import Budget
from senas.spaces.toml_file import load_space, shipped_spaces
from senas.strategies.acquisition import expected_hypervolume_improvement
from senas.strategies.candidates import crossed, every_row, key, mutated, new_rows, random_rows
from senas.strategies.ehvi import ExpectedHypervolumeImprovement, _SpaceRows
from senas.strategies.encoding import Encoding
from senas.strategies.pareto_evolution import ParetoEvolution, crowding_distance, ranked
from senas.strategies.problem import Problem
from senas.strategies.space_problem import make_problem
from senas.strategies.surrogate import Surrogate, unwarped, warped

OURS = [ExpectedHypervolumeImprovement, ParetoEvolution]


def additive(choices=6, options=3) -> Problem:
    """A space of 729 rows: option k of any choice costs k."""
    return Problem(
        labels=tuple(f"choice{number}" for number in range(choices)),
        options=(tuple(range(options)),) * choices,
        costs=lambda rows: rows.sum(axis=1, keepdims=True).astype(float),
        feasible=lambda rows: np.ones(len(rows), dtype=bool),
        worst_cost=float(choices * (options - 1)),
    )


def accuracy_of(rows) -> np.ndarray:
    """Earlier choices matter more, and two of them work together: in [0.5, 0.95]."""
    weights = 0.5 ** np.arange(rows.shape[1])
    return 0.5 + 0.2 * (rows @ weights) / weights.sum() + 0.05 * ((rows[:, 0] == 2) & (rows[:, 3] == 0))


def front_share(problem, rows) -> float:
    """The hypervolume of rows over that of the whole space, reference point at accuracy 0.7 and the worst cost."""

    def volume(rows):
        points = np.column_stack([1 - accuracy_of(rows), problem.costs(rows)[:, 0]])
        return moocore.hypervolume(points, ref=(0.3, problem.worst_cost))

    whole = every_row(problem)
    assert whole is not None
    return volume(rows) / volume(whole)


def searched(strategy, evaluations, evaluate=accuracy_of) -> np.ndarray:
    for _ in range(evaluations):
        row = strategy.propose()
        assert row is not None
        assert key(row) not in strategy.known
        strategy.observe(row, float(evaluate(row[None])[0]))
    return strategy.rows


class TestExpectedHypervolumeImprovement:
    def test_by_hand(self):
        # Front (0.8, cost 2), reference (0.5, 4): a sure (0.9, cost 1) adds 0.4 * 1 up to cost 2, then 0.1 * 2.
        gain = expected_hypervolume_improvement(
            np.array([0.9]), np.array([1e-9]), np.array([1.0]), (np.array([0.8]), np.array([2.0])), (0.5, 4.0)
        )
        assert gain[0] == pytest.approx(0.6)

    def test_it_is_what_draws_say(self):
        rng = np.random.default_rng(0)
        accuracy, cost, reference = rng.uniform(0.4, 0.9, 12), rng.uniform(0, 1.2, 12), (0.5, 1.0)
        mean, deviation, at = 0.75, 0.1, 0.4

        def volume(points):
            return moocore.hypervolume(np.array(points), ref=(-reference[0], reference[1]))

        front = [(-a, c) for a, c in zip(accuracy, cost, strict=True)]
        draws = [volume([*front, (-drawn, at)]) - volume(front) for drawn in rng.normal(mean, deviation, 20_000)]
        gain = expected_hypervolume_improvement(
            np.array([mean]), np.array([deviation]), np.array([at]), (accuracy, cost), reference
        )
        error = np.std(draws) / np.sqrt(len(draws))
        assert gain[0] == pytest.approx(np.mean(draws), abs=4 * error)

    def test_beyond_the_reference_cost_nothing_is_gained(self):
        nothing = np.array([]), np.array([])
        assert expected_hypervolume_improvement(np.ones(1), np.ones(1), np.ones(1), nothing, (0.0, 1.0)) == [0.0]


class TestSurrogate:
    def fitted(self, count, noise=0.0, seed=0):
        problem, rng = additive(), np.random.default_rng(seed)
        whole = every_row(problem)
        assert whole is not None
        encoding = Encoding(problem, whole)
        surrogate = Surrogate(encoding.choice_of_column)
        picked = rng.permutation(len(whole))
        seen, rest = whole[picked[:count]], whole[picked[count:]]
        target = accuracy_of(seen) + noise * rng.standard_normal(count)
        surrogate.fit(encoding(seen), target, iterations=40)
        return surrogate, encoding, seen, rest, target

    def test_its_gradient_is_that_of_finite_differences(self):
        surrogate, encoding, seen, _, target = self.fitted(40)
        at = surrogate.hyper + np.random.default_rng(1).normal(0, 0.3, len(surrogate.hyper))
        standard = (target - target.mean()) / target.std()

        def loss(hyper):
            return surrogate._loss(hyper, encoding(seen), standard)

        steps = 1e-5 * np.eye(len(at))
        numeric = [(loss(at + step)[0] - loss(at - step)[0]) / 2e-5 for step in steps]
        assert loss(at)[1] == pytest.approx(numeric, abs=1e-4)

    def test_it_learns_a_formula(self):
        surrogate, encoding, _, rest, _ = self.fitted(60)
        mean, deviation = surrogate.predict(encoding(rest))
        error = mean - accuracy_of(rest)
        assert np.sqrt(np.mean(error**2)) < 0.15 * accuracy_of(rest).std()
        assert np.mean(np.abs(error) < 3 * deviation) > 0.9

    def test_it_tells_noise_from_signal(self):
        surrogate, *_ = self.fitted(200, noise=0.03)
        assert 0.02 < surrogate.noise_deviation < 0.045

    def test_joint_and_single_predictions_agree(self):
        surrogate, encoding, _, rest, _ = self.fitted(30)
        mean, deviation = surrogate.predict(encoding(rest[:9]))
        joint_mean, covariance = surrogate.joint(encoding(rest[:9]))
        assert joint_mean == pytest.approx(mean)
        assert np.sqrt(np.diag(covariance)) == pytest.approx(deviation, rel=1e-4)

    def test_the_upper_half_is_left_as_it_is_and_the_rest_comes_back(self):
        seen = np.array([0.1, 0.5, 0.8, 0.9, 0.91, 0.92, 0.93])  # median 0.9
        bent = warped(seen)
        assert (bent[3:] == seen[3:]).all()
        assert (np.diff(bent) > 0).all()
        assert bent[0] > 0.75
        assert unwarped(bent, seen) == pytest.approx(seen)


class TestCandidates:
    def test_canonical_rows_are_architectures(self, tiny):
        problem = params_problem(tiny)
        rows = every_row(problem)
        assert rows is not None
        archs = {tiny.architecture(problem.sample(row)).digest for row in rows}  # type: ignore[arg-type]
        assert len(rows) == len(archs) == tiny.size == 720

    @pytest.mark.parametrize("name", shipped_spaces())
    def test_an_architecture_tells_its_row(self, name):
        space = load_space(name)
        rows = space.canonical(space.random_indices(np.random.default_rng(0), 20))
        for row in rows:
            arch = space.architecture(space.sample_at(np.maximum(row, 0)))
            assert space.indices_of(arch).tolist() == row.tolist()

    def test_a_budget_that_chance_never_meets_is_met(self):
        tight = replace(additive(20, 4), feasible=lambda rows: rows.sum(axis=1) <= 4)  # of at most 60: about 1e-12
        rows = random_rows(tight, 50, np.random.default_rng(0))
        assert len(rows) == 50
        assert tight.feasible(rows).all()
        assert len(np.unique(rows, axis=0)) > 10

    def test_nothing_feasible_is_nothing(self):
        none = replace(additive(), feasible=lambda rows: np.zeros(len(rows), dtype=bool))
        assert len(random_rows(none, 10, np.random.default_rng(0))) == 0
        assert ExpectedHypervolumeImprovement(none, seed=0).propose() is None
        assert ParetoEvolution(none, seed=0).propose() is None

    def test_mutants_differ_and_crossings_inherit(self):
        problem, rng = additive(), np.random.default_rng(0)
        mothers, fathers = random_rows(problem, 200, rng), random_rows(problem, 200, rng)
        assert ((mutated(problem, mothers, 0.0, rng) != mothers).sum(axis=1) == 1).all()
        children = crossed(problem, mothers, fathers, rng)
        assert ((children == mothers) | (children == fathers)).all()
        kept = new_rows(problem, np.concatenate([mothers, mothers]), {key(mothers[0])})
        assert len(kept) == len(np.unique(mothers, axis=0)) - 1


class TestSearching:
    def test_ehvi_needs_far_fewer_than_evolution_and_evolution_fewer_than_chance(self):
        problem = additive()
        share = {name: [] for name in ("ehvi", "evolution", "random")}
        for seed in range(3):
            share["ehvi"].append(front_share(problem, searched(ExpectedHypervolumeImprovement(problem, seed=seed), 40)))
            share["evolution"].append(
                front_share(problem, searched(ParetoEvolution(problem, seed=seed, population=20), 120))
            )
            share["random"].append(front_share(problem, random_rows(problem, 120, np.random.default_rng(seed))))
        assert min(share["ehvi"]) > 0.97
        assert np.mean(share["evolution"]) > np.mean(share["random"])

    @pytest.mark.parametrize("ours", OURS)
    def test_a_restored_state_goes_on_as_if_nothing_had_happened(self, ours):
        problem = additive()
        first = ours(problem, seed=0)
        searched(first, 25)
        state = json.loads(json.dumps(first.state_dict()))
        whole = searched(first, 10)
        second = ours(problem, seed=0)
        second.restore_proposals(first.rows[:25], [])
        for row, accuracy in zip(first.rows[:25], first.accuracies[:25], strict=True):
            second.observe(row, accuracy)
        second.load_state_dict(state)
        assert searched(second, 10).tolist() == whole.tolist()

    @pytest.mark.parametrize("seed", range(3))
    def test_proposals_keep_away_from_running_trials(self, seed):
        def distance(pending: bool) -> float:
            """Mean number of choices in which 8 proposals at a time differ."""
            strategy = ExpectedHypervolumeImprovement(additive(), seed=seed)
            searched(strategy, 25)
            proposed = []
            for number in range(8):
                row = strategy.propose()
                assert row is not None
                proposed.append(row)
                strategy.known.add(key(row))
                if pending:
                    strategy._pending[number] = row  # type: ignore[index]  # as the engine's models
            return float(np.mean([(one != other).sum() for one, other in itertools.combinations(proposed, 2)]))

        assert distance(pending=True) > distance(pending=False)

    def test_a_replicate_moves_the_prediction_towards_its_result(self):
        strategy = ExpectedHypervolumeImprovement(additive(), seed=0)
        row = searched(strategy, 15)[3]
        space = _SpaceRows(strategy.problem, np.random.default_rng(0))

        def predicted() -> float:
            return float(strategy._fitted_surrogate(space).predict(space.encoding(row[None]))[0][0])

        before = predicted()
        strategy.observe(row, 0.6)  # its first result was 0.74
        assert len(strategy.rows) == len(strategy.accuracies) == 16
        assert predicted() < before

    def test_a_large_space_is_searched_by_offspring(self):
        problem = additive(choices=30, options=4)  # 4^30 rows
        found = searched(ExpectedHypervolumeImprovement(problem, seed=0), 60)
        assert len(np.unique(found, axis=0)) == 60
        chance = accuracy_of(random_rows(problem, 60, np.random.default_rng(0)))
        assert accuracy_of(found).max() > chance.max()

    def test_ranks_come_before_crowding(self):
        points = np.array([[1.0, 4.0], [2.0, 2.0], [4.0, 1.0], [5.0, 5.0]])
        assert ranked(points, 4)[-1] == 3
        # The inner point's neighbours are 3 apart in both, of spans of 3.
        assert crowding_distance(points[:3]).tolist() == [np.inf, 2.0, np.inf]


class TestAccuracyPosterior:
    @pytest.mark.slow  # fits 30 posteriors
    def test_a_noisy_front_is_credited_with_about_its_true_hypervolume(self):
        problem = additive()
        whole = every_row(problem)
        assert whole is not None
        by_posterior, by_observation = [], []
        for seed in range(30):
            rng = np.random.default_rng(seed)
            rows = whole[rng.permutation(len(whole))[:120]]
            seen = accuracy_of(rows) + 0.03 * rng.standard_normal(len(rows))
            samples = AccuracyPosterior(problem, rows, seen, whole).sample(rows, seed=seed)

            def volume(accuracy, cost=samples.cost):
                return moocore.hypervolume(np.column_stack([1 - accuracy, cost]), ref=(0.4, problem.worst_cost))

            true = volume(accuracy_of(rows))
            by_posterior.append(volume(samples.accuracy) / true)
            by_observation.append(volume(seen) / true)
            assert ((samples.on_front >= 0) & (samples.on_front <= 1)).all()
        assert np.mean(by_observation) > 1.05
        assert abs(np.mean(by_posterior) - 1) < 0.3 * (np.mean(by_observation) - 1)


def params_problem(space) -> Problem:
    return make_problem(space, objective="params", budget=Budget(), worst_cost=1e4, profile=None, confidence=0.95)
