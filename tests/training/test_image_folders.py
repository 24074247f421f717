"""Image folders: which file is in which split and class, what its pixels are, and what is refused in one line."""

import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("PIL")  # the GPU checks collect these files where torch and numpy are all there is
from PIL import Image

from senas.architecture.network import Input
from senas.errors import DataError
from senas.training.data.folders import list_image_folder
from senas.training.data.images import decode_image
from senas.training.data.inspection import describe_data
from senas.training.data.sources import load_data
from senas.training.data.split import Split

RGB, GRAY = Input(channels=3, size=8), Input(channels=1, size=8)


def save(path: Path, shade: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 12), (shade, 0, 0)).save(path)


def make(root: Path, classes=("cat", "dog"), splits=("train", "test"), images: int = 2) -> Path:
    """A folder whose images are as red as their number, from 1."""
    shade = 0
    for split in splits:
        for name in classes:
            for number in range(images):
                shade += 1
                save(root / split / name / f"{number}.png", shade)
    return root


@pytest.mark.parametrize("classes", [("bus", "train", "tram"), ("blood test", "eval", "xray"), ("test", "val")])
def test_splits_are_the_first_level_and_classes_the_second_whatever_they_are_called(tmp_path, classes):
    data = load_data(f"imagefolder:{make(tmp_path, classes)}", RGB)
    assert data.class_names == tuple(sorted(classes))
    for split, first in ((data.train, 1), (data.test, 1 + 2 * len(classes))):
        assert split.labels.tolist() == [label for label in range(len(classes)) for _ in range(2)]
        shades = split.images[:, 0, 0, 0].reshape(len(classes), 2)  # in sorted order of the classes
        assert sorted(shades.flatten().tolist()) == list(range(first, first + 2 * len(classes)))
        assert (shades[:, 1] == shades[:, 0] + 1).all()


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_without_a_test_set_the_validation_set_is_it(tmp_path, name):
    data = load_data(f"imagefolder:{make(tmp_path, splits=('train', name))}", RGB)
    assert data.validation is None
    assert data.test.images[:, 0, 0, 0].tolist() == [5, 6, 7, 8]


