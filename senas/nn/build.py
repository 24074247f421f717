"""Layout to torch module: one torch module per operation, named in the state dict by what it does."""

from collections import Counter, OrderedDict

from torch import nn

from senas.errors import ArchitectureError
from senas.layers import operations as ops
from senas.layers.layout import Chain, Concat, Operation, ShakeSum, Shape, Sum
from senas.nn import modules
from senas.nn.se import SqueezeExcite

_ACTIVATIONS = {"relu": nn.ReLU, "hardswish": nn.Hardswish, "silu": nn.SiLU}
_FRESH = (ops.Conv, ops.BatchNorm, ops.Linear, Sum, Concat)  # give a tensor that nothing else reads


def build(operation: Operation, inflow: Shape, *, inplace: bool = False) -> nn.Module:
    """Build the torch module of an operation.

    Args:
        operation: a layer's layout or a step of it.
        inflow: the shape that flows in.
        inplace: whether an activation may overwrite what flows in.
    """
    match operation:
        case Chain(steps=steps):
            return _chain(steps, inflow)
        case ShakeSum(branches=branches):
            return _side_by_side(modules.ShakeSum, branches, inflow)
        case Sum(branches=branches):
            return _side_by_side(modules.Sum, branches, inflow)
        case Concat(branches=branches):
            return _side_by_side(modules.Concat, branches, inflow)
        case ops.Conv(channels, stride=stride, groups=groups, bias=bias):
            kernels, paddings = operation.kernels, operation.paddings
            return nn.Conv2d(inflow.channels, channels, kernels, stride, paddings, groups=groups, bias=bias)
        case ops.BatchNorm():
            return nn.BatchNorm2d(inflow.channels)
        case ops.Activation(kind):
            return _ACTIVATIONS[kind](inplace=inplace)
        case ops.SE(config=config):
            return nn.Sequential() if config is None else SqueezeExcite(inflow.channels, config)
        case ops.Pool("max", kernel, stride, padding, ceil):
            return nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
        case ops.Pool("avg", kernel, stride, padding, ceil):
            return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=False)
        case ops.GlobalPool():
            return nn.AdaptiveAvgPool2d(1)
        case ops.Flatten():
            return nn.Flatten()
        case ops.Linear(channels):
            return nn.Linear(inflow.channels, channels)
        case ops.Dropout(rate):
            return nn.Dropout(rate)
        case ops.Subsample(stride):
            return modules.Subsample(stride)
        case ops.Shift():
            return modules.Shift()
        case ops.PadChannels(channels):
            return modules.PadChannels(channels - inflow.channels)
        case ops.Shuffle(groups):
            return nn.ChannelShuffle(groups)
        case ops.Scale(factor):
            return modules.Scale(factor)
    raise TypeError(f"no torch module for {operation}")  # an operation that layouts know and this function does not


def _chain(steps: tuple[Operation, ...], inflow: Shape) -> nn.Sequential:
    """The steps in order; named by what they do, and numbered where a chain does it more than once."""
    taken = [step for step in steps if not (isinstance(step, ops.SE) and step.config is None)]
    total, seen = Counter(map(_name, taken)), Counter[str]()
    built: OrderedDict[str, nn.Module] = OrderedDict()
    before: Operation | None = None
    for step in taken:
        name = _name(step)
        seen[name] += 1
        unique = name if total[name] == 1 else f"{name}{seen[name]}"
        built[unique] = build(step, inflow, inplace=isinstance(before, _FRESH))
        inflow, before = step.shape(inflow), step
    return nn.Sequential(built)


def _side_by_side(kind: type[nn.ModuleDict], branches: dict[str, Operation], inflow: Shape) -> nn.ModuleDict:
    built = kind()
    for name, branch in branches.items():
        if hasattr(built, name):
            raise ArchitectureError(
                f"branch: found '{name}', allowed: any name that torch modules have no attribute of"
            )
        built[name] = build(branch, inflow)
    return built


def _name(operation: Operation) -> str:
    names = {ops.BatchNorm: "norm", ops.GlobalPool: "pool", ShakeSum: "shake", ops.PadChannels: "pad"}
    if isinstance(operation, ops.Activation):
        return operation.kind
    return names.get(type(operation), type(operation).__name__.lower())
