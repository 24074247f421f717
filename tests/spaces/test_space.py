"""Search spaces: what they contain, how they are drawn from, which files are refused."""

import itertools
import re

import numpy as np
import pytest
from conftest import formula_ms

from senas.architecture.cells.cell import Cell
from senas.architecture.references.catalogue import reference
from senas.errors import SenasError
from senas.spaces.stage import Option
from senas.spaces.toml_file import load_space, shipped_spaces
from senas.testing import SMALL_SPACE


def every_architecture(space):
    labels = [choice.label for choice in space.choices]
    for options in itertools.product(*(choice.options for choice in space.choices)):
        yield space.architecture(dict(zip(labels, options, strict=True)))


def test_size_counts_distinct_architectures(tiny):
    # stage 2: 5 + 5^2 ways over its depths; stage 3: one choice of 3 for both depths, two widths; stage 4: 2
    assert tiny.size == (5 + 25) * (2 * 3 * 2) * 2 == 720
    assert len({arch.digest for arch in every_architecture(tiny)}) == 720


@pytest.mark.parametrize(("name", "path"), shipped_spaces().items())
def test_a_shipped_space_states_its_size(name, path):
    stated = re.search(r"^# ([\d,]+) distinct architectures\.$", path.read_text(), re.MULTILINE)
    assert stated
    assert load_space(path).size == int(stated[1].replace(",", ""))


@pytest.mark.parametrize("name", sorted(shipped_spaces().keys() - {"se-resnet-digits"}))  # that one is for 8x8 images
def test_a_shipped_space_contains_its_backbone_and_can_drop_its_last_se(name):
    space = load_space(name)
    backbone = reference(
        space.backbone,
        input_channels=space.input.channels,
        input_size=space.input.size,
        classes=space.head.classes,
    )
    sample: dict[str, Option] = {}
    for choice in space.choices:
        what, _, where = choice.label.partition(".")
        number = int(where.removeprefix("stage").split(".")[0]) if where.startswith("stage") else 0
        if what == "depth":
            sample[choice.label] = len(backbone.stage(number))
        elif what == "width":
            layer = backbone.stage(number)[0] if number else backbone.stem
            sample[choice.label] = getattr(layer, "channels")  # noqa: B009  # not all layers have it
        else:
            index = int(where.rpartition("cell")[2]) - 1
            cells = backbone.stage(number)
            sample[choice.label] = cells[index].se if index < len(cells) else None
    assert space.architecture(sample) == backbone
    dropped = {label: None if label.startswith("se.") else option for label, option in sample.items()}
    assert space.architecture(dropped) == backbone.without_se()


def test_parts_are_those_of_all_architectures(tiny):
    assert set(tiny.parts) == {part for arch in every_architecture(tiny) for part in arch.parts()}
    assert len(tiny.parts) == len(set(tiny.parts))


def test_cheapest_and_costliest_agree_with_brute_force(tiny):
    rng = np.random.default_rng(3)
    for _ in range(5):
        costs = {part: float(rng.uniform(-1, 1)) for part in tiny.parts}

        def total(arch, costs=costs):
            return sum(costs[part] for part in arch.parts())

        totals = list(map(total, every_architecture(tiny)))
        assert total(tiny.cheapest(costs.__getitem__)) == pytest.approx(min(totals), abs=1e-12)
        assert total(tiny.costliest(costs.__getitem__)) == pytest.approx(max(totals), abs=1e-12)


def test_a_cell_of_the_final_stage_drops_its_se_as_often_as_chance_says():
    for name in shipped_spaces():
        space = load_space(name)
        last = space.stages[-1]
        assert None in last.se
        rng = np.random.default_rng(0)
        first = [space.random(rng).stage(last.number)[0] for _ in range(500)]  # active whatever the depth
        expected = 1 / len(last.se)
        found = np.mean([cell.se is None for cell in first])
        assert abs(found - expected) < 4 * (expected * (1 - expected) / 500) ** 0.5  # four standard errors


def test_every_shipped_space_covers_all_its_options():
    for name in shipped_spaces():
        space = load_space(name)
        rng = np.random.default_rng(1)
        drawn = [space.random(rng) for _ in range(300)]
        for stage in space.stages:
            assert {cell.se for arch in drawn for cell in arch.stage(stage.number)} == set(stage.se)
            assert {len(arch.stage(stage.number)) for arch in drawn} == set(stage.depths)
            widths = {getattr(arch.stage(stage.number)[0], "channels", None) for arch in drawn}
            assert stage.widths == (None,) or widths == set(stage.widths)


def test_a_shared_choice_is_shared(tiny):
    for arch in every_architecture(tiny):
        assert len({cell.se for cell in arch.stage(3)}) == 1


def test_cells_beyond_the_backbone_repeat_the_last_at_stride_1(tmp_path):
    path = tmp_path / "deep.toml"
    path.write_text(SMALL_SPACE.replace("stage.3 = [1, 2]", "stage.3 = [5]"))
    arch = load_space(path).random(np.random.default_rng(0))
    assert [getattr(cell, "stride", None) for cell in arch.stage(3)] == [2, 1, 1, 1, 1]


