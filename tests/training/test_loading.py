"""Images in shared memory and images streamed from their files: the same images, and how much memory either takes."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("PIL")  # the GPU checks collect these files where torch and numpy are all there is
from PIL import Image

from senas.architecture.cells.basic import Basic
from senas.architecture.layers.heads import LinearHead
from senas.architecture.layers.stems import ConvStem
from senas.architecture.network import Architecture, Input
from senas.errors import DataError
from senas.training.data.dataset import Dataset
from senas.training.data.images import decode_image, random_box
from senas.training.data.loading import Loading, plan_loading, show_bytes
from senas.training.data.mapped import map_pixels
from senas.training.data.sources import load_data
from senas.training.data.statistics import pixel_statistics
from senas.training.evaluator import TrainingEvaluator
from senas.training.recipe import Recipe

SMALL = Input(channels=3, size=8)
MEMORY, STREAM = Loading(streamed=False), Loading(streamed=True)


@pytest.fixture
def own_temporary_folder(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp" / f"senas-{os.getuid()}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """80 training and 20 test images of 14x10 pixels in two classes: noise on a dark or bright ground."""
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for split, count in (("train", 40), ("test", 10)):
        for label, name in enumerate(("bright", "dark")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 100, (10, 14, 3)) + 150 * (1 - label)
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{number}.png")
    return root


def both(folder: Path) -> tuple[Dataset, Dataset]:
    name = f"imagefolder:{folder}"
    return load_data(name, SMALL, MEMORY), load_data(name, SMALL, STREAM)


def test_streamed_images_are_those_in_memory_in_the_same_order(folder):
    memory, stream = both(folder)
    assert (memory.train.streamed, stream.train.streamed) == (False, True)
    assert torch.equal(memory.train.images, stream.train.images)
    order = torch.randperm(80, generator=torch.Generator().manual_seed(1)).split(30)  # several: worker processes
    pairs = list(zip(memory.train.batches(order), stream.train.batches(order), strict=True))
    assert [len(first[1]) for first, _ in pairs] == [30, 30, 20]
    for first, second in pairs:
        assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    searched = [data.with_validation() for data in (memory, stream)]
    assert torch.equal(searched[0].test.images, searched[1].test.images)
    for first, second in zip(pixel_statistics(memory.train), pixel_statistics(stream.train), strict=True):
        assert torch.equal(first, second)
    assert memory.digest != stream.digest == both(folder)[1].digest


def test_a_training_without_augmentation_is_the_same_streamed_and_in_memory(folder):
    arch = Architecture(
        input=SMALL, stem=ConvStem(channels=4), cells=(Basic(stage=2, channels=4),), head=LinearHead(classes=2)
    )
    recipe, found = Recipe(epochs=6, batch=16, augmentation=False), []
    for loading in (MEMORY, STREAM):
        evaluate = TrainingEvaluator(data=f"imagefolder:{folder}", recipe=recipe, loading=loading)
        reports: list[tuple[int, float]] = []
        evaluate(arch, 0, lambda epoch, accuracy, reports=reports: reports.append((epoch, accuracy)))
        found.append(reports)
    assert found[0] == found[1] and found[0][-1][1] > 0.5


def test_a_crop_depends_on_seed_and_image_alone(folder):
    """So that an epoch goes on in its middle with the same images."""
    stream = both(folder)[1].train
    order = [torch.tensor(each) for each in ([5, 1, 7], [3, 5], [0, 2])]
    whole = [images for images, _ in stream.batches(order, crop_seed=3)]
    rest = [images for images, _ in stream.batches(order[1:], crop_seed=3)]
    assert all(torch.equal(first, second) for first, second in zip(whole[1:], rest, strict=True))
    assert torch.equal(whole[0][0], whole[1][1])  # image 5, twice
    middle, other = next(stream.batches(order[:1]))[0], next(stream.batches(order[:1], crop_seed=4))[0]
    assert not torch.equal(whole[0], middle) and not torch.equal(whole[0], other)


def test_random_crops_have_the_area_and_the_shape_of_the_paper():
    rng, areas = np.random.default_rng(0), []
    for width, height in ((400, 300), (300, 400), (100, 100)):
        for _ in range(300):
            left, top, right, bottom = random_box(width, height, rng)
            assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
            areas.append((right - left) * (bottom - top))
            assert 3 / 4 - 1e-9 <= (right - left) * width / ((bottom - top) * height) <= 4 / 3 + 1e-9
    assert 0.08 <= min(areas) < 0.15 and 0.85 < max(areas) <= 1
    left, top, right, bottom = random_box(1000, 10, rng)  # too wide for any: the widest part allowed, in the middle
    assert (top, bottom) == (0, 1) and (left, right) == pytest.approx((0.5 - 1 / 150, 0.5 + 1 / 150))


@pytest.mark.parametrize("turned", [False, True])
def test_a_crop_of_a_turned_photograph_keeps_its_shape(tmp_path, turned):
    """The gray level rises by 1 per pixel along either side, so that its slopes tell the aspect ratio of the crop."""
    y, x = np.mgrid[0:60, 0:120]
    image, exif = Image.fromarray((x + y).astype(np.uint8)), Image.Exif()
    exif[0x0112] = 6 if turned else 1
    image.save(tmp_path / "image.png", exif=exif)
    for seed in range(20):
        pixels = decode_image(tmp_path / "image.png", Input(channels=1, size=16), crop=np.random.default_rng(seed))[0]
        rows, columns = np.diff(pixels.astype(float), axis=0).mean(), np.diff(pixels.astype(float), axis=1).mean()
        assert 0.7 < abs(columns / rows) < 1.43


@pytest.mark.parametrize("loading", [MEMORY, STREAM])
def test_a_damaged_image_is_named_and_can_be_skipped(tmp_path, own_temporary_folder, loading):
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (9, 9), (number, 0, 0)).save(tmp_path / "data" / split / name / f"{number}.png")
    (tmp_path / "data" / "train" / "dog" / "1.png").write_bytes(b"no image")
    data = f"imagefolder:{tmp_path / 'data'}"
    with pytest.raises(DataError, match=r"train/dog/1\.png: damaged image .cannot identify") as caught:
        load_data(data, SMALL, loading).train.images.sum()
    assert "\n" not in str(caught.value)
    plan = plan_loading(data, SMALL, streamed=loading.streamed, skip_damaged=1)
    assert (plan.loading.streamed, plan.loading.skip) == (loading.streamed, ("train/dog/1.png",))
    assert len(plan.lines) == 2 and "train/dog/1.png: damaged image" in plan.lines[0]
    train = load_data(data, SMALL, plan.loading).train
    assert train.labels.tolist() == [0, 0, 0, 1, 1]
    assert train.images[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 2]
    (tmp_path / "data" / "train" / "dog" / "2.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"found more than 1 damaged images, .*dog/2\.png: damaged"):
        plan_loading(data, SMALL, skip_damaged=1)
    (tmp_path / "data" / "train" / "dog" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="class 'dog': found no image that is not damaged in train"):
        plan_loading(data, SMALL, skip_damaged=3)


def test_the_content_of_a_folder_is_told_by_names_and_sizes(tmp_path, folder):
    copied = shutil.copytree(folder, tmp_path / "copied")
    before = plan_loading(f"imagefolder:{folder}", SMALL).loading
    assert plan_loading(f"imagefolder:{copied}", SMALL, streamed=True).loading.content == before.content != ""
    (copied / "train" / "dark" / "0.png").unlink()
    assert plan_loading(f"imagefolder:{copied}", SMALL).loading.content != before.content
    evaluate = TrainingEvaluator(data=f"imagefolder:{folder}", loading=STREAM).with_decided_loading(SMALL)
    assert evaluate.loading == replace(before, streamed=True)
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    np.savez(tmp_path / "b.npz", x=np.ones(3))
    digests = [plan_loading(f"npz:{tmp_path / name}.npz", SMALL).loading.content for name in "ab"]
    assert digests[0] != digests[1] != ""


def test_what_a_data_set_takes_is_said_and_decides(folder, monkeypatch):
    plan = plan_loading(f"imagefolder:{folder}", Input(channels=3, size=224))
    assert plan.loading.streamed is False
    assert "100 images x 3 x 224 x 224 bytes = 15.1 MB, decoded once into memory" in plan.lines[0]
    monkeypatch.setattr("senas.training.data.loading.MEMORY_SHARE", 1e-4)  # of some gigabytes: less than 15 MB
    plan = plan_loading(f"imagefolder:{folder}", Input(channels=3, size=224))
    assert plan.loading.streamed is True and "read from their files while networks train" in plan.lines[0]
    assert load_data(f"imagefolder:{folder}", Input(channels=3, size=224)).train.streamed
    with pytest.raises(DataError, match="data set digits: found to be streamed, allowed for imagefolder:DIR alone"):
        plan_loading("digits", SMALL, streamed=True)
    assert [show_bytes(count) for count in (0, 999, 1500, 192_675_840_000)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "192.7 GB",
    ]


def test_pixels_are_filled_once_shared_and_removed_when_nobody_needs_them(own_temporary_folder):
    calls = []

    def fill(pixels):
        calls.append(pixels.shape)
        pixels[:] = 7

    first, second = map_pixels("a", (3, 4), fill), map_pixels("a", (3, 4), fill)
    assert calls == [(3, 4)] and (first == 7).all() and (second == 7).all()
    first[0] = 1  # a change stays in one array
    assert second[0, 0] == 7
    assert len(list(own_temporary_folder.iterdir())) == 1
    del first
    assert len(list(own_temporary_folder.iterdir())) == 1
    del second
    assert list(own_temporary_folder.iterdir()) == []
    with pytest.raises(ZeroDivisionError):
        map_pixels("b", (3,), lambda _: divide_by_zero())
    assert list(own_temporary_folder.iterdir()) == []
    with pytest.raises(DataError, match=r"cannot hold \d+ bytes of pixels .no space left on device.; set TMPDIR"):
        map_pixels("c", (2**50,), fill)
    own_temporary_folder.chmod(0o777)
    with pytest.raises(DataError, match="found a folder that others can write to"):
        map_pixels("d", (3,), fill)


HOLDER = """
import sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from senas.training.data.mapped import map_pixels
def fill(pixels):
    pixels[:] = 5
    print("filled", flush=True)
