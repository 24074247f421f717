"""senas: hardware-aware neural architecture search with the Squeeze-and-Excitation block as a searchable primitive.

The names below are loaded when first used, so that building a network or measuring a device imports neither Ray nor
NNI. No module is called like one of them, because importing it would put the module in the name's place.
"""

import importlib
from typing import TYPE_CHECKING, Any

from senas.version import __version__

if TYPE_CHECKING:
    from senas.architecture import Architecture, Input
    from senas.cells.cell import Cell
    from senas.costs.budget import Budget, Cost, cost_of
    from senas.costs.complexity import complexity
    from senas.costs.model import CostModel
    from senas.errors import SenasError
    from senas.graph import architecture_graph
    from senas.latency.model import LatencyModel
    from senas.latency.profile import LatencyProfile
    from senas.latency.profiling import profile_space
    from senas.latency.sitting import recheck
    from senas.layers.heads import Head
    from senas.layers.stems import Stem
    from senas.nn.network import build_network
    from senas.nn.weights import load_network
    from senas.references import reference
    from senas.retraining import retrain
    from senas.se import SEConfig
    from senas.searching.run import Run
    from senas.searching.search import resume, search
    from senas.searching.trial import Trial
    from senas.spaces.file import load_space
    from senas.spaces.space import SearchSpace
    from senas.training.data import Dataset, Split
    from senas.training.evaluator import TrainingEvaluator
    from senas.training.loop import Recipe
    from senas.training.sources import load_data

_HOME = {
    "Architecture": "architecture",
    "Budget": "costs.budget",
    "Cell": "cells.cell",
    "Cost": "costs.budget",
    "CostModel": "costs.model",
    "Dataset": "training.data",
    "Head": "layers.heads",
    "Input": "architecture",
    "LatencyModel": "latency.model",
    "LatencyProfile": "latency.profile",
    "Recipe": "training.loop",
    "Run": "searching.run",
    "SEConfig": "se",
    "SearchSpace": "spaces.space",
    "SenasError": "errors",
    "Split": "training.data",
    "Stem": "layers.stems",
    "TrainingEvaluator": "training.evaluator",
    "Trial": "searching.trial",
    "architecture_graph": "graph",
    "build_network": "nn.network",
    "complexity": "costs.complexity",
    "cost_of": "costs.budget",
    "load_data": "training.sources",
    "load_network": "nn.weights",
    "load_space": "spaces.file",
    "profile_space": "latency.profiling",
    "recheck": "latency.sitting",
    "reference": "references",
    "resume": "searching.search",
    "retrain": "retraining",
    "search": "searching.search",
}

__all__ = [
    "Architecture",
    "Budget",
    "Cell",
    "Cost",
    "CostModel",
    "Dataset",
    "Head",
    "Input",
    "LatencyModel",
    "LatencyProfile",
    "Recipe",
    "Run",
    "SEConfig",
    "SearchSpace",
    "SenasError",
    "Split",
    "Stem",
    "TrainingEvaluator",
    "Trial",
    "__version__",
    "architecture_graph",
    "build_network",
    "complexity",
    "cost_of",
    "load_data",
    "load_network",
    "load_space",
    "profile_space",
    "recheck",
    "reference",
    "resume",
    "retrain",
    "search",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'senas' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"senas.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
