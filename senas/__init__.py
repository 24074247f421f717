"""senas: hardware-aware neural architecture search with the Squeeze-and-Excitation block as a searchable primitive.

The names below are imported when they are first used, so that building a network or measuring a device imports neither
Ray nor NNI.
"""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily
from senas.version import __version__ as __version__

if TYPE_CHECKING:
    from senas.architecture import Architecture as Architecture
    from senas.architecture import Cell as Cell
    from senas.architecture import Head as Head
    from senas.architecture import Input as Input
    from senas.architecture import SEConfig as SEConfig
    from senas.architecture import Stem as Stem
    from senas.architecture import reference as reference
    from senas.costs import Budget as Budget
    from senas.costs import Cost as Cost
    from senas.costs import CostModel as CostModel
    from senas.costs import complexity as complexity
    from senas.costs import cost_of as cost_of
    from senas.errors import SenasError as SenasError
    from senas.execution import resume as resume
    from senas.execution import search as search
    from senas.latency import LatencyModel as LatencyModel
    from senas.latency import LatencyProfile as LatencyProfile
    from senas.latency import profile_space as profile_space
    from senas.latency import recheck as recheck
    from senas.nn import architecture_graph as architecture_graph
    from senas.nn import build_network as build_network
    from senas.nn import fuse_squeeze_excite as fuse_squeeze_excite
    from senas.runs import Run as Run
    from senas.runs import Trial as Trial
    from senas.spaces import SearchSpace as SearchSpace
    from senas.spaces import load_space as load_space
    from senas.strategies import Problem as Problem
    from senas.strategies import ProposingStrategy as ProposingStrategy
    from senas.training import Dataset as Dataset
    from senas.training import Loading as Loading
    from senas.training import Recipe as Recipe
    from senas.training import Split as Split
    from senas.training import TrainedNetwork as TrainedNetwork
    from senas.training import TrainingEvaluator as TrainingEvaluator
    from senas.training import export_network as export_network
    from senas.training import load_data as load_data
    from senas.training import load_network as load_network
    from senas.training import plan_loading as plan_loading
    from senas.training import retrain as retrain

export_lazily(globals())
