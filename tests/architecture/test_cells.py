"""The contract of every kind of cell, and that adding one touches one file and one registration."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest
import torch

from senas.architecture.cells.basic import Basic
from senas.architecture.cells.bottleneck import Bottleneck
from senas.architecture.cells.cell import Cell
from senas.architecture.cells.inception import Inception
from senas.architecture.cells.inception_resnet import InceptionReduction, InceptionResNet
from senas.architecture.cells.mbconv import MBConv
from senas.architecture.cells.plain import PlainConv, Separable
from senas.architecture.cells.preactivation import PreActivationBasic, PreActivationBottleneck
from senas.architecture.cells.shake_shake import ShakeShake
from senas.architecture.cells.shuffle import ShuffleUnit
from senas.architecture.layers.heads import LinearHead
from senas.architecture.layers.layout import Chain, Concat, Shape, Sum
from senas.architecture.layers.operations import SE, Conv, Flatten, GlobalPool, Linear
from senas.architecture.layers.stems import ConvStem
from senas.architecture.network import Architecture, Input, Part
from senas.architecture.se import Integration, SEConfig
from senas.costs.flops import complexity, whole_network_complexity
from senas.errors import SenasError
from senas.nn.build import build
from senas.nn.network import build_part
from senas.nn.se import SqueezeExcite

ROOT = Path(__file__).parents[2]
EVERYWHERE = frozenset(get_args(Integration))

# What flows in, a cell, where it hosts SE.
CASES: list[tuple[Shape, Cell, frozenset[str]]] = [
    (Shape(16, 9), Basic(stage=2, channels=16), EVERYWHERE),
    (Shape(8, 9), Basic(stage=2, channels=16, stride=2), EVERYWHERE),
    (Shape(8, 9), Basic(stage=2, channels=12, stride=2, shortcut="projection"), EVERYWHERE),
    (Shape(16, 9), Bottleneck(stage=2, channels=16), EVERYWHERE),
    (Shape(8, 9), Bottleneck(stage=2, channels=32, stride=2), EVERYWHERE),
    (Shape(8, 9), Bottleneck(stage=2, channels=32, stride=2, expansion=2, groups=4, strided="3x3"), EVERYWHERE),
    (Shape(16, 9), PreActivationBasic(stage=2, channels=16), EVERYWHERE),
    (Shape(8, 9), PreActivationBasic(stage=2, channels=16, stride=2), EVERYWHERE),
    (Shape(8, 9), PreActivationBasic(stage=2, channels=16, stride=2, shortcut="projection"), EVERYWHERE),
    (Shape(16, 9), PreActivationBottleneck(stage=2, channels=16), EVERYWHERE),
    (Shape(8, 9), PreActivationBottleneck(stage=2, channels=16, stride=2), EVERYWHERE),
    (Shape(8, 9), ShakeShake(stage=2, channels=8), EVERYWHERE),
    (Shape(8, 9), ShakeShake(stage=2, channels=12, stride=2), EVERYWHERE),
    (Shape(8, 9), PlainConv(stage=2, channels=12), frozenset({"standard", "pre"})),
    (Shape(8, 9), PlainConv(stage=2, channels=12, stride=2), frozenset({"standard", "pre"})),
    (Shape(8, 9), Separable(stage=2, channels=12, stride=2), frozenset({"standard", "pre", "inner"})),
    (Shape(24, 9), ShuffleUnit(stage=2, channels=24), EVERYWHERE),
    (Shape(12, 9), ShuffleUnit(stage=2, channels=48, stride=2), EVERYWHERE),
    (Shape(8, 9), ShuffleUnit(stage=2, channels=48, stride=2, grouped_entry=False, groups=4), EVERYWHERE),
    (
        Shape(8, 9),
        Inception(stage=2, pointwise=4, single=(4, 6), double=(4, 6), pooling="avg", pooled=5),
        frozenset({"standard", "pre"}),
    ),
    (
        Shape(8, 10),
        Inception(stage=2, pointwise=0, single=(4, 6), double=(4, 6), pooling="max", pooled=0, stride=2),
        frozenset({"standard", "pre"}),
    ),
    *(
        (Shape(8, 9), InceptionResNet(stage=2, module=module, scale=0.2), EVERYWHERE - {"inner"})
        for module in ("a", "b", "c")
    ),
    *(
        (Shape(8, 9), InceptionReduction(stage=2, module=module), frozenset({"standard", "pre"}))
        for module in ("a", "b")
    ),
    (Shape(8, 9), MBConv(stage=2, channels=8, kernel=5, activation="hardswish"), EVERYWHERE),
    (
        Shape(8, 9),
        MBConv(stage=2, channels=12, stride=2, expansion=1.0, activation="silu"),
        frozenset({"standard", "pre", "inner"}),
    ),
]
HOSTED = [(in_shape, cell, place) for in_shape, cell, places in CASES for place in sorted(places)]


def with_se(cell: Cell, place: str, **changes) -> Cell:
    return replace(cell, se=SEConfig(**{"reduction": 2, "integration": place, **changes}))


def made(kind: Any, **values: Any) -> object:
    return kind(**values)


def label(value: object) -> str | None:
    return value.kind if isinstance(value, Cell) else value if isinstance(value, str) else None


def test_every_kind_is_tested():
    assert {cell.kind for _, cell, _ in CASES} == set(Cell.kinds)


@pytest.mark.parametrize(("in_shape", "cell", "places"), CASES, ids=label)
def test_a_cell_says_where_it_hosts_se(in_shape, cell, places):
    assert {operation.place for operation in cell.layout(in_shape).walk() if isinstance(operation, SE)} == places
    for place in EVERYWHERE - places:
        with pytest.raises(SenasError) as caught:
            Part(layer=with_se(cell, place), in_shape=in_shape).out_shape  # noqa: B018
        message = str(caught.value)
        assert f"stage 2: {cell.kind} cell: SE integration: found '{place}'" in message
        assert f"allowed: {', '.join(sorted(places))}" in message


@pytest.mark.parametrize(("in_shape", "cell", "place"), HOSTED, ids=label)
def test_a_cell_trains_and_its_shape_is_the_described_one(in_shape, cell, place):
    torch.manual_seed(0)
    part = Part(layer=with_se(cell, place), in_shape=in_shape)
    module = build_part(part)
    x = torch.randn(4, in_shape.channels, in_shape.size, in_shape.size, requires_grad=True)
    before = x.detach().clone()
    out = module(x)
    assert out.shape == (4, part.out_shape.channels, part.out_shape.size, part.out_shape.size)
    out.square().mean().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert torch.equal(x, before), "what flows in must not be overwritten: it flows into the skip path as well"
    assert any(isinstance(block, SqueezeExcite) for block in module.modules())


@pytest.mark.parametrize(("in_shape", "cell", "place"), HOSTED, ids=label)
def test_an_open_gate_changes_nothing_and_a_shut_one_does(in_shape, cell, place):
    """A gate of one everywhere is no SE; the weights of both cells are the same otherwise."""
    plain = build_part(Part(layer=cell, in_shape=in_shape)).eval()
    hosting = build_part(Part(layer=with_se(cell, place, excitation="hardsigmoid"), in_shape=in_shape)).eval()
    gates = [module for module in hosting.modules() if isinstance(module, SqueezeExcite)]
    missing, unexpected = hosting.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert all(".se." in name or name.startswith("se.") for name in missing)
    x = torch.randn(2, in_shape.channels, in_shape.size, in_shape.size)

    def gated(bias: float) -> torch.Tensor:
        for gate in gates:
            torch.nn.init.zeros_(gate.expand.weight)  # type: ignore[arg-type]
            torch.nn.init.constant_(gate.expand.bias, bias)  # type: ignore[arg-type]
        return hosting(x)

    torch.testing.assert_close(gated(9.0), plain(x))  # hardsigmoid(9) is exactly 1
    assert not torch.allclose(gated(-9.0), plain(x))  # hardsigmoid(-9) is exactly 0


@pytest.mark.parametrize(("in_shape", "cell", "places"), CASES, ids=label)
def test_a_cell_keeps_its_identity_in_json_and_in_names(in_shape, cell, places):
    arch = Architecture(
        input=Input(channels=3, size=in_shape.size),
        stem=ConvStem(channels=in_shape.channels),
        cells=(with_se(cell, "standard"),),
        head=LinearHead(classes=2),
    )
    again = Architecture.from_json(arch.to_json())
    assert again == arch
    assert again.digest == arch.digest
    part = list(arch.parts())[1]
    assert part.key.startswith("cell(")
    assert part.key.endswith(f"se=(reduction=2)) on {in_shape.channels}x{in_shape.size}x{in_shape.size}")
    assert complexity(arch) == whole_network_complexity(arch)


def test_branches_that_disagree_are_refused_in_one_line():
    cell = Inception(stage=4, pointwise=0, single=(4, 6), double=(4, 6), pooling="max", pooled=0, stride=2)
    with pytest.raises(SenasError) as caught:  # of 9 pixels strided convolutions make 5, the unpadded pooling 4
        Part(layer=cell, in_shape=Shape(8, 9)).out_shape  # noqa: B018
    assert str(caught.value) == (
        "stage 4: inception cell: size of a concatenation: found 5 from conv3x3, 5 from double3x3, 4 from pool, "
        "expected the same from all"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: made(Basic, stage=2, channels=0), "basic: channels: found 0, allowed: 1 to 8192"),
        (lambda: made(Basic, stage=2, channels=10**6), "basic: channels: found 1000000, allowed: 1 to 8192"),
        (lambda: made(Basic, stage=0, channels=8), "basic: stage: found 0, allowed: 1 to 99"),
        (lambda: made(Basic, stage=2, channels=8, stride=True), "basic: stride: found True, expected a whole number"),
        (
            lambda: made(Basic, stage=2, channels=8, shortcut="padd"),
            "basic: shortcut: found 'padd', did you mean 'pad'?",
        ),
        (
            lambda: made(Bottleneck, stage=2, channels=8, expansion=0),
            "bottleneck: expansion: found 0, allowed: 1 to 64",
        ),
        (lambda: made(Bottleneck, stage=2, channels=8, strided="5x5"), "bottleneck: strided: found '5x5'"),
        (lambda: made(MBConv, stage=2, channels=8, expansion=-3), "mbconv: expansion: found -3.0, allowed: 1 to 64"),
        (
            lambda: made(InceptionResNet, stage=2, module="d", scale=0.1),
            "inception_resnet: module: found 'd', allowed: a, b, c",
        ),
        (
            lambda: made(InceptionReduction, stage=2, module="c"),
            "inception_reduction: module: found 'c', allowed: a, b",
        ),
        (
            lambda: made(Inception, stage=2, pointwise=4, single=(4,), double=(4, 6), pooling="avg", pooled=5),
            "inception: single: found [4], expected a list of 2",
        ),
        (
            lambda: made(Inception, stage=2, pointwise=4, single=(4, 4), double=(4, 6), pooling="mean", pooled=5),
            "inception: pooling: found 'mean'",
        ),
        (lambda: made(LinearHead, classes=0), "linear: classes: found 0, allowed: 1 to 8192"),
        (lambda: made(ConvStem, channels=8, kernel=0), "conv: kernel: found 0, allowed: 1 to 31"),
        (lambda: made(ConvStem, channels=8, activation="gelu"), "conv: activation: found 'gelu'"),
        (lambda: Conv(8, 3, stride=0), "convolution: stride: found 0, expected a whole number of at least 1"),
        (
            lambda: Conv(8, (1, 7), padding=0).shape(Shape(4, 9)),
            "convolution of 1x7: found maps that are no longer square",
        ),
        (lambda: Linear(8).shape(Shape(4, 9)), "linear layer: found 9x9 pixels, expected a flattened map"),
        (
            lambda: Conv(8192, 3).shape(Shape(8192, 1)),
            "convolution: found 603979776 weights, allowed: at most 268435456",
        ),
        (lambda: Sum(only=Chain()), "branches: found 1, allowed: at least 2"),
        (lambda: Sum(**{"a.b": Chain(), "c": Chain()}), "branch: found 'a.b', expected a name of letters"),
    ],
)
def test_a_wrong_field_is_refused_in_one_line(make, message):
    with pytest.raises(SenasError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_whole_number_where_a_float_belongs_is_the_same_cell():
    whole, real = (MBConv(stage=2, channels=8, expansion=value) for value in (3, 3.0))
    keys = {Part(layer=cell, in_shape=Shape(8, 9)).key for cell in (whole, real)}
    assert whole == real
    assert len(keys) == 1


def test_names_of_all_cases_differ():
    keys = {Part(layer=with_se(cell, place), in_shape=in_shape).key for in_shape, cell, place in HOSTED}
    assert len(keys) == len(HOSTED)


def rebuilt(cell: Cell, in_shape: Shape, place: str) -> tuple[torch.nn.Module, dict, dict]:
    """The module of a cell, its layers by name, and what stands at each place: the SE block or nothing."""
    torch.manual_seed(0)
    module = build_part(Part(layer=with_se(cell, place), in_shape=in_shape)).eval()
    se = next(m for m in module.modules() if isinstance(m, SqueezeExcite))
    at = {each: se if each == place else torch.nn.Identity() for each in EVERYWHERE}
    return module, dict(module.named_modules()), at


def through(layers: dict, prefix: str, *names: str):
    def apply(x: torch.Tensor) -> torch.Tensor:
        for name in names:
            x = torch.relu(x) if name == "relu" else layers[f"{prefix}{name}"](x)
        return x

    return apply


@pytest.mark.parametrize("place", sorted(EVERYWHERE))
def test_a_bottleneck_hosts_se_where_the_paper_says(place):
    module, layers, at = rebuilt(Bottleneck(stage=2, channels=16, stride=2), Shape(8, 9), place)
    x = torch.randn(2, 8, 9, 9)
    branch, skip = "sum.branch.", "sum.skip."
    out = through(layers, branch, "conv1", "norm1", "relu", "conv2", "norm2", "relu")(at["pre"](x))
    out = at["standard"](through(layers, branch, "conv3", "norm3")(at["inner"](out)))
    expected = at["post"](torch.relu(out + at["identity"](through(layers, skip, "conv", "norm")(x))))
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("place", sorted(EVERYWHERE))
def test_a_preactivation_cell_hosts_se_in_its_branch_on_its_skip_path_or_after_both(place):
    module, layers, at = rebuilt(PreActivationBasic(stage=2, channels=12, stride=2), Shape(8, 9), place)
    x = torch.randn(2, 8, 9, 9)
    out = through(layers, "sum.branch.", "norm1", "relu", "conv1", "norm2", "relu")(at["pre"](x))
    out = at["standard"](through(layers, "sum.branch.", "conv2")(at["inner"](out)))
    skip = torch.zeros(2, 12, 5, 5)
    skip[:, :8] = x[:, :, ::2, ::2]
    torch.testing.assert_close(module(x), at["post"](out + at["identity"](skip)))


def test_the_first_unit_of_a_preactivation_network_activates_before_it_splits():
    cell = PreActivationBasic(stage=2, channels=8, shared=True)
    module, layers, _ = rebuilt(cell, Shape(8, 9), "standard")
    x = torch.randn(2, 8, 9, 9)
    start = torch.relu(layers["norm"](x))
    torch.testing.assert_close(module(x), start + layers["sum.branch"](start))


@pytest.mark.parametrize("place", sorted(EVERYWHERE))
def test_an_mbconv_hosts_se_after_its_depthwise_convolution_or_around(place):
    module, layers, at = rebuilt(MBConv(stage=2, channels=8), Shape(8, 9), place)
    x = torch.randn(2, 8, 9, 9)
    out = through(layers, "sum.branch.", "conv1", "norm1", "relu", "conv2", "norm2", "relu")(at["pre"](x))
    out = at["standard"](through(layers, "sum.branch.", "conv3", "norm3")(at["inner"](out)))
    torch.testing.assert_close(module(x), at["post"](out + at["identity"](x)))


@pytest.mark.parametrize("place", sorted(EVERYWHERE))
def test_a_strided_shuffle_unit_hosts_se_before_its_halves_are_joined(place):
    module, layers, at = rebuilt(ShuffleUnit(stage=2, channels=48, stride=2), Shape(12, 9), place)
    x = torch.randn(2, 12, 9, 9)
    branch = "concat.branch."
    out = through(layers, branch, "conv1", "norm1", "relu")(at["pre"](x))
    out = out.reshape(2, 3, 4, 9, 9).transpose(1, 2).reshape(2, 12, 9, 9)  # 3 groups of 4 channels, dealt out in turn
    out = at["inner"](through(layers, branch, "conv2", "norm2")(out))
    out = at["standard"](through(layers, branch, "conv3", "norm3")(out))
    pooled = torch.nn.functional.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)
    expected = at["post"](torch.relu(torch.cat([at["identity"](pooled), out], dim=1)))
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_second_flow_of_a_shake_shake_skip_path_is_shifted_by_a_pixel(stride):
    _, layers, _ = rebuilt(ShakeShake(stage=2, channels=8, stride=stride), Shape(4, 6), "standard")
    x = torch.rand(2, 4, 6, 6)  # positive, so that ReLU changes nothing
    shifted = torch.zeros_like(x)
    shifted[:, :, 1:, 1:] = x[:, :, :-1, :-1]
    skip = "sum.skip.concat."
    for flow, seen in (("first", x), ("second", shifted)):
        expected = layers[f"{skip}{flow}.conv"](seen[:, :, ::stride, ::stride])
        torch.testing.assert_close(layers[f"{skip}{flow}"](x), expected)


def test_shake_shake_mixes_at_random_in_training_and_evenly_in_evaluation():
    torch.manual_seed(0)
    module = build_part(Part(layer=ShakeShake(stage=2, channels=4), in_shape=Shape(4, 5)))
    x = torch.randn(64, 4, 5, 5)
    shake = module.get_submodule("sum.branches")
    first, second = (branch.eval() for branch in shake.children())
    a, b = first(x).detach(), second(x).detach()
    shake.training = True
    mixed = shake(x).detach()
    share = ((mixed - b) / (a - b)).flatten(1).median(1).values  # alpha of each image
    torch.testing.assert_close(mixed, share[:, None, None, None] * (a - b) + b, rtol=1e-3, atol=1e-3)
    assert share.min() >= -1e-3
    assert share.max() <= 1 + 1e-3
    assert share.std() > 0.15  # of U(0, 1): 0.29
    shake.training = False
    torch.testing.assert_close(shake(x).detach(), 0.5 * (a + b))


def test_shake_shake_draws_other_numbers_for_the_gradient():
    torch.manual_seed(0)
    shake = build_part(Part(layer=ShakeShake(stage=2, channels=4), in_shape=Shape(4, 5))).get_submodule("sum.branches")
    x = torch.randn(32, 4, 5, 5)
    kept = []

    def keep(_module, _inputs, out):
        out.retain_grad()
        kept.append(out)

    for branch in shake.children():
        branch.eval()
        branch.register_forward_hook(keep)
    shake.training = True
    out = shake(x)
    out.sum().backward()
    beta = kept[0].grad.flatten(1)[:, 0]  # the same at every pixel of an image
    torch.testing.assert_close(kept[0].grad, beta[:, None, None, None].expand_as(out))
    torch.testing.assert_close(kept[1].grad, (1 - beta)[:, None, None, None].expand_as(out))
    alpha = ((out - kept[1]) / (kept[0] - kept[1])).detach().flatten(1).median(1).values
    assert abs(torch.corrcoef(torch.stack([alpha, beta]))[0, 1]) < 0.5  # of 32 independent pairs


def test_what_is_no_kind_of_cell_is_not_registered():
    class Bare(Cell):
        def layout(self, in_shape):
            return Chain()

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Basic2(Cell):
        kind: ClassVar[str] = "basic"

        def layout(self, in_shape):
            return Chain()

    with pytest.raises(SenasError, match="Bare: expected a data class, a subclass of Cell with a `kind`"):
        Cell.register(Bare)
    with pytest.raises(SenasError, match="SEConfig: expected a data class, a subclass of Cell with a `kind`"):
        Cell.register(SEConfig)
    with pytest.raises(SenasError, match="Basic2: kind: found 'basic', which is the kind of Basic"):
        Cell.register(Basic2)
    assert Cell.kinds["basic"] is Basic


def test_a_cell_that_is_not_registered_is_in_no_architecture():
    @dataclass(frozen=True, kw_only=True, slots=True)
    class Mine(Basic):  # has the kind of `Basic` without being it
        def layout(self, in_shape):
            return Chain()

    with pytest.raises(SenasError, match="cell: found a Mine, expected a registered kind of Cell"):
        Architecture(
            input=Input(channels=3, size=9),
            stem=ConvStem(channels=8),
            cells=(Mine(stage=2, channels=8),),
            head=LinearHead(classes=2),
        )


def test_a_head_that_gives_other_classes_than_it_says_is_refused():
    @dataclass(frozen=True, kw_only=True, slots=True)
    class Three(LinearHead):
        def layout(self, in_shape):
            return Chain(GlobalPool(), Flatten(), Linear(3))

    with pytest.raises(SenasError, match="head: classes: found a layout that gives 3, expected 10"):
        Part(layer=Three(classes=10), in_shape=Shape(8, 4)).out_shape  # noqa: B018


def test_a_branch_that_torch_cannot_name_is_refused():
    with pytest.raises(SenasError, match="branch: found 'double', allowed"):
        build(Concat(double=Chain(), other=Chain()), Shape(4, 4))


@pytest.mark.slow  # a copy of the package in a process of its own
def test_adding_a_cell_touches_one_file_and_one_registration(tmp_path):
    """The cell of docs/recipes/cell.md in a copy of the package: a new file and its registration, no more."""
    text = (ROOT / "docs" / "recipes" / "cell.md").read_text()
    block = re.search(r"```python\n# ghost\.py\n(.*?)```", text, re.DOTALL)
    assert block
    source, registration = block[1].split("senas.Cell.register(Ghost)")
    assert not registration.strip()
    for folder in ("senas", "search_spaces", "profiles"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    source = source.replace("import senas\n", "from senas.architecture.cells.cell import Cell\n")
    source = source.replace("from senas.architecture import", "from senas.architecture.layers import").replace(
        "senas.Cell", "Cell"
    )
    (tmp_path / "senas" / "architecture" / "cells" / "ghost.py").write_text(source)
    with (tmp_path / "senas" / "architecture" / "cells" / "__init__.py").open("a") as file:
        file.write("from senas.architecture.cells.ghost import Ghost\n\nCell.register(Ghost)\n")
    code = """
