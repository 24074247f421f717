"""From an architecture to a networkx graph of operations with shapes, traced from the torch module that runs."""

import operator

import networkx as nx
import torch
from torch import fx, nn
from torch._C._nn import adaptive_avg_pool2d
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional as F

from senas.architecture import Architecture
from senas.nn import modules
from senas.nn.network import build_network
from senas.nn.se import SqueezeExcite

_MODULES: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.BatchNorm2d: "batch_norm",
    nn.Linear: "linear",
    nn.ReLU: "relu",
    nn.Hardswish: "hardswish",
    nn.SiLU: "silu",
    nn.AdaptiveAvgPool2d: "global_avg_pool",
    nn.AvgPool2d: "avg_pool",
    nn.MaxPool2d: "max_pool",
    nn.Flatten: "flatten",
    nn.Dropout: "dropout",
    modules.SubsampleModule: "subsample",
    modules.ShiftModule: "shift",
    modules.PadChannelsModule: "pad_channels",
    modules.ShuffleModule: "shuffle",
    modules.ScaleModule: "scale",
}
_FUNCTIONS = {
    operator.add: "add",
    operator.mul: "mul",
    operator.getitem: "slice",
    torch.cat: "concat",
    torch.sigmoid: "sigmoid",
    torch.tanh: "tanh",
    F.hardsigmoid: "hardsigmoid",
    F.relu: "relu",
    adaptive_avg_pool2d: "global_avg_pool",
    F.adaptive_max_pool2d: "global_max_pool",
}
_METHODS = {"flatten": "flatten", "relu_": "relu", "view_as": "reshape"}


class _Tracer(fx.Tracer):
    """Tracer that treats each module of `_MODULES` as one operation."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002  # fx's signature
        return type(m) in _MODULES


def architecture_graph(arch: Architecture) -> nx.DiGraph:
    """Return the operations of one forward pass at batch 1 as a directed acyclic graph.

    Returns:
        One node per operation, named by its path in the module (`cells.0.sum.branch.conv1`), with the attributes
        `operation` (conv, batch_norm, add, ...), `shape` (output shape, batch included), `cell` (index of the cell,
        `None` in stem and head), `stage` (`None` in stem and head) and `se` (whether it belongs to an SE block).
        Edges follow the data. Inputs and outputs are the nodes `input` and `output`.
    """
    with FakeTensorMode(allow_non_fake_inputs=False) as mode:
        network = build_network(arch).eval()
        traced = fx.GraphModule(network, _Tracer().trace(network))
        image = mode.from_tensor(torch.empty(arch.input.shape.batch(1)))
        ShapeProp(traced, fake_mode=mode).propagate(image)
    modules: dict[str, nn.Module] = dict(network.named_modules())
    se_blocks = tuple(f"{name}." for name, module in modules.items() if isinstance(module, SqueezeExcite))
    names: dict[fx.Node, str] = {}
    graph = nx.DiGraph(digest=arch.digest)
    for node in traced.graph.nodes:
        if node.op == "get_attr":  # access to weights is not an operation
            continue
        scope = _scope(node)
        names[node] = name = _unique_name(graph, node, scope)
        cell = int(scope.split(".")[1]) if scope.startswith("cells.") else None
        graph.add_node(
            name,
            operation=_operation(node, modules),
            shape=tuple(node.meta["tensor_meta"].shape),
            cell=cell,
            stage=None if cell is None else arch.cells[cell].stage,
            se=f"{scope}.".startswith(se_blocks) if se_blocks else False,
        )
        graph.add_edges_from((names[source], name) for source in node.all_input_nodes if source in names)
    return graph


def _operation(node: fx.Node, modules: dict[str, nn.Module]) -> str:
    if node.op in ("placeholder", "output"):
        return {"placeholder": "input", "output": "output"}[node.op]
    if node.op == "call_module":
        return _MODULES[type(modules[str(node.target)])]
    if node.op == "call_method":
        return _METHODS[str(node.target)]
    return _FUNCTIONS[node.target]  # type: ignore[index]  # fx types targets as callable or str


def _scope(node: fx.Node) -> str:
    """Return the path of the module whose forward method created the node, such as `cells.0.sum.branch.se`."""
    if node.op == "call_module":
        return str(node.target)
    stack = node.meta.get("nn_module_stack") or {}
    return str(next(reversed(stack))) if stack else ""


def _unique_name(graph: nx.DiGraph, node: fx.Node, scope: str) -> str:
    if node.op in ("placeholder", "output"):
        return "input" if node.op == "placeholder" else "output"
    name = scope if node.op == "call_module" else f"{scope}.{node.name}".lstrip(".")
    return name if name not in graph else f"{name}.{node.name}"