def test_a_cell_without_a_stride_is_repeated_as_it_is_and_without_channels_not_widened(tmp_path):
    path = tmp_path / "deep.toml"
    text = """
name = "deep"
backbone = "inception_resnet_v2"
input = { channels = 3, size = 96 }
classes = 10
[se]
reduction = [8]
[depth]
stage.3 = [12]
"""
    path.write_text(text)
    arch = load_space(path).random(np.random.default_rng(0))
    assert [cell.kind for cell in arch.stage(3)] == ["inception_resnet"] * 12
    path.write_text(text + "[width]\nstage.3 = [256]\n")
    with pytest.raises(SenasError, match="stage 3: inception_resnet cell: width: found 256, allowed: none"):
        load_space(path)
    path.write_text(text + "[width]\nstem = [256]\n")
    with pytest.raises(SenasError, match="inception_resnet stem: width: found 256, allowed: none"):
        load_space(path)


def test_the_same_generator_draws_the_same_architectures(tiny):
    draws = [[tiny.random(rng).digest for _ in range(20)] for rng in map(np.random.default_rng, (5, 5, 6))]
    assert draws[0] == draws[1] != draws[2]


def test_digest_ignores_the_file_but_not_the_content(tmp_path, tiny):
    other = tmp_path / "other.toml"
    other.write_text("# a comment\n" + SMALL_SPACE)
    assert load_space(other).digest == tiny.digest
    other.write_text(SMALL_SPACE.replace("reduction = [2, 4]", "reduction = [2, 3]"))
    assert load_space(other).digest != tiny.digest


def test_a_wrong_sample_is_refused(tiny):
    sample = tiny.sample(np.random.default_rng(0))
    with pytest.raises(SenasError, match=r"depth\.stage2: found 7, allowed: 1, 2"):
        tiny.architecture({**sample, "depth.stage2": 7})
    del sample["depth.stage2"]
    with pytest.raises(SenasError, match=r"missing choice 'depth\.stage2'"):
        tiny.architecture(sample)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("reduction", "reductoin", "se: unknown key, found 'reductoin', did you mean 'reduction'?"),
        ('name = "tiny"', 'nome = "tiny"', "unknown key, found 'nome', did you mean 'name'?"),
        (
            "reduction = [2, 4]",
            "reduction = [2, 40]",
            "stage 2: basic cell: SE reduction: found 40, allowed: at most its 4 channels",
        ),
        ("reduction = [2, 4]", 'reduction = "2"', "se: reduction: found '2', expected a list"),
        ("reduction = [2, 4]", "reduction = [2.5]", "se: reduction[0]: found 2.5, expected a whole number"),
        ("reduction = [2, 4]", "reduction = [2, 2]", "se.reduction: found the same option twice in [2, 2]"),
        ("reduction = [2, 4]", "off = false", "se: found 0 SE options, allowed: 1 to 1000"),
        # 64 * 2 integrations * 2 squeezes * 4 excitations and "no SE"
        (
            "reduction = [2, 4]",
            f"reduction = {[*range(1, 65)]}\nsqueeze = ['avg', 'max']\n"
            "excitation = ['sigmoid', 'tanh', 'relu', 'hardsigmoid']",
            "se: found 1025 SE options, allowed: 1 to 1000",
        ),
        ('"standard", "pre"', '"standart"', "se: integration[0]: found 'standart', did you mean 'standard'?"),
        ('per = "stage"', 'per = "network"', "per: found 'network', allowed: cell, stage"),
        ("[se.stage.4]", "[se.stage.5]", "se.stage of resnet20: found '5', allowed: 2, 3, 4"),
        ("stage.4 = [1]", "stage.4 = [0]", "depth.stage.4: found 0, allowed: 1 to 256"),
        ("stage.4 = [1]", "stage.4 = []", "depth.stage.4: found an empty list, expected at least one option"),
        (
            "stage.4 = [12]",
            "stage.4 = [10]",
            "stage 4: basic cell: a shortcut that pads with zeros: found 10 channels after 12",
        ),
        ('backbone = "resnet20"', 'backbone = "resnet2"', "found 'resnet2', did you mean 'resnet20'?"),
        ("classes = 10", "", "missing key 'classes'"),
        ("classes = 10", "classes = true", "classes: found True, expected a whole number"),
        ("[se]", "[se", "not a TOML file"),
        (
            "reduction = [2, 4]",
            "reduction = [2, 4]\nmultiple = []",
            "se.multiple: found an empty list, expected at least",
        ),
        ("stage.4 = [12]", f"stage.4 = {list(range(12, 80))}", "width.stage.4: found 68 options, allowed: at most 64"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_that_names_it(tmp_path, old, new, message):
    path = tmp_path / "wrong.toml"
    assert old in SMALL_SPACE
    path.write_text(SMALL_SPACE.replace(old, new, 1))
    with pytest.raises(SenasError) as caught:
        load_space(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_space_names_the_shipped_ones(tmp_path):
    with pytest.raises(SenasError, match="did you mean 'se-resnet-cifar'"):
        load_space("se-resnet-cifr")
    with pytest.raises(SenasError, match="no such file or directory"):
        load_space(tmp_path / "none.toml")


def test_the_cheapest_architecture_has_no_se_and_the_costliest_has_it_everywhere(tiny):
    assert all(cell.se is None for cell in tiny.cheapest(formula_ms).cells)
    assert all(isinstance(cell, Cell) and cell.se for cell in tiny.costliest(formula_ms).cells)