import networkx, torch, senas
from senas.architecture import ConvStem, LinearHead, REFERENCES
from senas.architecture.cells import Ghost
from senas.costs import whole_network_complexity

def net(se=None):
    cells = Ghost(stage=2, channels=8, se=se), Ghost(stage=3, channels=16, stride=2, se=se)
    return senas.Architecture(
        input=senas.Input(channels=1, size=8), stem=ConvStem(channels=4), cells=cells, head=LinearHead(classes=3)
    )

for place in "standard", "pre", "inner":
    arch = net(senas.SEConfig(reduction=2, integration=place))
    assert senas.Architecture.from_json(arch.to_json()) == arch
    assert senas.complexity(arch) == whole_network_complexity(arch)
    assert networkx.is_directed_acyclic_graph(senas.architecture_graph(arch))
    network = senas.build_network(arch)
    network(torch.randn(2, 1, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
REFERENCES["ghost"] = net
with open("ghost.toml", "w") as file:
    file.write('name = "g"\\nbackbone = "ghost"\\ninput = { channels = 1, size = 8 }\\nclasses = 3\\n'
               '[se]\\nreduction = [2]\\nintegration = ["inner"]\\n[width]\\nstage.2 = [8, 12]\\n')
print(senas.load_space("ghost.toml").size)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "8", done.stderr  # two widths, SE or not in two cells
