"""A retrained network: what is kept of it is enough to use it."""

import copy
import json
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("PIL")  # the GPU checks collect these files where torch and numpy are all there is
from PIL import Image
from test_training import SMALL, dataset, stripes

import senas
from senas.architecture.layers.heads import LinearHead
from senas.errors import SenasError
from senas.training.recipe import Recipe
from senas.training.retraining import retrain
from senas.training.trained import TrainedNetwork, load_network, name_classes

BINARY = replace(SMALL, head=LinearHead(classes=2))
RECIPE = Recipe(epochs=6, batch=20, cutout=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network that tells bright rows, trained on 100 images of two classes."""
    path = tmp_path_factory.mktemp("trained")
    retrain(BINARY, data=dataset(class_names=("above", "below")), recipe=RECIPE, out=path)
    return path


def test_a_loaded_network_normalises_images_and_knows_its_classes(folder):
    network, data = load_network(folder), dataset()
    assert isinstance(network, senas.TrainedNetwork) and not network.training
    assert network.classes == ("above", "below")
    told = json.loads((folder / "result.json").read_text())["test_accuracy"]
    assert network.description is not None and told == network.description.accuracy > 0.9
    with torch.inference_mode():
        logits = network(data.test.images)
        assert torch.equal(logits, network(network.preprocess(data.test.images)))
    assert float((logits.argmax(1) == data.test.labels).double().mean()) == told
    mean, deviation = data.train.images.double().mean(), data.train.images.double().std(correction=0)
    expected = (data.test.images.double() - mean) / deviation
    torch.testing.assert_close(network.preprocess(data.test.images).double(), expected, rtol=0, atol=1e-5)


def test_an_image_is_predicted_from_a_file_an_image_an_array_or_a_tensor(folder, tmp_path):
    network, pixels = load_network(folder), stripes(20).images[3]  # of class 1
    expected = network.predict(pixels)
    assert next(iter(expected)) == "below"
    assert sum(expected.values()) == pytest.approx(1.0)
    assert list(expected.values()) == sorted(expected.values(), reverse=True)
    array = pixels[0].numpy()
    Image.fromarray(array).save(tmp_path / "image.png")
    rgb = np.repeat(array[..., None], 3, axis=2)
    for image in (
        array,
        array[..., None],
        rgb,
        Image.fromarray(array),
        tmp_path / "image.png",
        f"{tmp_path}/image.png",
    ):
        assert network.predict(image) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(1, 8, 8), "found (1, 8, 8) of torch.float32, expected (1, 8, 8) of uint8"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "found (3, 8, 8) of torch.uint8, expected (1, 8, 8) of uint8"),
        (np.zeros((8, 8)), "found (8, 8) of float64, expected (H, W) or (H, W, C) of uint8"),
        ("nowhere.png", "nowhere.png: no such file or directory"),
    ],
)
def test_what_is_no_image_is_refused(folder, image, message):
    with pytest.raises(SenasError) as caught:
        load_network(folder).predict(image)
    assert message in str(caught.value)


def test_a_loaded_network_can_be_copied_pickled_traced_compiled_quantised_and_cast(folder):
    network, images = load_network(folder), dataset().test.images
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates some of its tools
        expected = network(images)
        for same in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
            torch.testing.assert_close(same(images), expected)
            same.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            torch.testing.assert_close(same(images), expected)
            assert same.classes == network.classes
        traced = torch.jit.trace(network, images[:3])
        assert isinstance(traced, torch.jit.ScriptModule)
        torch.testing.assert_close(traced(images), expected)
        scripted = torch.jit.script(network)
        torch.testing.assert_close(scripted(images), expected)
        torch.testing.assert_close(scripted(network.preprocess(images)), expected)
        quantised = torch.ao.quantization.quantize_dynamic(network)
        assert float((quantised(images).argmax(1) == expected.argmax(1)).float().mean()) > 0.9
        for dtype in (torch.bfloat16, torch.half):
            cast = copy.deepcopy(network).to(dtype)
            assert cast(images).dtype == dtype
            assert float((cast(images).argmax(1) == expected.argmax(1)).float().mean()) > 0.9
        exported = torch.export.export(network, (images[:3],), dynamic_shapes=({0: torch.export.Dim("batch")},))
        torch.testing.assert_close(exported.module()(images), expected)


def test_a_folder_of_a_version_without_a_description_is_loaded_with_a_warning_and_completed_by_retraining(folder):
    description = (folder / "network.json").read_text()
    (folder / "network.json").unlink()
    with pytest.warns(UserWarning, match=r"network.json: missing, so the mean and deviation .* are unknown"):
        network = load_network(folder)
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 2)
    with pytest.raises(SenasError, match=r"found no network.json, expected one with the mean and deviation"):
        network.predict(stripes(2).images[0])
    retrain(BINARY, data=dataset(class_names=("above", "below")), recipe=RECIPE, out=folder)
    assert (folder / "network.json").read_text() == description


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"digest": "0" * 16}, "found the description of 0000000000000000, expected that of"),
        ({"mean": []}, "mean, deviation: found () and "),
        ({"deviation": [0.0]}, "expected 1 numbers each, up to 255, deviations above 0"),
        ({"classes": ["a"]}, "classes: found 1, expected 2"),
        ({"classes": ["a"] * 10}, "classes: found two of one name"),
        ({"format": "senas-network/9"}, "format: found 'senas-network/9'"),
    ],
)
def test_a_description_of_another_network_is_refused(folder, change, message):
    path = folder / "network.json"
    before = path.read_text()
    path.write_text(json.dumps(json.loads(before) | change))
    with pytest.raises(SenasError) as caught:
        load_network(folder)
    path.write_text(before)
    assert message in str(caught.value) and "network.json" in str(caught.value)


def test_a_network_of_a_data_set_without_names_numbers_its_classes():
    assert TrainedNetwork(SMALL, None).classes == tuple("0123456789")
    assert name_classes(None, 3) == ("0", "1", "2")
