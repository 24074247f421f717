"""A module as a file: it computes the same in its runtime at any batch size, or it is not written."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from check_export import at_most, break_statistics, random_images, random_network
from check_export import main as check_export
from torch import Tensor, nn

from senas.architecture.references.catalogue import reference
from senas.architecture.se import SEConfig
from senas.errors import ExportFailedError, OptionError, RunError
from senas.export.agreement import TOLERANCE, compare
from senas.export.formats import FORMATS, require_format
from senas.export.module import export_module
from senas.export.onnx_format import OnnxFile

pytest.importorskip("onnxruntime")


class Small(nn.Module):
    """A network of one convolution, with its normalisation."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5)

    def forward(self, images: Tensor) -> Tensor:
        x = self.norm(self.conv(images.float() / 255)).relu()
        return self.linear(x.mean((2, 3)))


def small() -> Small:
    torch.manual_seed(0)
    module = Small()
    module(images(50))
    return module.eval()


def images(count: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def batches(*counts: int) -> list[tuple[Tensor, Tensor]]:
    """Images with the labels 0, 1, 2, ..."""
    return [(images(count), torch.arange(count) % 5) for count in counts]


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_computes_what_the_module_computes_at_any_batch_size_and_keeps_its_metadata(tmp_path, name):
    module, odd = small(), json.dumps(["it's", 'a "quoted"\nname', "größer 猫", "\ud800"])
    metadata = {"classes": odd, "empty": "", "plain": "größer 猫\n"}
    path = tmp_path / "new" / f"network{FORMATS[name].suffix}"
    found = export_module(module, path, format_name=name, batches=batches(32, 7), data="noise", metadata=metadata)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    file = FORMATS[name].load(path, (*metadata, "senas", "torch", "checked"))
    with torch.no_grad():
        for size in (1, 2, 3, 32, 33):
            torch.testing.assert_close(file(images(size)), module(images(size)), rtol=1e-4, atol=1e-5)
        correct = [float((module(x).argmax(1) == y).sum()) for x, y in batches(32, 7)]
    assert {key: file.metadata[key] for key in metadata} == metadata
    assert (file.metadata["torch"], found.path) == (torch.__version__, path)
    assert found.runtime == file.runtime and file.runtime.split()[0] in ("ONNX", "torch")
    agreement = found.agreement
    assert (agreement.images, agreement.equal_predictions, agreement.widest_relative_gap) == (39, 1.0, 0.0)
    assert agreement.accuracy_pytorch == agreement.accuracy_file == sum(correct) / 39
    assert json.loads(file.metadata["checked"]) == {
        "data": "noise",
        "runtime": file.runtime,
        "images": 39,
        "largest_relative_difference": agreement.largest_relative_difference,
        "equal_predictions": 1.0,
        "accuracy_pytorch": agreement.accuracy_pytorch,
        "accuracy_file": agreement.accuracy_file,
    }
    assert agreement.largest_relative_difference < 1e-5
    if name == "onnx":
        assert int(FORMATS[name].load(path, ("opset",)).metadata["opset"]) >= 18


def test_a_file_that_its_runtime_does_not_load_is_not_written(tmp_path, monkeypatch):
    def unreadable(path: Path, _keys: tuple[str, ...]):
        return OnnxFile(path)  # which a program of torch is not

    monkeypatch.setitem(FORMATS, "torch", replace(FORMATS["torch"], load=unreadable))
    with pytest.raises(ExportFailedError, match=r"file: the runtime does not load it \(.*\); the file was not written"):
        export_module(
            small(), tmp_path / "network.pt2", format_name="torch", batches=batches(3), data="noise", metadata={}
        )
    assert list(tmp_path.iterdir()) == []


def test_a_file_tells_no_paths_and_no_images_of_the_machine_that_made_it(tmp_path):
    for name, chosen in FORMATS.items():
        path = tmp_path / f"network{chosen.suffix}"
        export_module(small(), path, format_name=name, batches=batches(32), data="noise", metadata={})
        content = path.read_bytes()
        assert b"site-packages" not in content and str(Path(__file__).parent).encode() not in content
        assert images(1).numpy().tobytes() not in content


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_whose_batch_norm_differs_is_not_written_and_an_earlier_one_stays(tmp_path, name):
    module, path = small(), tmp_path / "network"
    path.write_text("earlier")

    def with_other_statistics_after_export() -> Iterator[tuple[Tensor, Tensor]]:
        yield from batches(32)
        assert module.norm.running_var is not None
        module.norm.running_var *= 1.01
        yield from batches(32)

    with pytest.raises(ExportFailedError, match=r"64 images: found logits that differ from those in PyTorch by .*e-0"):
        export_module(
            module, path, format_name=name, batches=with_other_statistics_after_export(), data="noise", metadata={}
        )
    assert path.read_text() == "earlier" and len(list(tmp_path.iterdir())) == 1


class Exported(nn.Module):
    """A module that computes something else once torch exports it."""

    def __init__(self, other):
        super().__init__()
        self.network, self.other = small(), other

    def forward(self, x: Tensor) -> Tensor:
        logits = self.network(x)
        return self.other(logits) if torch.compiler.is_compiling() else logits


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda logits: logits * 1.001, "batch of 1: found logits that differ from those in PyTorch by 1.0e-03"),
        (lambda logits: logits / 0, "batch of 1: found logits that differ from those in PyTorch by (nan|inf)"),
        (lambda logits: logits[:, :2], r"logits: found \(1, 2\), expected \(1, 5\)"),
        (lambda logits: logits.reshape(2, 5), "network: cannot be converted|batch of 1: the file does not take it"),
        (lambda logits: logits + float(logits.sum()), "network: cannot be converted"),
    ],
)
@pytest.mark.parametrize("name", FORMATS)
def test_whatever_an_export_changes_is_found_and_nothing_is_written(tmp_path, name, other, message):
    with pytest.raises(ExportFailedError, match=message) as caught:
        export_module(
            Exported(other).eval(),
            tmp_path / "network",
            format_name=name,
            batches=batches(5),
            data="noise",
            metadata={},
        )
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


