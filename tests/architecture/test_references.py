"""The networks of the SE paper: complexity to the integer, one training step, round trips."""

import sys

import paper_complexity
import pytest
import torch
from torch.nn import functional as F

from senas.architecture.network import Architecture
from senas.architecture.references.catalogue import REFERENCES, reference
from senas.architecture.se import SEConfig
from senas.costs.breakdown import complexity_breakdown
from senas.costs.flops import complexity, whole_network_complexity
from senas.nn.network import Network, build_network
from senas.nn.weights import read_network, save_network
from senas.report.network_table import complexity_table

# FLOPs and trainable parameters of independent implementations under the paper's conventions: multiply-adds of
# convolutions and linear layers, one per input element of a global pooling, evaluation mode, batch size 1.
EXPECTED = {
    "ResNet-50": (3_858_073_600, 25_557_032),
    "SE-ResNet-50": (3_866_107_904, 28_088_024),
    "ResNet-101": (7_570_294_784, 44_549_160),
    "SE-ResNet-101": (7_583_969_280, 49_326_872),
    "ResNet-152": (11_282_515_968, 60_192_808),
    "SE-ResNet-152": (11_302_240_256, 66_821_848),
    "ResNeXt-50": (4_230_580_224, 25_028_904),
    "SE-ResNeXt-50": (4_238_614_528, 27_559_896),
    "ResNeXt-101": (7_970_097_152, 44_177_704),
    "VGG-16": (15_470_264_320, 138_365_992),
    "SE-VGG-16": (15_484_038_144, 138_596_784),
    "BN-Inception": (2_032_650_240, 11_285_224),
    "SE-BN-Inception": (2_034_470_304, 11_931_622),
    "Inception-ResNet-v2": (13_155_892_320, 55_843_464),
    "SE-Inception-ResNet-v2": (13_175_927_520, 64_387_444),
    "MobileNet": (568_790_528, 4_231_976),
    "SE-MobileNet": (571_979_776, 4_718_044),
    "ShuffleNet": (137_507_712, 1_865_728),
    "SE-ShuffleNet": (139_722_192, 2_484_533),
    "reduction 2": (3_883_712_512, 45_676_584),
    "reduction 4": (3_873_652_736, 35_616_808),
    "reduction 8": (3_868_622_848, 30_586_920),
    "reduction 16": (3_866_107_904, 28_071_976),
    "reduction 32": (3_864_850_432, 26_814_504),
    "SE_Stage_2": (3_860_506_624, 25_581_608),
    "SE_Stage_3": (3_859_810_304, 25_688_104),
    "SE_Stage_4": (3_860_064_256, 26_343_464),
    "SE_All": (3_866_107_904, 28_071_976),
    "integration standard": (3_866_107_904, 28_071_976),
    "integration pre": (3_865_684_480, 27_548_200),
    "integration post": (3_866_107_904, 28_071_976),
    "integration identity": (3_866_107_904, 28_071_976),
    "SE_3x3": (3_859_610_624, 25_714_216),
    "NoSqueeze": (4_269_115_392, 28_071_976),
    "ResNet-20": (40_555_136, 269_722),
    "SE-ResNet-20": (40_643_168, 272_095),
    "ResNet-110": (252_891_776, 1_727_962),
    "SE-ResNet-110": (253_419_968, 1_742_200),
    "ResNet-164": (247_663_104, 1_703_258),
    "WRN-16-8": (1_548_178_432, 10_961_370),
    "Shake-Shake 26 2x96d": (3_776_917_248, 26_192_922),
    "SE-Shake-Shake 26 2x96d": (3_778_487_040, 26_392_170),
    "SE-Shake-Shake 26 2x96d, SE on the sum": (3_777_702_144, 26_292_546),
}


def paper_rows() -> dict[str, paper_complexity.Row]:
    return {row.name: row for row in paper_complexity.rows()}


def recalibrated(name: str, **changes) -> Architecture:
    """The network with SE, its own where it comes with one."""
    plain = reference(name, **changes)
    return plain if any(cell.se for cell in plain.cells) else reference(name, se=SEConfig(reduction=16), **changes)


# Rows that follow from others: squeeze and excitation have no weights; the rest is SE of C channels on maps of size S,
# with hidden = C // 16: one per pooled element and 2 C hidden multiply-adds, 2 C hidden + hidden + C parameters.
SAME_AS_ALL = {"squeeze max", "squeeze avg", "excitation relu", "excitation tanh", "excitation sigmoid"}
PLAIN_AND_SE = {  # plain row: (cells, C, S) of each stage
    "ResNeXt-101": ((3, 256, 56), (4, 512, 28), (23, 1024, 14), (3, 2048, 7)),
    "ResNet-164": ((18, 64, 32), (18, 128, 16), (18, 256, 8)),
    "WRN-16-8": ((2, 128, 32), (2, 256, 16), (2, 512, 8)),
}


