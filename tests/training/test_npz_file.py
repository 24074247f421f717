"""NumPy files as people have them: names, forms of labels and images that are understood, and what is refused."""

import numpy as np
import pytest

from senas.architecture.network import Input
from senas.errors import DataError
from senas.training.data.inspection import describe_data
from senas.training.data.sources import load_data

GRAY = Input(channels=1, size=8)
NUMBERS = np.array([2, 0, 1, 2, 0, 1])
NAMES = ("ant", "bee", "cow")
IMAGES: np.ndarray = np.arange(6 * 64, dtype=np.uint8).reshape(6, 8, 8)


def load(path, labels=NUMBERS, images=IMAGES, **further):
    np.savez_compressed(path / "data.npz", x_train=images, y_train=labels, x_test=images, y_test=labels, **further)
    return load_data(f"npz:{path / 'data.npz'}", GRAY)


@pytest.mark.parametrize(
    ("labels", "names", "notes"),
    [
        (NUMBERS, None, ()),
        (NUMBERS[:, None].astype(np.uint8), None, ("labels: (N, 1), taken as (N,)",)),
        (NUMBERS + 1, None, ("labels: 1 to 3, so that class 1 is the first",)),
        (np.eye(3, dtype=np.uint8)[NUMBERS], None, ("labels: one-hot, 3 classes",)),
        (np.eye(3)[NUMBERS], None, ("labels: one-hot, 3 classes",)),
        (
            np.array(["ant", "bee", "cow"])[NUMBERS],
            ("ant", "bee", "cow"),
            ("labels: names of 3 classes, in sorted order",),
        ),
    ],
)
def test_every_form_of_labels_is_understood_and_said(tmp_path, labels, names, notes):
    data = load(tmp_path, labels)
    assert data.train.labels.tolist() == data.test.labels.tolist() == NUMBERS.tolist()
    assert (data.classes, data.class_names, data.notes) == (3, names, notes)
    assert describe_data(f"npz:{tmp_path / 'data.npz'}").notes == notes


def test_class_names_decide_whether_labels_start_at_one(tmp_path):
    three = load(tmp_path, NUMBERS + 1, class_names=np.array(["a", "b", "c"]))
    assert (three.train.labels.tolist(), three.class_names) == (NUMBERS.tolist(), ("a", "b", "c"))
    four = load(tmp_path, NUMBERS + 1, class_names=np.array(["none", "a", "b", "c"]))  # of which one has no image
    assert four.train.labels.tolist() == (NUMBERS + 1).tolist()
    assert four.notes == ("labels: 1 to 3 of 4 class names, counted from 0",)
    odd = load(tmp_path, weights=np.ones(3))
    assert odd.notes == ("arrays that are not used: weights",)
    named = load(tmp_path, np.array(["b", "a"])[NUMBERS % 2], class_names=np.array(["b", "a"]))  # in their own order
    assert (named.train.labels.tolist(), named.class_names) == ((NUMBERS % 2).tolist(), ("b", "a"))


def test_medmnist_files_are_read_with_their_validation_set(tmp_path):
    parts = {"train": 6, "val": 4, "test": 2}
    arrays = {f"{name}_images": IMAGES[:count] for name, count in parts.items()}
    arrays |= {f"{name}_labels": NUMBERS[:count, None].astype(np.uint8) for name, count in parts.items()}
    np.savez(tmp_path / "bloodmnist.npz", allow_pickle=False, **arrays)
    data = load_data(f"npz:{tmp_path / 'bloodmnist.npz'}", GRAY)
    assert data.validation is not None
    assert [len(split) for split in (data.train, data.validation, data.test)] == [6, 4, 2]
    assert data.with_validation().test.labels.tolist() == NUMBERS[:4].tolist()
    assert len(data.with_all_for_training().train) == 10


def test_channels_may_come_first(tmp_path):
    images = np.arange(6 * 3 * 64, dtype=np.uint8).reshape(6, 3, 8, 8)
    first, last = load(tmp_path, images=images), load(tmp_path, images=images.transpose(0, 2, 3, 1))
    assert first.train.shape == (3, 8, 8) and (first.train.images == last.train.images).all()
    assert (first.notes, last.notes) == (("images: channels first, (N, C, H, W)",), ())


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_images_are_mapped_from_a_file_block_by_block(tmp_path, monkeypatch, order):
    images = np.asarray(np.arange(6 * 3 * 64, dtype=np.uint8).reshape(6, 8, 8, 3), order=order)
    small = load(tmp_path, images=images).train.images
    monkeypatch.setattr("senas.training.data.npz_file._SHARED_BYTES", 0)
    monkeypatch.setattr("senas.training.data.npz_file._BLOCK_BYTES", 400)  # two images
    assert (load(tmp_path, images=images).train.images == small).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.eye(3)[NUMBERS] + np.eye(3)[NUMBERS[::-1]]}, "found labels (6, 3) of float64, expected a whole"),
        ({"labels": NUMBERS - 1.5}, "found labels (6,) of float64, expected a whole number for each"),
        ({"labels": NUMBERS.astype(np.uint64) + 2**63}, "found label 9223372036854775810, allowed: below 1000000"),
        ({"labels": NUMBERS[:5]}, "found labels (5,) of int64, expected a whole number for each"),
        ({"labels": np.eye(3)[NUMBERS], "class_names": np.array(["a", "b"])}, "found one-hot labels of [3] classes"),
        ({"labels": np.array([*"abcabc"]), "class_names": np.array(["a", "b"])}, "found label 'c', which no class"),
        ({"images": IMAGES.astype(float)}, "found (6, 8, 8) of float64, expected (N, H, W)"),
    ],
)
def test_what_is_ambiguous_or_wrong_is_refused_in_one_line(tmp_path, changes, message):
    with pytest.raises(DataError) as caught:
        load(tmp_path, **changes)
    assert message in str(caught.value) and "\n" not in str(caught.value)
