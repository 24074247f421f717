"""Other libraries' multi-objective optimisers on the tables of `benchmark_search.py`, each as its documentation has it.

A peer is a generator of the rows it evaluates, in order; one it proposes again costs nothing and is answered from
memory. It sees the accuracy (maximised) and the cost (minimised) of what it evaluates.
"""

# The libraries are an extra that development does without.
# pyright: reportMissingImports=false

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from search_table import Look, Table

_IN_VAIN = 30  # proposals per evaluation, after which a peer that repeats itself has ended


def optuna_sampler(table: "Table", look: "Look", evaluations: int, seed: int, *, sampler: str) -> Iterator[int]:
    """Optuna: NSGA-II, multivariate TPE or the Gaussian process sampler, with its defaults otherwise."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    made = {
        "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed),
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True),
        "gp": lambda: optuna.samplers.GPSampler(seed=seed),
    }[sampler]()
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=made)
    for _ in range(_IN_VAIN * evaluations):
        trial = study.ask()
        picked = [trial.suggest_categorical(f"c{i}", range(len(known))) for i, known in enumerate(table.options)]
        row = int(table.rows(np.array([picked]))[0])
        if row >= 0:
            yield row
            study.tell(trial, [look(row), float(table.cost[row])])
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)


def pymoo_nsga2(table: "Table", look: "Look", evaluations: int, seed: int) -> Iterator[int]:
    """pymoo: NSGA-II with a population of 50, on the integers of the choices, duplicates eliminated."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.problems.static import StaticProblem

    most = np.array([len(known) - 1 for known in table.options])
    problem: Any = Problem(n_var=len(most), n_obj=2, xl=np.zeros(len(most)), xu=most, vtype=int)
    algorithm = NSGA2(
        pop_size=50,
        sampling=IntegerRandomSampling(),
        crossover=cast(Any, UX()),
        mutation=PM(vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    algorithm.setup(problem, termination=("n_gen", _IN_VAIN * evaluations), seed=seed, verbose=False)
    while algorithm.has_next():
        offspring: Any = algorithm.ask()
        rows = table.rows(offspring.get("X").astype(np.int64))
        values = np.array([(-look(row), table.cost[row]) if row >= 0 else (0.0, table.cost.max()) for row in rows])
        yield from (int(row) for row in rows if row >= 0)
        Evaluator().eval(StaticProblem(problem, F=values), offspring)
        algorithm.tell(infills=offspring)


def botorch_qlognehvi(table: "Table", look: "Look", evaluations: int, seed: int) -> Iterator[int]:
    """BoTorch: qLogNEHVI (Ament et al. 2023) over one-hot Gaussian processes on both objectives, 2 (L + 1) random rows.

    The acquisition function is maximised over 2,000 random rows of the table, new ones for every proposal.
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
    hot = [table.choices[:, [i]] == np.array(known) for i, known in enumerate(table.options)]
    features = torch.tensor(np.concatenate(hot, axis=1), dtype=torch.float64)
    rows = rng.permutation(len(features))[: 2 * (len(table.options) + 1)].tolist()
    yield from rows
    while len(rows) < evaluations:
        seen = features[rows]
        target = torch.tensor([(look(row), -table.cost[row]) for row in rows], dtype=torch.float64)
        models = [SingleTaskGP(seen, target[:, [i]], outcome_transform=Standardize(m=1)) for i in (0, 1)]
        model = ModelListGP(*models)
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model,
            ref_point=infer_reference_point(target[is_non_dominated(target)]).tolist(),
            X_baseline=seen,
            sampler=SobolQMCNormalSampler(torch.Size([64]), seed=seed),
            prune_baseline=True,
        )
        left = np.setdiff1d(np.arange(len(features)), rows)
        left = rng.choice(left, min(2_000, len(left)), replace=False)
        with torch.no_grad():
            best = int(left[int(acquisition(features[left][:, None]).argmax())])
        rows.append(best)
        yield best


PEERS: dict[str, Callable[..., Iterator[int]]] = {
    "optuna-nsga2": partial(optuna_sampler, sampler="nsga2"),
    "optuna-tpe": partial(optuna_sampler, sampler="tpe"),
    "optuna-gp": partial(optuna_sampler, sampler="gp"),
    "pymoo-nsga2": pymoo_nsga2,
    "botorch-qlognehvi": botorch_qlognehvi,
}