@pytest.mark.slow  # traces the networks of the paper's tables
def test_every_row_of_the_paper_counts_to_the_integer():
    expected = EXPECTED | dict.fromkeys(SAME_AS_ALL, EXPECTED["SE_All"])
    for name, stages in PLAIN_AND_SE.items():
        flops, params = EXPECTED[name]
        for cells, c, size in stages:
            flops += cells * (c * size**2 + 2 * c * (c // 16))
            params += cells * (2 * c * (c // 16) + c // 16 + c)
        expected[f"SE-{name}"] = flops, params
    found = {name: complexity(row.architecture) for name, row in paper_rows().items()}
    assert {name: (cost.flops, cost.params) for name, cost in found.items()} == expected


@pytest.mark.slow  # traces the networks of the paper's tables
def test_every_printed_figure_of_the_paper_is_met_or_said_not_to_be():
    rows = paper_rows()
    for name, row in rows.items():
        cost = complexity(row.architecture)
        if row.gflops is not None:  # printed to two digits after the point
            assert (abs(cost.flops / 1e9 / row.gflops - 1) < 0.003) == (not row.unmatched), name
            plain = rows.get(name.removeprefix("SE-"), row)
            if plain is not row and plain.gflops is not None:
                printed, ours = row.gflops - plain.gflops, (cost.flops - complexity(plain.architecture).flops) / 1e9
                assert abs(printed - ours) < 0.011, name  # the difference of two figures rounded to 0.01
        if row.params is not None:
            params = cost.params + row.statistics * paper_complexity.statistics(row.architecture)
            assert (abs(params / 1e6 / row.params - 1) < 0.008) == (not row.unmatched), name


@pytest.mark.parametrize(
    ("name", "flops", "params"),
    [
        # MobileNetV3-Large: 219 M multiply-adds and 5.4 M parameters (Howard et al. 2019, table 3).
        ("mobilenet_v3_large", 219e6, 5.4e6),
        # EfficientNet-B0: 0.39 G and 5.3 M (Tan & Le 2019, table 2).
        ("efficientnet_b0", 0.39e9, 5.3e6),
    ],
)
def test_the_se_native_networks_cost_what_their_papers_print(name, flops, params):
    cost = complexity(reference(name))
    assert abs(cost.flops / flops - 1) < 0.01
    assert abs(cost.params / params - 1) < 0.02


def test_the_se_native_networks_have_the_parameters_of_the_released_models():
    assert complexity(reference("mobilenet_v3_large")).params == 5_483_032
    assert complexity(reference("efficientnet_b0")).params == 5_288_548


@pytest.mark.slow  # traces whole networks
@pytest.mark.parametrize("name", REFERENCES)
def test_the_sum_over_parts_is_the_whole_network(name):
    arch = recalibrated(name)
    assert complexity(arch) == whole_network_complexity(arch)


@pytest.mark.slow  # trains networks of up to 80 million weights for a step
@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_trains_and_survives_its_round_trips(name, tmp_path):
    arch = recalibrated(name, input_size=min(reference(name).input.size, 96))
    network = build_network(arch, seed=1)
    images = torch.randn(2, 3, arch.input.size, arch.input.size, generator=torch.Generator().manual_seed(0))
    loss = F.cross_entropy(network(images), torch.tensor([0, 1]))
    loss.backward()
    assert torch.isfinite(loss)
    moved = set()
    for place, parameter in network.named_parameters():
        assert parameter.grad is not None, place
        assert torch.isfinite(parameter.grad).all(), place
        if parameter.grad.any():
            moved.add(place)
    still = {place for place, _ in network.named_parameters()} - moved
    assert all(".se." in place for place in still)  # the few units of a small SE block can all be off
    assert any(".se." in place for place in moved)

    logits = network.eval()(images)
    assert logits.shape == (2, arch.head.classes)
    save_network(tmp_path, arch, network)
    assert torch.equal(read_network(tmp_path, Network)(images), logits)
    assert Architecture.from_json(arch.to_json()) == arch


@pytest.mark.parametrize("name", REFERENCES)
def test_se_sits_in_the_stages_that_were_asked_for(name):
    plain = reference(name).without_se()
    for stage in plain.stages:
        arch = reference(name, se=SEConfig(reduction=2), se_stages=(stage,))
        assert {cell.stage for cell in arch.cells if cell.se} == {stage}
        assert arch.without_se() == plain
    everywhere = reference(name, se=SEConfig(reduction=2))
    assert all(cell.se for cell in everywhere.cells if cell.kind != "inception_reduction")


@pytest.mark.slow  # traces the networks of the paper's tables
def test_the_script_prints_every_row_and_says_what_cannot_be_matched(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["paper_complexity.py"])
    paper_complexity.main()
    out = capsys.readouterr().out
    for name in paper_rows():
        assert name in out
    assert "* cannot be matched: no published definition" in out
    assert "** cannot be matched: the paper prints the nominal class" in out


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_is_printed_part_by_part(name):
    for arch in (reference(name).without_se(), recalibrated(name)):
        found = complexity_breakdown(arch)
        parts = found["parts"]
        assert isinstance(parts, list)
        assert complexity_table(arch).row_count == len(parts) + 1 == len(arch.cells) + 3
        for column in ("flops", "params", "se_flops", "se_params"):
            assert found[column] == sum(part[column] for part in parts)
        assert (found["se_flops"] == 0) == (arch == arch.without_se())
