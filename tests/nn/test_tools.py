"""Networks under torch's tools: hooks, copies, TorchScript, export, quantisation, number formats, memory formats."""

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from check_export import settled
from test_modules import EVERY_SE
from torch import Tensor, nn

from senas.architecture.references.catalogue import REFERENCES, reference
from senas.architecture.se import SEConfig
from senas.nn.network import Network, build_network
from senas.nn.se import SqueezeExcite

BLOCKS = [se for se in EVERY_SE if se.integration == "standard"]


def older_onnx(network: nn.Module, images: Tensor) -> Tensor:
    """What ONNX Runtime makes of the file of torch's older exporter, at another batch size than it was traced with."""
    runtime = pytest.importorskip("onnxruntime")
    file: Any = io.BytesIO()  # which the older exporter takes, though its types say otherwise
    torch.onnx.export(network, (images[:1],), file, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"x": images.numpy()})[0])


def exported(network: nn.Module, images: Tensor) -> Tensor:
    batch = {0: torch.export.Dim("batch")}
    return torch.export.export(network, (images[:2],), dynamic_shapes=(batch,)).module()(images)


# Each returns the logits of a network that a tool has changed, with the largest relative difference allowed: networks
# of random weights amplify the rounding of number formats.
TOOLS: dict[str, tuple[float, Callable[[nn.Module, Tensor], Tensor]]] = {
    "deepcopy": (0, lambda network, x: copy.deepcopy(network)(x)),
    "pickle": (0, lambda network, x: pickle.loads(pickle.dumps(network))(x)),
    "trace": (1e-5, lambda network, x: torch.jit.trace(network, x[:1])(x)),  # type: ignore[operator]
    "script": (1e-5, lambda network, x: torch.jit.script(network)(x)),
    "export": (1e-5, exported),
    "older ONNX exporter": (1e-4, older_onnx),
    "channels_last": (
        1e-5,
        lambda network, x: network.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last)),  # type: ignore[call-overload]
    ),
    "quantize_dynamic": (0.5, lambda network, x: torch.ao.quantization.quantize_dynamic(network)(x)),
    "bfloat16": (0.5, lambda network, x: network.bfloat16()(x.bfloat16()).float()),
    "half": (0.5, lambda network, x: network.half()(x.half()).float()),
}


def check(name: str, size: int, *tools: str) -> None:
    images = torch.randn(16, 3, size, size, generator=torch.Generator().manual_seed(0))
    arch = reference(name, se=SEConfig(reduction=4, squeeze="max", excitation="tanh"), input_size=size)
    network = settled(build_network(arch), images)
    images = images[:3]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates some of its tools
        expected = network(images)
        for tool in tools:
            allowed, use = TOOLS[tool]
            found = use(copy.deepcopy(network), images)
            assert float((found - expected).abs().max() / expected.abs().max()) <= allowed, tool


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(("name", "size"), [("resnet20", 16), ("shufflenet", 32)])
def test_a_network_can_be_used_with_a_tool_of_torch(name, size, tool):
    check(name, size, tool)


DEEPER = {"resnet101", "resnet152", "resnext101", "resnet110"}  # with the cells of others, only more of them


@pytest.mark.slow  # large networks
@pytest.mark.parametrize("name", sorted(set(REFERENCES) - DEEPER - {"resnet20", "shufflenet"}))
def test_every_reference_can_be_used_with_the_tools_of_torch(name):
    smallest = {"inception_resnet_v2": 75, "bn_inception": 64, "shake_shake_26_2x96d": 8, "wrn16_8": 8}
    check(name, smallest.get(name, 32), *TOOLS)


@pytest.mark.parametrize("se", BLOCKS, ids=str)
def test_hooks_on_the_layers_of_an_se_block_run(se):
    block, x, seen = SqueezeExcite(8, se), torch.randn(2, 8, 5, 5, requires_grad=True), []
    expected = block(x)
    for layer in (block.reduce, block.expand):
        layer.register_forward_pre_hook(lambda _layer, _inputs: seen.append("before"))
        layer.register_forward_hook(lambda _layer, _inputs, _output: seen.append("after"))
        layer.register_full_backward_hook(lambda _layer, _before, _after: seen.append("backward"))
    found = block(x)
    found.sum().backward()
    assert seen == [*["before", "after"] * 2, *["backward"] * 2]
    torch.testing.assert_close(found, expected)


def test_hooks_on_all_modules_see_the_layers_of_an_se_block():
    block, seen = SqueezeExcite(8, SEConfig(reduction=4)), []
    handle = nn.modules.module.register_module_forward_hook(lambda module, _inputs, _output: seen.append(module))
    block(torch.randn(2, 8, 5, 5))
    handle.remove()
    assert seen == [block.reduce, block.expand, block]


def test_layers_of_an_se_block_can_be_replaced():
    block, x = SqueezeExcite(8, SEConfig(reduction=4)), torch.randn(2, 8, 5, 5)
    block.expand = nn.Sequential(nn.Linear(2, 8), nn.Threshold(torch.inf, 0.0))  # type: ignore[assignment]
    torch.testing.assert_close(block(x), x * 0.5)  # sigmoid(0)


@pytest.mark.parametrize("se", BLOCKS, ids=str)
def test_an_se_block_can_be_compiled_by_torchscript(se):
    block, x = SqueezeExcite(8, se), torch.randn(2, 8, 5, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.equal(torch.jit.script(block)(x), block(x))


def test_shake_shake_can_be_compiled_by_torchscript_for_training():
    network: Network = build_network(reference("shake_shake_26_2x96d", input_size=8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(network.get_submodule("cells.0"))
    assert scripted(torch.randn(4, 16, 8, 8)).shape == (4, 96, 8, 8)
