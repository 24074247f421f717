"""Architectures: round trip, identity, and what cannot be built."""

import subprocess
import sys

import numpy as np
import pytest

from senas.architecture.cells.basic import Basic
from senas.architecture.layers.heads import LinearHead
from senas.architecture.layers.stems import ConvStem
from senas.architecture.network import Architecture, Input
from senas.architecture.references.catalogue import reference
from senas.architecture.se import SEConfig
from senas.errors import SenasError
from senas.spaces.toml_file import load_space, shipped_spaces


def test_json_round_trip_over_all_shipped_spaces():
    rng = np.random.default_rng(0)
    for name in shipped_spaces():
        space = load_space(name)
        for _ in range(20):
            arch = space.random(rng)
            again = Architecture.from_json(arch.to_json())
            assert again == arch
            assert hash(again) == hash(arch)
            assert again.digest == arch.digest


def test_the_digest_is_the_same_in_every_process():
    arch = reference("resnet20", se=SEConfig(reduction=16))
    assert arch.digest == "10af7cbb9efb496f"  # a change breaks every run and profile that names architectures
    code = "import senas; print(senas.reference('resnet20', se=senas.SEConfig(reduction=16)).digest)"
    for seed in ("0", "1"):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed})
        assert done.stdout.strip() == arch.digest


def test_shapes_flow_through_resnet20():
    parts = list(reference("resnet20").parts())
    assert [part.in_shape for part in parts] == [
        (3, 32),
        *[(16, 32)] * 4,
        *[(32, 16)] * 3,
        *[(64, 8)] * 3,
    ]


def test_an_odd_size_is_rounded_up():
    parts = list(reference("resnet20", input_size=7).parts())
    assert [part.in_shape.size for part in parts][-1] == 2  # 7 -> ceil(7 / 2) = 4 -> 2


def test_names_of_parts_are_unique():
    for name in shipped_spaces():
        parts = load_space(name).parts
        assert len({part.key for part in parts}) == len(parts)


def test_se_stages_choose_where_the_reference_recalibrates():
    arch = reference("resnet20", se=SEConfig(reduction=8, integration="pre"), se_stages=(3,))
    assert arch.describe_se() == "2[- - -] 3[r8/pre r8/pre r8/pre] 4[- - -]"
    assert arch.without_se() == reference("resnet20")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SEConfig(reduction=0), "SE reduction: found 0, expected a whole number of at least 1"),
        (lambda: SEConfig(reduction=True), "SE reduction: found True"),
        (
            lambda: SEConfig(reduction=4, integration="standart"),  # type: ignore[arg-type]
            "SE integration: found 'standart', did you mean 'standard'? allowed: identity, inner, post, pre, standard",
        ),
        (
            lambda: Architecture.from_json(reference("resnet20").to_json().replace('"basic"', '"basik"')),
            "cells[0]: kind: found 'basik', did you mean 'basic'?",
        ),
        (lambda: Input(channels=3, size=0), "input size: found 0, allowed: 1 to 4096"),
        (
            lambda: reference("resnet20", se=SEConfig(reduction=17)),
            "stage 2: basic cell: SE reduction: found 17, allowed: at most its 16 channels",
        ),
        (lambda: reference("resnet21"), "reference architecture: found 'resnet21', did you mean 'resnet20'?"),
        (lambda: reference("resnet20", se_stages=(5,)), "se_stages of resnet20: found 5, allowed: 2, 3, 4"),
        (
            lambda: Architecture(
                input=Input(channels=1, size=8),
                stem=ConvStem(channels=16),
                cells=(Basic(stage=2, channels=8),),
                head=LinearHead(classes=2),
            ),
            "stage 2: basic cell: a shortcut that pads with zeros: found 8 channels after 16, allowed: at least 16",
        ),
        (
            lambda: Architecture(
                input=Input(channels=1, size=8),
                stem=ConvStem(channels=4),
                cells=(Basic(stage=3, channels=8), Basic(stage=2, channels=8)),
                head=LinearHead(classes=2),
            ),
            "cells: stages: found [3, 2], expected ascending order",
        ),
        (lambda: Architecture.from_json("{"), "architecture: not JSON"),
        (lambda: Architecture.from_json("[]"), "architecture: found [], expected a table of keys and values"),
        (
            lambda: Architecture.from_json('{"stemm": 1}'),
            "architecture: unknown key, found 'stemm', did you mean 'stem'?",
        ),
        (lambda: Architecture.from_json("{}"), "architecture: missing key 'input'"),
        (lambda: Architecture.from_json('{"stem": 1, "stem": 2}'), "not JSON (key 'stem' twice in one object)"),
        (
            lambda: Architecture.from_json(
                reference("resnet20", se=SEConfig(reduction=8)).to_json().replace('"reduction": 8', '"reduction": 0', 1)
            ),
            "architecture: cells[0]: se: SE reduction: found 0, expected a whole number of at least 1",
        ),
        (
            lambda: Architecture.from_json(reference("efficientnet_b0").to_json().replace("6.0", "1" + "0" * 400, 1)),
            "cells[1]: expansion: found 1000",
        ),
        (
            lambda: reference("vgg16", input_size=4096),
            "stage 1: conv cell: convolution: found 1073741824 elements of its output, allowed: at most 67108864",
        ),
        (lambda: SEConfig(reduction=4, bias=0), "SE bias: found 0, expected true or false"),  # type: ignore[arg-type]
        (
            lambda: reference("resnet20", se=SEConfig(reduction=4, multiple=1000)),
            "stage 2: basic cell: SE multiple: found 1000, allowed: at most its 16 channels",
        ),
        (lambda: reference("resnet50", se=SEConfig(reduction=4), se_stages="2"), "found '2', allowed: 2, 3, 4, 5"),  # type: ignore[arg-type]
        (lambda: reference("resnet50", se_stages=(2,)), "found stages without an SE block"),
        (lambda: reference("bn_inception", input_size=71), "stage 4: inception cell: size of a concatenation: found"),
        (
            lambda: Architecture(
                input=Input(channels=1, size=8),
                stem=ConvStem(channels=8),
                cells=[Basic(stage=2, channels=8)],  # type: ignore[arg-type]
                head=LinearHead(classes=2),
            ),
            "cells: found a list, expected a tuple",
        ),
        (
            lambda: Architecture(
                input=Input(channels=1, size=8),
                stem=LinearHead(classes=2),  # type: ignore[arg-type]
                cells=(Basic(stage=2, channels=8),),
                head=LinearHead(classes=2),
            ),
            "stem: found a LinearHead, expected a registered kind of Stem, see Stem.register",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(make, message):
    with pytest.raises(SenasError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cell_before_its_se_reduces_what_flows_in():
    # `pre` sits on the 8 channels flowing in, so r = 9 is too large there but not on the 16 flowing out.
    def arch(integration):
        cells = (Basic(stage=2, channels=16, se=SEConfig(reduction=9, integration=integration)),)
        return Architecture(
            input=Input(channels=1, size=8), stem=ConvStem(channels=8), cells=cells, head=LinearHead(classes=2)
        )

    assert arch("standard")
    with pytest.raises(SenasError, match="at most its 8 channels"):
        arch("pre")
