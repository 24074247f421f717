"""Networks: the SE block against its formula, the cells that host it, the graph."""

import itertools
import pickle
from typing import get_args

import networkx as nx
import numpy as np
import pytest
import torch
from conftest import needs_cuda, smaller
from torch import nn

from senas.architecture.cells.basic import Basic
from senas.architecture.layers.layout import Shape
from senas.architecture.network import Part
from senas.architecture.references.catalogue import REFERENCES, reference
from senas.architecture.se import Excitation, Integration, SEConfig, Squeeze
from senas.errors import ArchitectureError
from senas.nn.fused import FusedSqueezeExcite, fuse_squeeze_excite
from senas.nn.graph import architecture_graph
from senas.nn.network import build_network, build_part
from senas.nn.running import tf32_products
from senas.nn.se import SqueezeExcite
from senas.spaces.toml_file import load_space, shipped_spaces

EVERY_SE = [
    SEConfig(reduction=4, squeeze=squeeze, excitation=excitation, integration=integration, bias=bias)
    for squeeze, excitation, integration, bias in itertools.product(
        get_args(Squeeze), get_args(Excitation), get_args(Integration), (True, False)
    )
]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("excitation", get_args(Excitation))
@pytest.mark.parametrize("squeeze", get_args(Squeeze))
def test_se_follows_its_formula(squeeze, excitation, bias):
    block = SqueezeExcite(8, SEConfig(reduction=4, squeeze=squeeze, excitation=excitation, bias=bias)).double()
    x = torch.randn(3, 8, 5, 6, dtype=torch.float64)
    gates = {
        "sigmoid": lambda z: 1 / (1 + torch.exp(-z)),
        "hardsigmoid": lambda z: ((z + 3) / 6).clamp(0, 1),
        "tanh": torch.tanh,
        "relu": lambda z: z.clamp(min=0),
    }
    z = {"avg": x.mean((2, 3), keepdim=True), "max": x.amax((2, 3), keepdim=True), "none": x}[squeeze]
    weights = dict(block.named_parameters())
    first, second = (weights[f"{layer}.weight"].flatten(1) for layer in ("reduce", "expand"))
    b1, b2 = (weights[f"{layer}.bias"][:, None, None] if bias else 0.0 for layer in ("reduce", "expand"))
    hidden = (torch.einsum("hc,bcyx->bhyx", first, z) + b1).clamp(min=0)
    scale = gates[excitation](torch.einsum("ch,bhyx->bcyx", second, hidden) + b2)
    torch.testing.assert_close(block(x), x * scale)


def test_se_rounds_the_hidden_layer_down_and_refuses_none():
    assert SqueezeExcite(21, SEConfig(reduction=4)).state_dict()["reduce.weight"].shape == (5, 21)
    with pytest.raises(ArchitectureError, match="found 8, allowed: at most its 4 channels"):
        SqueezeExcite(4, SEConfig(reduction=8))


@pytest.mark.parametrize("integration", get_args(Integration))
def test_a_basic_cell_hosts_se_where_the_paper_says(integration):
    """The cell is rebuilt from its own layers, SE at the place that figure 5 shows."""
    torch.manual_seed(0)
    cell = Basic(stage=3, channels=8, stride=2, se=SEConfig(reduction=2, integration=integration))
    module = build_part(Part(layer=cell, in_shape=Shape(6, 9))).eval()
    se = next(m for m in module.modules() if isinstance(m, SqueezeExcite))
    at = {place: se if place == integration else nn.Identity() for place in get_args(Integration)}
    x = torch.randn(2, 6, 9, 9)
    layers = dict(module.get_submodule("sum.branch").named_children())
    middle = torch.relu(layers["norm1"](layers["conv1"](at["pre"](x))))
    out = layers["norm2"](layers["conv2"](at["inner"](middle)))
    skip = torch.zeros(2, 8, 5, 5)
    skip[:, :6] = x[:, :, ::2, ::2]
    expected = at["post"](torch.relu(at["standard"](out) + at["identity"](skip)))
    torch.testing.assert_close(module(x), expected)


def test_an_se_block_survives_pickling():
    for se in EVERY_SE:
        block = SqueezeExcite(8, se).eval()
        x = torch.randn(2, 8, 5, 5)
        assert torch.equal(pickle.loads(pickle.dumps(block))(x), block(x))


@pytest.mark.slow  # runs a network of each shipped space
def test_networks_give_logits_and_depend_on_the_seed_alone():
    rng = np.random.default_rng(0)
    for name in shipped_spaces():
        arch = smaller(load_space(name)).random(rng)
        images = torch.randn(2, arch.input.channels, arch.input.size, arch.input.size)
        state = torch.random.get_rng_state()
        first, same, other = (build_network(arch, seed=seed).eval()(images) for seed in (1, 1, 2))
        assert torch.equal(torch.random.get_rng_state(), state)
        assert first.shape == (2, arch.head.classes)
        assert torch.equal(first, same)
        assert not torch.equal(first, other)


