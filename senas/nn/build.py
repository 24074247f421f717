"""From a layout to a torch module: one torch module per operation, named in the state dict after the operation."""

from collections import Counter, OrderedDict

from torch import nn

from senas.architecture import (
    SE,
    Activation,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Linear,
    Operation,
    PadChannels,
    Pool,
    Scale,
    ShakeSum,
    Shape,
    Shift,
    Shuffle,
    Subsample,
    Sum,
)
from senas.errors import ArchitectureError
from senas.nn import modules
from senas.nn.se import SqueezeExcite

_ACTIVATIONS = {"relu": nn.ReLU, "hardswish": nn.Hardswish, "silu": nn.SiLU}
_FRESH = (Conv, BatchNorm, Linear, Sum, Concat)  # their output is a new tensor that nothing else reads


def build(operation: Operation, in_shape: Shape, *, inplace: bool = False) -> nn.Module:
    """Build the torch module of an operation.

    Args:
        operation: Layout of a layer, or a step of it.
        in_shape: Shape of the input.
        inplace: Whether an activation may overwrite its input.

    Raises:
        ArchitectureError: The name of a branch is an attribute of torch modules.
    """
    match operation:
        case Chain(steps=steps):
            return _chain(steps, in_shape)
        case ShakeSum(branches=branches):
            return _side_by_side(modules.BranchShakeSum, branches, in_shape)
        case Sum(branches=branches):
            return _side_by_side(modules.BranchSum, branches, in_shape)
        case Concat(branches=branches):
            return _side_by_side(modules.BranchConcat, branches, in_shape)
        case Conv(channels, stride=stride, groups=groups, bias=bias):
            kernels, paddings = operation.kernels, operation.paddings
            return nn.Conv2d(in_shape.channels, channels, kernels, stride, paddings, groups=groups, bias=bias)
        case BatchNorm():
            return nn.BatchNorm2d(in_shape.channels)
        case Activation(kind):
            return _ACTIVATIONS[kind](inplace=inplace)
        case SE(config=config):
            return nn.Sequential() if config is None else SqueezeExcite(in_shape.channels, config)
        case Pool("max", kernel, stride, padding, ceil):
            return nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
        case Pool("avg", kernel, stride, padding, ceil):
            return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=False)
        case GlobalPool():
            return nn.AdaptiveAvgPool2d(1)
        case Flatten():
            return nn.Flatten()
        case Linear(channels):
            return nn.Linear(in_shape.channels, channels)
        case Dropout(rate):
            return nn.Dropout(rate)
        case Subsample(stride):
            return modules.SubsampleModule(stride)
        case Shift():
            return modules.ShiftModule()
        case PadChannels(channels):
            return modules.PadChannelsModule(channels - in_shape.channels)
        case Shuffle(groups):
            return modules.ShuffleModule(groups)
        case Scale(factor):
            return modules.ScaleModule(factor)
    raise TypeError(f"no torch module for {operation}")  # an operation that has no case above


def _chain(steps: tuple[Operation, ...], in_shape: Shape) -> nn.Sequential:
    """Return the steps in order, named after their operations, and numbered if an operation occurs more than once."""
    taken = [step for step in steps if not (isinstance(step, SE) and step.config is None)]
    total, seen = Counter(map(_name, taken)), Counter[str]()
    built: OrderedDict[str, nn.Module] = OrderedDict()
    before: Operation | None = None
    for step in taken:
        name = _name(step)
        seen[name] += 1
        unique = name if total[name] == 1 else f"{name}{seen[name]}"
        built[unique] = build(step, in_shape, inplace=isinstance(before, _FRESH))
        in_shape, before = step.shape(in_shape), step
    return nn.Sequential(built)


def _side_by_side(kind: type[nn.ModuleDict], branches: dict[str, Operation], in_shape: Shape) -> nn.ModuleDict:
    built = kind()
    for name, branch in branches.items():
        if hasattr(built, name):
            raise ArchitectureError(
                f"branch: found '{name}', allowed: any name that torch modules have no attribute of"
            )
        built[name] = build(branch, in_shape)
    return built


def _name(operation: Operation) -> str:
    names = {BatchNorm: "norm", GlobalPool: "pool", ShakeSum: "shake", PadChannels: "pad"}
    if isinstance(operation, Activation):
        return operation.kind
    return names.get(type(operation), type(operation).__name__.lower())