def test_a_validation_set_of_its_own_is_searched_with_and_retrained_on(tmp_path):
    data = load_data(f"imagefolder:{make(tmp_path, splits=('train', 'val', 'test'))}", RGB)
    searched, retrained = data.with_validation(), data.with_all_for_training()
    assert searched.train.images[:, 0, 0, 0].tolist() == [1, 2, 3, 4]
    assert searched.test.images[:, 0, 0, 0].tolist() == [5, 6, 7, 8]
    assert retrained.train.images[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert retrained.train.labels.tolist() == [0, 0, 1, 1] * 2
    assert retrained.test.images[:, 0, 0, 0].tolist() == [9, 10, 11, 12]
    assert data.validation is not None
    changed = replace(data, validation=Split(images=data.validation.images, labels=1 - data.validation.labels))
    assert changed.digest != data.digest != replace(data, validation=None).digest
    with pytest.raises(DataError, match=r"found training images .* and validation images"):
        replace(
            data, validation=Split(images=torch.zeros(4, 3, 9, 9, dtype=torch.uint8), labels=data.validation.labels)
        )


def test_links_are_followed_deeper_images_found_and_hidden_files_ignored(tmp_path):
    root = make(tmp_path / "root")
    (root / "train" / "cat").rename(tmp_path / "cats")
    (root / "train" / "cat").symlink_to(tmp_path / "cats")
    save(root / "train" / "dog" / "puppies" / "young" / "9.JPEG", 250)
    (root / "test" / "cat" / "linked.png").symlink_to(tmp_path / "cats" / "0.png")
    for litter in (root / ".DS_Store", root / "train" / "Thumbs.db", root / "train" / "cat" / "._0.png"):
        litter.write_bytes(b"\x00")
    (root / ".cache" / "junk").mkdir(parents=True)
    linked = tmp_path / "linked"
    linked.mkdir()
    for split in ("train", "test"):
        (linked / split).symlink_to(root / split)
    folder = list_image_folder(linked)
    assert [path.name for path in folder.splits["train"]] == ["0.png", "1.png", "0.png", "1.png", "9.JPEG"]
    assert folder.labels["train"].tolist() == [0, 0, 1, 1, 1]
    assert [path.name for path in folder.splits["test"][:3]] == ["0.png", "1.png", "linked.png"]


def changed(root: Path, change: str) -> None:
    """Do to a correct folder what its name says."""
    cat = root / "train" / "cat"
    match change:
        case "no train":
            (root / "train").rename(root / ".train")
        case "no test":
            (root / "test").rename(root / ".test")
        case "other folder":
            save(root / "extra" / "cat" / "0.png")
        case "classes at once":
            (root / "train").rename(root / "cat")
        case "two validations":
            make(root, splits=("val", "valid"))
        case "file among splits":
            (root / "labels.csv").touch()
        case "file among classes":
            (root / "train" / "list.txt").touch()
        case "file among images":
            (cat / "notes.txt").touch()
        case "empty class":
            for each in cat.iterdir():
                each.unlink()
        case "class missing":
            (root / "test" / "cat").rename(root / ".cat")
        case "one class":
            (root / "train" / "cat").rename(root / ".cat")
            (root / "test" / "cat").rename(root / ".cat2")
        case "no class":
            for name in ("train", "test"):
                (root / name).rename(root / f".{name}")
                (root / name).mkdir()
        case "loop of links":
            (cat / "again").symlink_to(root / "train")
        case "broken link":
            (cat / "gone.png").symlink_to(root / "nowhere.png")
        case "pipe":
            os.mkfifo(cat / "pipe.png")
        case "newline":
            (root / "train" / "ca\nt").mkdir()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("no train", "missing folder 'train', expected train/CLASS/"),
        ("no test", "missing folder 'test', expected test/CLASS/ or val/CLASS/"),
        ("other folder", "found folder 'extra', allowed: train, val, valid, validation, test"),
        ("classes at once", "found folder 'cat', allowed: train, val"),
        ("two validations", "found two folders of the validation set"),
        ("file among splits", "labels.csv: found a file, expected the folder of a split"),
        ("file among classes", "list.txt: found a file, expected the folder of a class"),
        ("file among images", "cat/notes.txt: found a file that is no image, allowed: .bmp, .gif"),
        ("empty class", "class 'cat': found no image in the train set"),
        ("class missing", "class 'cat': found in the train set, missing in the test set"),
        ("one class", "found one class, 'dog', expected at least two"),
        ("no class", "found no class, expected at least two"),
        ("loop of links", "found a link to a folder that it lies in"),
        ("broken link", "gone.png: no such file or directory"),
        ("pipe", "pipe.png: found no regular file"),
        ("newline", r"class name: found 'ca\nt' with a control character"),
    ],
)
def test_a_folder_of_another_shape_is_refused_in_one_line(tmp_path, change, message):
    changed(make(tmp_path), change)
    with pytest.raises(DataError) as caught:
        load_data(f"imagefolder:{tmp_path}", RGB)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("mode", "colour", "rgb"),
    [
        ("RGB", (200, 100, 50), (200, 100, 50)),
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("P", 3, (9, 10, 11)),
        ("RGBA", (200, 100, 50, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),  # a fifth of black over white
        ("LA", (0, 255), (0, 0, 0)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("I;16", 257 * 123, (123, 123, 123)),
        ("I;16", 65535, (255, 255, 255)),
    ],
)
def test_every_mode_gives_the_colours_that_it_shows(tmp_path, mode, colour, rgb):
    if mode == "I;16":
        image = Image.fromarray(np.full((12, 12), colour, np.uint16))
    else:
        image = Image.new(mode, (12, 12), colour)
    if mode == "P":
        image.putpalette(range(255))
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    image.save(path)
    pixels = decode_image(path, RGB)
    assert pixels.shape == (3, 8, 8) and pixels.dtype == np.uint8
    assert tuple(pixels[:, 4, 4].tolist()) == rgb and (pixels == pixels[:, :1, :1]).all()
    gray = decode_image(path, GRAY)  # ITU-R 601
    assert gray.shape == (1, 8, 8)
    assert int(gray[0, 4, 4]) == pytest.approx(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2], abs=0.51)


def test_a_palette_with_transparency_shows_white(tmp_path):
    image = Image.new("P", (12, 12), 3)
    image.putpalette(range(255))
    image.save(tmp_path / "image.png", transparency=3)
    assert decode_image(tmp_path / "image.png", RGB).min() == 255


def test_an_image_is_turned_upright_and_cropped_but_not_squashed(tmp_path):
    """24 x 8 pixels, the left third red, the middle green, the right blue: the middle is what is left."""
    pixels = np.zeros((8, 24, 3), np.uint8)
    for third in range(3):
        pixels[:, 8 * third : 8 * third + 8, third] = 255
    image = Image.fromarray(pixels)
    image.save(tmp_path / "wide.png")
    green = np.zeros((3, 8, 8), np.uint8)
    green[1] = 255
    np.testing.assert_array_equal(decode_image(tmp_path / "wide.png", RGB), green)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    top = Image.fromarray(np.repeat(np.arange(8, dtype=np.uint8)[:, None] * 30, 8, axis=1))  # darker above
    top.save(tmp_path / "turned.png", exif=exif)
    assert decode_image(tmp_path / "turned.png", GRAY)[0, 0].tolist() == [210, 180, 150, 120, 90, 60, 30, 0]
    clear = Image.merge("LA", (top, Image.new("L", (8, 8), 255)))
    clear.save(tmp_path / "turned.png", exif=exif)  # over white, and still turned
    assert decode_image(tmp_path / "turned.png", GRAY)[0, 0].tolist() == [210, 180, 150, 120, 90, 60, 30, 0]


