"""Export of a retrained network: what is in the file, what it is checked on, and the lines that run it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("PIL")  # the GPU checks collect these files where torch and numpy are all there is
pytest.importorskip("onnxruntime")
from PIL import Image
from test_training import SMALL, stripes

import senas
from senas.architecture.layers.heads import LinearHead
from senas.architecture.network import Input
from senas.errors import SenasError
from senas.export.formats import FORMATS
from senas.training import exporting
from senas.training.data.images import decode_image
from senas.training.data.sources import load_data
from senas.training.exporting import export_network
from senas.training.recipe import Recipe
from senas.training.retraining import retrain

ODD = ('it\'s "one"', "größer 猫")  # names with line breaks are refused when data is read


def retrained(folder, channels):
    """A network of images of a wrong channel order and a right one, of data that lies in a file beside it."""
    train, test = (stripes(count).images.repeat(1, channels, 1, 1).permute(0, 2, 3, 1) for count in (100, 20))
    arrays = {
        "x_train": train.numpy(),
        "y_train": np.arange(100) % 2,
        "x_test": test.numpy(),
        "y_test": np.arange(20) % 2,
    }
    np.savez(folder / "data.npz", **arrays, class_names=np.array(ODD), flip=False)
    arch = replace(SMALL, input=Input(channels=channels, size=8), head=LinearHead(classes=2))
    data = load_data(f"npz:{folder / 'data.npz'}", arch.input)
    retrain(arch, data=data, recipe=Recipe(epochs=4, batch=20, cutout=False), out=folder / "network")
    return folder / "network"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return retrained(tmp_path_factory.mktemp("exported"), 3)


@pytest.mark.parametrize("name", FORMATS)
def test_the_report_and_the_metadata_tell_what_the_file_is_and_what_it_was_checked_with(folder, name):
    report = export_network(folder, format=name)
    network = senas.load_network(folder)
    assert network.description is not None
    assert report.path == folder / f"network{FORMATS[name].suffix}" and report.path.exists()
    assert (report.format, report.data) == (name, network.description.data)
    assert (report.test_images, report.agreement.images, report.agreement.equal_predictions) == (20, 20, 1.0)
    assert report.agreement.accuracy_pytorch == report.agreement.accuracy_file == network.description.accuracy
    keys = ("classes", "architecture", "preprocessing", "senas", "torch", "checked")
    metadata = FORMATS[name].load(report.path, keys).metadata
    assert tuple(json.loads(metadata["classes"])) == ODD
    assert metadata["architecture"] == network.description.digest
    assert json.loads(metadata["preprocessing"]) == {
        "before": "turned as EXIF says, transparent pixels white, gray levels of 16 bits divided by 257",
        "resize": "shorter side, then crop",
        "interpolation": "bicubic, antialiased",
        "size": 8,
        "channels": 3,
        "mean": list(network.description.mean),
        "deviation": list(network.description.deviation),
    }
    assert (metadata["senas"], metadata["torch"]) == (senas.__version__, torch.__version__)
    assert json.loads(metadata["checked"])["data"] == report.data


def save_photo(kind: str) -> None:
    """Save `photo.jpg`, whose content decides its format; JPEGs are decoded at a reduced size."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (40, 61, 4), dtype=np.uint8))
    match kind:
        case "turned":
            exif = noise.getexif()
            exif[0x0112] = 6  # the camera was turned by 90 degrees
            noise.convert("RGB").save("photo.jpg", quality=95, exif=exif)
        case "transparent":
            noise.save("photo.jpg", format="PNG")
        case "palette":
            noise.convert("RGB").quantize(16).save("photo.jpg", format="PNG", transparency=3)
        case "cmyk":
            noise.convert("RGB").convert("CMYK").save("photo.jpg")
        case "gray":
            noise.convert("L").save("photo.jpg", format="PNG")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_printed_lines_give_the_logits_and_the_class_of_the_network(tmp_path, monkeypatch, capsys, channels, name):
    odd_path = tmp_path / 'it\'s a "folder"'
    odd_path.mkdir()
    folder = retrained(odd_path, channels)
    report = export_network(folder, format=name)
    assert len(report.usage) == 5
    monkeypatch.chdir(tmp_path)
    network = senas.load_network(folder)

    def check(image: "Path | torch.Tensor") -> None:
        exec("\n".join(report.usage), ran := {})
        expected = network.predict(image)
        assert capsys.readouterr().out == f"{next(iter(expected))}\n"
        probabilities = torch.as_tensor(ran["logits"]).softmax(1)[0].tolist()
        assert dict(zip(network.classes, probabilities, strict=True)) == pytest.approx(expected, rel=1e-4)
        shown = torch.from_numpy(np.array(ran["image"]))
        pixels = torch.tensor(decode_image(image, network.input)) if isinstance(image, Path) else image
        assert torch.equal(shown.reshape(pixels.shape) if channels == 1 else shown.permute(2, 0, 1), pixels)

    if channels == 2:  # no image file has two channels
        array = np.random.default_rng(0).integers(0, 256, (8, 8, 2), dtype=np.uint8)
        np.save("image.npy", array)
        check(torch.from_numpy(array).permute(2, 0, 1))
        return
    for kind in ("turned", "transparent", "palette", "cmyk", "gray"):
        save_photo(kind)
        check(Path("photo.jpg"))


def test_more_test_images_than_wanted_are_sampled_evenly_and_another_data_set_may_be_named(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(exporting, "MAX_IMAGES", 7)
    report = export_network(folder, format="torch", out=tmp_path / "new")
    assert (report.agreement.images, report.test_images) == (7, 20)
    assert report.path == tmp_path / "new" / "network.pt2"
    with np.load(folder.parent / "data.npz") as arrays:
        np.savez(tmp_path / "other.npz", **{**arrays, "x_test": arrays["x_test"][:5], "y_test": arrays["y_test"][:5]})
    report = export_network(folder, format="torch", out=tmp_path, data=f"npz:{tmp_path / 'other.npz'}")
    assert (report.agreement.images, report.data) == (5, f"npz:{tmp_path / 'other.npz'}")


def test_what_cannot_be_exported_is_one_line(folder, tmp_path):
    def message(folder, **arguments):
        with pytest.raises(SenasError) as caught:
            export_network(folder, **{"format": "torch", **arguments})
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "nowhere/architecture.json: no such file or directory" in message(tmp_path / "nowhere")
    assert message(folder, format="tensorrt").startswith("format: found 'tensorrt', allowed: onnx, torch")
    copied = tmp_path / "copied"
    shutil.copytree(folder, copied)
    (folder.parent / "data.npz").rename(tmp_path / "moved.npz")
    assert "data.npz: no such file or directory; the network was trained on it, name another" in message(copied)
    (tmp_path / "moved.npz").rename(folder.parent / "data.npz")
    assert "found images (1, 8, 8), the network needs (3, 8, 8)" in message(copied, data="digits")
    assert "none.npz: no such file or directory" in message(copied, data="npz:none.npz")
    with np.load(folder.parent / "data.npz") as arrays:
        swapped = {**arrays, "class_names": arrays["class_names"][::-1]}
    np.savez(tmp_path / "swapped.npz", allow_pickle=False, **swapped)
    assert "class 0: found '" in message(copied, data=f"npz:{tmp_path / 'swapped.npz'}")
    (tmp_path / "file").write_text("")
    assert "file/network.pt2: cannot be written (" in message(copied, out=tmp_path / "file")
    (copied / "network.json").unlink()
    assert "copied: found no network.json, expected one with the mean and deviation" in message(copied)