GRAPHED = {f"resnet20-{se}": reference("resnet20", se=se, input_size=15) for se in EVERY_SE[::7]}
GRAPHED |= {name: reference(name, se=SEConfig(reduction=4, squeeze="max"), input_size=96) for name in REFERENCES}


@pytest.mark.slow  # runs and traces every reference
@pytest.mark.parametrize("arch", GRAPHED.values(), ids=GRAPHED)
def test_the_graph_has_the_shapes_that_the_network_really_produces(arch):
    graph = architecture_graph(arch)
    assert nx.is_directed_acyclic_graph(graph)
    assert set(nx.descendants(graph, "input")) == set(graph) - {"input"}
    assert set(nx.ancestors(graph, "output")) == set(graph) - {"output"}

    network, produced = build_network(arch).eval(), {}
    for name, module in network.named_modules():
        if not list(module.children()):
            module.register_forward_hook(
                lambda _m, _i, out, name=name: produced.__setitem__(name, tuple(out.shape))  # type: ignore[misc]
            )
    network(torch.zeros(1, 3, arch.input.size, arch.input.size))
    empty = {name for name, module in network.named_modules() if isinstance(module, nn.Sequential) and not len(module)}
    modules = {name: shape for name, shape in produced.items() if name not in empty}
    assert {name: graph.nodes[name]["shape"] for name in modules} == modules
    # What the description says flows into each cell is what the graph says flows out of the one before.
    for index, part in enumerate(list(arch.parts())[1:-1]):
        inside = [name for name in graph if graph.nodes[name]["cell"] == index]
        sources = {
            graph.nodes[source]["shape"]
            for name in inside
            for source in graph.predecessors(name)
            if graph.nodes[source]["cell"] != index
        }
        assert sources == {(1, part.in_shape.channels, part.in_shape.size, part.in_shape.size)}
        assert {graph.nodes[name]["stage"] for name in inside} == {arch.cells[index].stage}


def test_the_graph_knows_what_belongs_to_se():
    arch = reference("resnet20", se=SEConfig(reduction=4), se_stages=(4,))
    graph = architecture_graph(arch)
    in_se = [data for _, data in graph.nodes(data=True) if data["se"]]
    assert {data["stage"] for data in in_se} == {4}
    operations = [data["operation"] for data in in_se]
    assert operations.count("linear") == 2 * 3
    assert operations.count("global_avg_pool") == operations.count("mul") == operations.count("sigmoid") == 3
    assert not any(data["se"] for _, data in architecture_graph(arch.without_se()).nodes(data=True))
    assert graph.nodes["cells.0.sum.branch.conv1"]["operation"] == "conv"


def test_a_fused_se_block_refuses_to_lose_gradients():
    block = FusedSqueezeExcite(SqueezeExcite(8, SEConfig(reduction=4)))
    with pytest.raises(RuntimeError, match="no backward pass"):
        block(torch.ones(1, 8, 2, 2))


@needs_cuda
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.float16, 4e-3), (torch.bfloat16, 3e-2)])
def test_an_se_block_computes_on_a_gpu_what_it_computes_in_double_precision(dtype, error, memory_format, fused):
    for se in EVERY_SE:
        shapes = ((64, 7, 7), (48, 1, 1), (96, 20, 3))[: None if se.excitation == "sigmoid" else 1]
        for channels, height, width in shapes:  # few, since each is compiled
            block = SqueezeExcite(channels, se).double()
            x = torch.randn(3, channels, height, width, dtype=torch.float64)
            with torch.inference_mode(), tf32_products(False):
                expected = block(x)
                on_gpu = block.to("cuda", dtype)
                if fused:
                    on_gpu = fuse_squeeze_excite(on_gpu)
                found = on_gpu(x.to("cuda", dtype).contiguous(memory_format=memory_format)).double().cpu()
            assert float((found - expected).norm() / expected.norm()) < error, (se, channels)


@needs_cuda
def test_a_network_with_fused_se_blocks_gives_the_same_logits_on_a_gpu():
    network = build_network(reference("resnet20", se=SEConfig(reduction=4))).eval().cuda()
    images = torch.randn(4, 3, 32, 32, device="cuda")
    with torch.inference_mode(), tf32_products(False):
        expected = network(images)
        blocks = sum(isinstance(module, SqueezeExcite) for module in network.modules())
        assert fuse_squeeze_excite(network) is network
        assert blocks == 9
        assert not any(isinstance(module, SqueezeExcite) for module in network.modules())
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)