def test_a_large_jpeg_is_decoded_at_a_reduced_size_to_nearly_the_same_pixels(tmp_path):
    x, y = np.meshgrid(np.linspace(0, 255, 800), np.linspace(0, 255, 600))
    Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)).save(tmp_path / "large.jpg", quality=95)
    Image.open(tmp_path / "large.jpg").save(tmp_path / "large.png")
    found, exact = (decode_image(tmp_path / name, RGB).astype(int) for name in ("large.jpg", "large.png"))
    assert abs(found - exact).max() <= 3


def bomb(path: Path, side: int) -> None:
    """A PNG of a few bytes that claims to have side * side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    match how:
        case "truncated":
            path.write_bytes(content[: len(content) - 30])
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("no image")
        case "bytes changed":
            path.write_bytes(content[:40] + bytes(20) + content[60:])
        case "bomb":
            bomb(path, 60_000)
        case "large":
            bomb(path, 12_000)
        case "float":
            Image.fromarray(np.zeros((4, 4), np.float32)).save(path, format="TIFF")
        case "32 bits":
            Image.fromarray(np.zeros((4, 4), np.int32)).save(path, format="TIFF")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", "damaged image"),
        ("empty", "damaged image"),
        ("text", "damaged image (cannot identify image file it)"),
        ("bytes changed", "damaged image"),
        ("bomb", "found more pixels than allowed"),
        ("large", "found 12000 x 12000 pixels, allowed: 134217728 in all"),
        ("float", "found mode F, allowed: integers of 8 or 16 bits per channel"),
        ("32 bits", "found mode I, allowed: integers of 8 or 16 bits per channel"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_in_one_line(tmp_path, how, message):
    path = make(tmp_path) / "train" / "cat" / "1.png"
    damage(path, how)
    with pytest.raises(DataError) as caught:
        load_data(f"imagefolder:{tmp_path}", RGB)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_images_have_one_or_three_channels(tmp_path):
    with pytest.raises(DataError, match="found a network of 4 channels, images have 1 or 3"):
        load_data(f"imagefolder:{make(tmp_path)}", Input(channels=4, size=8))


def test_no_file_is_given_to_another_program(tmp_path, monkeypatch):
    """Pillow runs Ghostscript on PostScript, whatever the file is called."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "bin" / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "image.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n")
    with pytest.raises(DataError, match="damaged image"):
        decode_image(tmp_path / "image.jpg", RGB)
    assert not (tmp_path / "ran").exists()


def test_a_folder_is_described_before_anything_is_trained(tmp_path):
    """Two classes of two images, and of 40 of one class more; a test image is a copy of a training image."""
    root = make(tmp_path)
    for number in range(40):
        save(root / "train" / "dog" / f"more-{number}.png", 200)
    Image.new("RGB", (30, 20)).save(root / "test" / "cat" / "wide.png")
    (root / "test" / "cat" / "0.png").write_bytes((root / "train" / "cat" / "0.png").read_bytes())
    found = describe_data(f"imagefolder:{root}")
    assert found.classes == ("cat", "dog")
    assert found.counts == {"test": (3, 2), "train": (2, 42)}
    assert (found.smallest, found.largest) == ((12, 12), (30, 20))
    shades = np.array([1, 2, 3, 4] + 40 * [200])
    assert found.sampled == 44
    assert found.mean == pytest.approx((shades.mean(), 0, 0)) and found.deviation == pytest.approx((shades.std(), 0, 0))
    first, second = found.warnings
    assert first == "train: 42 images of 'dog', 2 of 'cat'"
    assert second == f"1 images of test are in train as well: {root}/train/cat/0.png = {root}/test/cat/0.png"
    (root / "train" / "dog" / "0.png").write_bytes(b"no image")
    found = describe_data(f"imagefolder:{root}")
    assert found.sampled == 43
    assert "1 images cannot be read, which --skip-damaged N leaves out: " in found.warnings[0]
    assert "train/dog/0.png: damaged image" in found.warnings[0]


def test_arrays_are_described(tmp_path):
    images = np.arange(12 * 4 * 5 * 3, dtype=np.uint8).reshape(12, 4, 5, 3)
    labels = np.arange(12) % 2
    np.savez(
        tmp_path / "a.npz", x_train=images[:8], y_train=labels[:8], x_test=images[7:], y_test=labels[7:],
        class_names=np.array(["one", "two"]),
    )  # fmt: skip
    found = describe_data(f"npz:{tmp_path / 'a.npz'}")
    assert (found.classes, found.counts) == (("one", "two"), {"train": (4, 4), "test": (2, 3)})
    assert found.smallest == found.largest == (5, 4)
    assert found.mean == pytest.approx(images[:8].mean(axis=(0, 1, 2)))
    assert found.warnings == ("1 images of test are in train as well: train 7 = test 0",)
    assert describe_data("digits").counts["test"] == tuple(np.bincount(load_data("digits", GRAY).test.labels))