def test_the_difference_is_relative_to_the_largest_logit_and_unequal_predictions_may_only_be_ties():
    logits = torch.tensor([[1.0, 2.0, 0.0], [4.0, -8.0, 4.0], [0.5, 0.5 + 2e-4, 0.0]])  # classes 1, 0 (a tie), 1
    labels = torch.tensor([1, 2, 1])

    def against(other: Tensor):
        return compare(lambda _: logits, lambda _: other, [(images(3), labels)])

    changed = logits.clone()
    changed[0, 2] = 4e-4  # of max |a| = 8: 5e-5
    changed[1, 2] += 2e-4  # the tie is broken otherwise: class 2, with a gap of 0
    changed[2, 0] += 4e-4  # class 0, with a gap of 2e-4 / 8 = 2.5e-5
    found = against(changed)
    assert found.largest_relative_difference == pytest.approx(5e-5, rel=1e-3)
    assert found.widest_relative_gap == pytest.approx(2.5e-5, rel=1e-2)
    assert (found.equal_predictions, found.accuracy_pytorch, found.accuracy_file) == (1 / 3, 2 / 3, 2 / 3)
    found.require("here")
    swapped = logits.clone()
    swapped[0] = torch.tensor([2.0, 1.0, 0.0])
    assert against(swapped).largest_relative_difference == pytest.approx(1 / 8)
    with pytest.raises(ExportFailedError, match=r"here: .* by 1.2e-01 of the largest, allowed: less than 1e-04"):
        against(swapped).require("here")
    assert against(torch.full_like(logits, torch.nan)).largest_relative_difference != 0
    with pytest.raises(ExportFailedError, match="by nan of the largest"):
        against(torch.full_like(logits, torch.nan)).require("here")
    zeros = torch.zeros(3, 3)
    same = compare(lambda _: zeros, lambda _: zeros, [(images(3), labels)])
    assert same.largest_relative_difference == 0.0 < TOLERANCE


def test_an_unknown_format_a_missing_package_and_a_folder_that_cannot_be_written_are_one_line(tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="format: found 'onx', did you mean 'onnx'"):
        require_format("onx")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/network.pt2: cannot be written \(.*\); choose another folder"):
        export_module(
            small(), tmp_path / "file" / "network.pt2", format_name="torch", batches=batches(1), data="", metadata={}
        )
    monkeypatch.setattr("sys.path", [])
    monkeypatch.delitem(sys.modules, "onnxscript", raising=False)
    with pytest.raises(OptionError) as caught:
        require_format("onnx")
    assert "format onnx: found no package " in str(caught.value) and "onnxscript" in str(caught.value)
    assert str(caught.value).endswith("needed for it: pip install onnx onnxscript onnxruntime")


@pytest.mark.parametrize(("network", "name"), [("resnet20", "onnx"), ("shufflenet", "onnx"), ("resnet20", "torch")])
def test_a_reference_is_exported(tmp_path, network, name):
    arch = at_most(reference(network, se=SEConfig(reduction=4)), 32)
    pixels = random_images(32, arch)
    module, path = random_network(arch, pixels), tmp_path / "network"
    data = [(pixels, torch.zeros(32, dtype=torch.int64))]
    found = export_module(module, path, format_name=name, batches=data, data="noise", metadata={}).agreement
    assert found.largest_relative_difference < 1e-5 and found.equal_predictions == 1.0
    assert break_statistics(module)
    with torch.no_grad(), pytest.raises(ExportFailedError):
        compare(module, FORMATS[name].load(path, ()), data).require("broken on purpose")


@pytest.mark.slow  # exports larger networks
def test_references_and_random_architectures_are_exported(monkeypatch, capsys):
    options = ("--reference", "mobilenet_v3_large", "--random", "1")
    monkeypatch.setattr("sys.argv", ["check_export.py", *options])
    with pytest.raises(SystemExit) as ended:
        check_export()
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0, lines
    assert len(lines) == 1 + 1 + 1 and lines[-1].endswith("; 0 failed")
