"""Strategies, which propose the next architecture, and the problem that they see.

`ehvi` is the default: it fits a Gaussian process (`surrogate`) and maximises the expected hypervolume improvement
(`acquisition`). `pareto_evolution` is NSGA-II, `nni_own` has NNI's strategies, and `table` names them all.
"""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.strategies.candidates import every_row as every_row
    from senas.strategies.candidates import key as key
    from senas.strategies.candidates import random_rows as random_rows
    from senas.strategies.encoding import Encoding as Encoding
    from senas.strategies.nni_space import NNIModel as NNIModel
    from senas.strategies.nni_space import NNISpace as NNISpace
    from senas.strategies.problem import Problem as Problem
    from senas.strategies.problem import Rows as Rows
    from senas.strategies.proposing import ProposingStrategy as ProposingStrategy
    from senas.strategies.space_problem import make_problem as make_problem
    from senas.strategies.surrogate import Prior as Prior
    from senas.strategies.surrogate import Surrogate as Surrogate
    from senas.strategies.surrogate import one_thread as one_thread
    from senas.strategies.surrogate import unwarped as unwarped
    from senas.strategies.surrogate import warped as warped
    from senas.strategies.table import STRATEGIES as STRATEGIES
    from senas.strategies.table import check_strategy as check_strategy
    from senas.strategies.table import make_strategy as make_strategy
    from senas.strategies.table import strategy_name as strategy_name

export_lazily(globals())