array = map_pixels("shared", (10,), fill)
print(int(array.sum()), flush=True)
time.sleep(60)
"""


def divide_by_zero() -> None:
    _ = 1 / 0


def until_ready(process: subprocess.Popen) -> list[str]:
    """The lines of a process up to the one that it prints when it has the pixels."""
    lines = [""]
    while lines[-1] != "50":
        assert process.stdout is not None
        lines.append(process.stdout.readline().strip())
    return lines[1:]


def test_processes_share_pixels_and_what_a_killed_one_leaves_is_removed(own_temporary_folder):
    command = [sys.executable, "-c", HOLDER, str(own_temporary_folder.parent)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second,
    ):
        said = [until_ready(process) for process in (first, second)]
        assert sorted(said) == [["50"], ["filled", "50"]]
        mine = map_pixels("shared", (10,), lambda pixels: pytest.fail("filled again"))
        for process in (first, second):
            process.send_signal(signal.SIGKILL)
    assert (mine == 5).all()
    del mine
    assert list(own_temporary_folder.iterdir()) == []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as third:
        assert until_ready(third) == ["filled", "50"]
        third.send_signal(signal.SIGKILL)
    assert len(list(own_temporary_folder.iterdir())) == 1
    map_pixels("other", (10,), lambda pixels: None)
    assert list(own_temporary_folder.iterdir()) == []
