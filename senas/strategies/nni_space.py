"""Search spaces and architectures as NNI's strategies see them."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import nni

nni.set_default_framework("none")  # before any import of nni.nas, which would otherwise need pytorch_lightning
logging.getLogger("nni").setLevel(logging.ERROR)

from nni.mutable import Categorical, LabeledMutable, Mutable, MutableDict, SampleValidationError  # noqa: E402
from nni.nas.space import ExecutableModelSpace, ModelStatus  # noqa: E402
from nni.nas.strategy import Strategy  # noqa: E402, F401

from senas.architecture import Architecture  # noqa: E402
from senas.spaces import SearchSpace  # noqa: E402


class NNISpace(ExecutableModelSpace):
    """`SearchSpace` with one NNI `Categorical` per choice; freezing a sample gives one `NNIModel`.

    Args:
        space: Space to search.
    """

    def __init__(self, space: SearchSpace):
        super().__init__()
        self.space = space
        self.evaluator = None
        self.sample = None
        self.mutables = MutableDict(
            {choice.label: Categorical(choice.options, label=choice.label) for choice in space.choices}
        )

    def leaf_mutables(self, is_leaf: Callable[[Mutable], bool]) -> Iterable[LabeledMutable]:
        """Return the choices of the space."""
        return self.mutables.leaf_mutables(is_leaf)

    def check_contains(self, sample: dict[str, Any]) -> SampleValidationError | None:
        """Return why a sample is not in the space; `None` if it is."""
        return self.mutables.check_contains(sample)

    def freeze(self, sample: dict[str, Any]) -> "NNIModel":
        """Return the model of a sample."""
        self.validate(sample)
        return NNIModel(dict(sample), self.space.architecture(sample))


class NNIModel(ExecutableModelSpace):
    """One point of the space: the sample that a strategy chose, and its architecture."""

    def __init__(self, sample: dict[str, Any], architecture: Architecture):
        super().__init__(ModelStatus.Frozen)
        self.evaluator = None
        self.sample = sample
        self.architecture = architecture
