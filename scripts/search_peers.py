"""Other libraries' multi-objective optimisers on the tables of `benchmark_search.py`, used as they document it.

A peer is a generator of the row numbers that it evaluates, in order; a row that it proposes again is not counted again.
It observes the accuracy (maximised) and the cost (minimised) of the rows that it evaluates.
"""

# the libraries are an optional extra, which may be missing during development
# pyright: reportMissingImports=false

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from search_table import Observe, Table

_MAX_PROPOSALS = 30  # proposals per evaluation at which a peer ends, so that a peer that only repeats itself ends too


def optuna_sampler(table: "Table", observe: "Observe", evaluations: int, seed: int, *, sampler: str) -> Iterator[int]:
    """Search with Optuna: NSGA-II, multivariate TPE or the Gaussian process sampler, with its defaults otherwise."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    made = {
        "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed),
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True),
        "gp": lambda: optuna.samplers.GPSampler(seed=seed),
    }[sampler]()
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=made)
    for _ in range(_MAX_PROPOSALS * evaluations):
        trial = study.ask()
        picked = [trial.suggest_categorical(f"c{i}", range(len(options))) for i, options in enumerate(table.options)]
        row = int(table.rows(np.array([picked]))[0])
        if row >= 0:
            yield row
            study.tell(trial, [observe(row), float(table.cost[row])])
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)


def pymoo_nsga2(table: "Table", observe: "Observe", evaluations: int, seed: int) -> Iterator[int]:
    """Search with pymoo: NSGA-II with a population of 50, on integer choices, without duplicates."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.problems.static import StaticProblem

    upper = np.array([len(options) - 1 for options in table.options])
    problem: Any = Problem(n_var=len(upper), n_obj=2, xl=np.zeros(len(upper)), xu=upper, vtype=int)
    algorithm = NSGA2(
        pop_size=50,
        sampling=IntegerRandomSampling(),
        crossover=cast(Any, UX()),
        mutation=PM(vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    algorithm.setup(problem, termination=("n_gen", _MAX_PROPOSALS * evaluations), seed=seed, verbose=False)
    while algorithm.has_next():
        offspring: Any = algorithm.ask()
        rows = table.rows(offspring.get("X").astype(np.int64))
        values = np.array([(-observe(row), table.cost[row]) if row >= 0 else (0.0, table.cost.max()) for row in rows])
        yield from (int(row) for row in rows if row >= 0)
        Evaluator().eval(StaticProblem(problem, F=values), offspring)
        algorithm.tell(infills=offspring)


def botorch_qlognehvi(table: "Table", observe: "Observe", evaluations: int, seed: int) -> Iterator[int]:
    """Search with BoTorch: qLogNEHVI (Ament et al. 2023) over Gaussian processes, after 2 (L + 1) random rows.

    Each objective has a Gaussian process on one-hot features. The acquisition function is maximised over 2,000 random
    rows of the table, new ones for every proposal.
    """
    import torch
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.models.transforms import Standardize
    from botorch.sampling import SobolQMCNormalSampler
    from botorch.utils.multi_objective.hypervolume import infer_reference_point
    from botorch.utils.multi_objective.pareto import is_non_dominated
    from gpytorch.mlls import SumMarginalLogLikelihood

    warnings.simplefilter("ignore")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    one_hot = [table.choices[:, [i]] == np.array(options) for i, options in enumerate(table.options)]
    features = torch.tensor(np.concatenate(one_hot, axis=1), dtype=torch.float64)
    rows = rng.permutation(len(features))[: 2 * (len(table.options) + 1)].tolist()
    yield from rows
    while len(rows) < evaluations:
        evaluated = features[rows]
        target = torch.tensor([(observe(row), -table.cost[row]) for row in rows], dtype=torch.float64)
        models = [SingleTaskGP(evaluated, target[:, [i]], outcome_transform=Standardize(m=1)) for i in (0, 1)]
        model = ModelListGP(*models)
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model,
            ref_point=infer_reference_point(target[is_non_dominated(target)]).tolist(),
            X_baseline=evaluated,
            sampler=SobolQMCNormalSampler(torch.Size([64]), seed=seed),
            prune_baseline=True,
        )
        candidates = np.setdiff1d(np.arange(len(features)), rows)
        candidates = rng.choice(candidates, min(2_000, len(candidates)), replace=False)
        with torch.no_grad():
            best = int(candidates[int(acquisition(features[candidates][:, None]).argmax())])
        rows.append(best)
        yield best


PEERS: dict[str, Callable[..., Iterator[int]]] = {
    "optuna-nsga2": partial(optuna_sampler, sampler="nsga2"),
    "optuna-tpe": partial(optuna_sampler, sampler="tpe"),
    "optuna-gp": partial(optuna_sampler, sampler="gp"),
    "pymoo-nsga2": pymoo_nsga2,
    "botorch-qlognehvi": botorch_qlognehvi,
}
