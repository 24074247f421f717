"""Data, augmentation, the loop, the evaluator."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import needs_cuda
from safetensors.torch import load_file, save_file

from senas.architecture.cells.basic import Basic
from senas.architecture.cells.shake_shake import ShakeShake
from senas.architecture.layers.heads import LinearHead
from senas.architecture.layers.stems import ConvStem
from senas.architecture.network import Architecture, Input
from senas.architecture.se import SEConfig
from senas.errors import SenasError, TrainingDivergedError
from senas.nn.network import build_network
from senas.training.checkpoint import load_checkpoint, save_checkpoint
from senas.training.data.augmentation import augment, crop, cut_out
from senas.training.data.dataset import Dataset
from senas.training.data.sources import load_data
from senas.training.data.split import Split
from senas.training.data.statistics import pixel_statistics
from senas.training.evaluator import TrainingEvaluator
from senas.training.loop import (
    TrainingPosition,
    _batches,
    end_of_training,
    make_network,
    make_optimizer,
    top1_accuracy,
    train_epochs,
)
from senas.training.recipe import Recipe

DIGITS = Input(channels=1, size=8)
SMALL = Architecture(
    input=DIGITS,
    stem=ConvStem(channels=8),
    cells=(Basic(stage=2, channels=8, stride=2, se=SEConfig(reduction=2)),),
    head=LinearHead(classes=10),
)


def stripes(count: int, classes: int = 2, size: int = 8) -> Split:
    """Noise with a bright row whose position is the label: easy to learn."""
    rng = np.random.default_rng(count)
    labels = np.arange(count) % classes
    images = rng.integers(0, 60, (count, 1, size, size), dtype=np.uint8)
    images[np.arange(count), 0, 2 * labels + 1] = 255
    return Split(images=torch.from_numpy(images), labels=torch.from_numpy(labels))


def dataset(**changes) -> Dataset:
    fields = {"name": "stripes", "train": stripes(100), "test": stripes(20), "classes": 2, "flip": False}
    return Dataset(**{**fields, **changes})


def test_digits_are_what_scikit_learn_says():
    data = load_data("digits", DIGITS)
    assert len(data.train) + len(data.test) == 1797
    assert len(data.test) == 1797 // 5
    assert data.train.images.shape[1:] == (1, 8, 8)
    assert int(data.train.images.max()) == 16
    assert not data.flip


def test_the_validation_split_is_fixed_stratified_and_disjoint():
    data = dataset()
    first, second = data.with_validation(), data.with_validation()
    assert torch.equal(first.test.images, second.test.images)
    assert len(first.train) + len(first.test) == 100
    assert torch.bincount(first.test.labels).tolist() == [10, 10]
    everything = torch.cat([first.train.images, first.test.images]).flatten(1)
    assert len(everything.unique(dim=0)) == len(data.train.images.flatten(1).unique(dim=0)) == 100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 1}, "training labels: found 0 to 1 of torch.int64, allowed: 0 to 0"),
        (
            {"train": Split(images=stripes(4).images, labels=torch.zeros(3, dtype=torch.int64))},
            "found 4 images and (3,) labels",
        ),
        (
            {"train": Split(images=torch.zeros(4, 1, 8, 8), labels=stripes(4).labels)},
            "torch.float32, expected (N, C, H, W) of uint8",
        ),
        ({"test": stripes(4, size=16)}, "expected the same shape"),
    ],
)
def test_data_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(SenasError) as caught:
        dataset(**changes)
    assert message in str(caught.value)


def test_data_must_fit_the_network():
    with pytest.raises(SenasError, match=r"found images \(1, 16, 16\), the network needs \(1, 8, 8\)"):
        dataset(train=stripes(4, size=16), test=stripes(4, size=16)).require(SMALL)
    with pytest.raises(SenasError, match=r"found 11 classes, the network has 10 outputs; .* or --classes 11"):
        dataset(classes=11).require(SMALL)
    dataset().require(SMALL)  # of 10 classes, of which it has images of two
    with pytest.raises(SenasError, match=r"found 2 classes, .* set classes = 2 in the space, or --classes 2"):
        dataset(class_names=("above", "below")).require(SMALL)


def write_npz(path, **changes):
    arrays = {
        "x_train": np.zeros((6, 8, 8), np.uint8),
        "y_train": np.arange(6) % 3,
        "x_test": np.zeros((3, 8, 8), np.uint8),
        "y_test": np.arange(3),
    }
    arrays.update(changes)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return f"npz:{path}"


def test_npz_files_hold_images_with_channels_last_or_none(tmp_path):
    gray = load_data(write_npz(tmp_path / "gray.npz"), DIGITS)
    assert gray.train.images.shape == (6, 1, 8, 8)
    assert (gray.classes, gray.flip) == (3, True)
    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    name = write_npz(
        tmp_path / "rgb.npz", x_train=pixels, y_train=np.array([0, 1]), x_test=pixels, y_test=np.array([1, 0]),
        class_names=np.array(["a", "b", "c"]), flip=np.array(False),
    )  # fmt: skip
    rgb = load_data(name, DIGITS)
    assert rgb.train.images[1, 2, 3, 4] == pixels[1, 3, 4, 2]
    assert (rgb.classes, rgb.flip) == (3, False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None}, "missing array 'x_test', found x_train, y_test, y_train"),
        ({"x_train": np.zeros((6, 8, 8))}, "found (6, 8, 8) of float64, expected"),
        ({"y_train": np.zeros(6)}, "found labels (6,) of float64, expected a whole number for each"),
        ({"y_train": np.array(["a"] * 6)}, "found labels (6,) of <U1"),
        ({"y_train": np.array(3)}, "found labels () of int64"),
        ({"y_train": np.arange(6) - 1}, "training labels: found -1 to 4"),
        ({"flip": np.array("false")}, "flip: found () of <U5, expected one truth value"),
        ({"class_names": np.array("a")}, "class_names: found (), expected (K,)"),
        ({"y_train": np.array([{}] * 6, dtype=object)}, "not an npz file of plain arrays"),
    ],
)
def test_a_wrong_npz_file_is_refused(tmp_path, changes, message):
    with pytest.raises(SenasError) as caught:
        load_data(write_npz(tmp_path / "wrong.npz", **changes), DIGITS)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "data set: found 'digit', did you mean 'digits'?"),
        ("digits:8", "found 'digits:8', expected digits alone"),
        ("npz:", "found 'npz:', expected npz: followed by a path"),
        ("npz:/nowhere/x.npz", "no such file or directory"),
        ("imagefolder:/nowhere", "which is not a folder"),
    ],
)
def test_an_unknown_data_set_is_refused_in_one_line(name, message):
    with pytest.raises(SenasError) as caught:
        load_data(name, DIGITS)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_npz_file_is_refused(tmp_path):
    path = tmp_path / "broken.npz"
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    for content in (b"", b"PK\x03\x04nonsense", b"plain text", array.getvalue()):
        path.write_bytes(content)
        with pytest.raises(SenasError, match="not an npz file of plain arrays"):
            load_data(f"npz:{path}", DIGITS)


def test_a_data_set_is_a_function():
    assert load_data(lambda network_input: dataset(name=f"{network_input.size}"), DIGITS).name == "8"


def test_crop_shifts_whole_images_and_fills_with_zeros():
    images = torch.arange(1, 3 * 25 + 1, dtype=torch.float32).reshape(3, 1, 5, 5)
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    seen = set()
    for seed in range(40):
        for index, image in enumerate(crop(images, 1, torch.Generator().manual_seed(seed))):
            matches = [
                (dy, dx)
                for dy in range(3)
                for dx in range(3)
                if torch.equal(image, padded[index, :, dy : dy + 5, dx : dx + 5])
            ]
            assert len(matches) == 1
            seen.add(matches[0])
    assert len(seen) == 9


def test_cutout_zeroes_one_square():
    cut = cut_out(torch.ones(50, 2, 8, 8), 2, torch.Generator().manual_seed(0))
    holes = (cut == 0).sum((2, 3))
    assert torch.equal(holes[:, 0], holes[:, 1])
    assert set(holes[:, 0].tolist()) <= {1, 2, 4}  # whole, or partly outside at an edge or corner
    assert 4 in holes


def test_augmentation_depends_on_the_generator_alone():
    images = torch.randn(6, 3, 16, 16)
    first, second, third = (
        augment(images, torch.Generator().manual_seed(seed), shift=2, flip=True, cutout=True) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_flipping_mirrors_about_half_of_the_images():
    images = torch.arange(4.0).expand(400, 1, 4, 4).contiguous()
    out = augment(images, torch.Generator().manual_seed(0), shift=0, flip=True, cutout=False)
    mirrored = (out == images.flip(-1)).all((1, 2, 3))
    assert ((out == images).all((1, 2, 3)) | mirrored).all()
    assert 150 < int(mirrored.sum()) < 250


def test_pixel_statistics_are_those_of_numpy():
    images = torch.randint(0, 256, (7, 3, 5, 5), dtype=torch.uint8)
    mean, deviation = pixel_statistics(Split(images=images, labels=torch.zeros(7, dtype=torch.int64)))
    np.testing.assert_allclose(mean.flatten(), images.numpy().mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(deviation.flatten(), images.numpy().std((0, 2, 3)), rtol=1e-6)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"schedule": "cosin"}, "schedule: found 'cosin', did you mean 'cosine'?"),
        ({"learning_rate": float("nan")}, "learning_rate: found nan, allowed: more than 0"),
        ({"momentum": 0.0}, "momentum: found 0.0, allowed: more than 0 and less than 1"),
        ({"weight_decay": -1e-4}, "weight_decay: found -0.0001, allowed: at least 0"),
        ({"label_smoothing": 1.0}, "label_smoothing: found 1.0, allowed: at least 0, less than 1"),
        ({"epochs": 0}, "epochs and batch: found 0 and 64, allowed: at least 1"),
    ],
)
def test_a_setting_of_a_recipe_that_cannot_be_trained_with_is_refused(setting, message):
    with pytest.raises(SenasError) as caught:
        Recipe(**setting)
    assert message in str(caught.value)


def test_the_learning_rate_rises_and_falls():
    recipe = Recipe(learning_rate=1.0)
    assert [recipe.learning_rate_at(p) for p in (0.0, 0.125, 0.25)] == [0.0, 0.5, 1.0]
    assert recipe.learning_rate_at(0.625) == pytest.approx(0.5)  # half-way down the cosine
    assert Recipe(learning_rate=1.0, schedule="cosine").learning_rate_at(0.5) == pytest.approx(0.5)
    with pytest.raises(SenasError, match="allowed: at least 1"):
        Recipe(epochs=0)


def test_weight_decay_spares_biases_and_batch_norms():
    network = build_network(SMALL)
    decayed, spared = make_optimizer(network, Recipe()).param_groups
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in spared["params"]} == {1}
    assert spared["weight_decay"] == 0
    assert sum(len(group["params"]) for group in (decayed, spared)) == len(list(network.parameters()))


def test_training_learns_and_goes_on_exactly_where_it_stopped():
    data, recipe = dataset(), Recipe(epochs=6, batch=20, cutout=False)

    def start():
        network = make_network(SMALL, recipe, seed=0, device="cpu")
        return network, make_optimizer(network, recipe)

    whole, optimizer = start()
    losses = [loss for _, loss in train_epochs(whole, optimizer, data, recipe, seed=4)]
    assert losses[-1] < losses[0]
    assert top1_accuracy(whole, data.test, pixel_statistics(data.train)) > 0.9

    halves, optimizer = start()
    for epoch, _ in train_epochs(halves, optimizer, data, recipe, seed=4):
        if epoch == 3:
            break
    rest = train_epochs(halves, optimizer, data, recipe, seed=4, start=TrainingPosition(epoch=3))
    assert [epoch for epoch, _ in rest] == [4, 5, 6]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, halves.state_dict()[name]), name


class StoppedError(Exception):
    """Raised by a test in the middle of an epoch."""


@pytest.mark.parametrize("kind", ["resnet", "shake"])
def test_training_goes_on_exactly_within_an_epoch(tmp_path, kind):
    """Also where the network draws random numbers of its own, as shake-shake does."""
    data, recipe, path = dataset(), Recipe(epochs=3, batch=20), tmp_path / "checkpoint.safetensors"
    shaken = replace(SMALL, cells=(ShakeShake(stage=2, channels=8),))
    arch = SMALL if kind == "resnet" else shaken

    def start():
        network = make_network(arch, recipe, seed=0, device="cpu")
        return network, make_optimizer(network, recipe)

    whole, optimizer = start()
    steps = []
    losses = list(train_epochs(whole, optimizer, data, recipe, seed=4, on_step=steps.append))
    assert [(each.epoch, each.step, each.steps) for each in steps] == [(e, s, 5) for e in range(3) for s in range(1, 6)]

    network, optimizer = start()

    def stop(position: TrainingPosition) -> None:
        if (position.epoch, position.step) == (1, 3):
            save_checkpoint(path, network, optimizer, position, {"loss": 0.5})
            raise StoppedError

    with pytest.raises(StoppedError):
        list(train_epochs(network, optimizer, data, recipe, seed=4, on_step=stop))
    network, optimizer = start()
    restored = load_checkpoint(path, network, optimizer, "loss", end=end_of_training(data, recipe))
    assert restored is not None and (restored[0].epoch, restored[0].step, restored[1]) == (1, 3, 0.5)
    assert list(train_epochs(network, optimizer, data, recipe, seed=4, start=restored[0])) == losses[1:]
    for wrong in (TrainingPosition(epoch=4), TrainingPosition(step=6), TrainingPosition(loss_sum=math.inf)):
        save_checkpoint(path, network, optimizer, wrong, {"loss": 0.5})
        with pytest.raises(SenasError, match="expected numbers, up to epoch 3 and step 5"):
            load_checkpoint(path, network, optimizer, "loss", end=end_of_training(data, recipe))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
@pytest.mark.parametrize("channels_last", [True, False])
def test_training_learns_in_every_number_and_memory_format(precision, channels_last):
    recipe = Recipe(epochs=6, batch=20, cutout=False, precision=precision, channels_last=channels_last)
    assert trained(recipe, "cpu") > 0.9


def trained(recipe: Recipe, device: str, arch: Architecture = SMALL) -> float:
    """The test accuracy after a training; torch's settings are as before."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (matmul.allow_tf32, cudnn.allow_tf32, torch.is_autocast_enabled(device))
    data = dataset().to(device)
    network = make_network(arch, recipe, seed=0, device=device)
    losses = []
    for _, loss in train_epochs(network, make_optimizer(network, recipe), data, recipe, seed=4):
        losses.append(loss)
        assert (matmul.allow_tf32, cudnn.allow_tf32, torch.is_autocast_enabled(device)) == before
    assert losses[-1] < losses[0]
    weight = next(network.parameters())
    assert weight.device.type == device and weight.dtype == torch.float32
    assert weight.is_contiguous(memory_format=torch.channels_last if recipe.channels_last else torch.contiguous_format)
    return top1_accuracy(network, data.test, pixel_statistics(data.train), precision=recipe.precision)


@pytest.mark.slow  # compiles a network, forward and backward
def test_a_compiled_training_learns():
    plain = replace(SMALL, cells=(Basic(stage=2, channels=8),))  # half the code of one with SE and a projection
    assert trained(Recipe(epochs=6, batch=20, cutout=False, compile=True), "cpu", plain) > 0.9


@needs_cuda
@pytest.mark.parametrize("compiles", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_training_on_a_gpu_learns(precision, compiles):
    assert trained(Recipe(epochs=6, batch=20, cutout=False, precision=precision, compile=compiles), "cuda") > 0.9


@needs_cuda
@pytest.mark.parametrize("channels_last", [True, False])
def test_a_training_on_a_gpu_goes_on_from_a_checkpoint(tmp_path, channels_last):
    recipe, data = Recipe(epochs=4, batch=20, cutout=False, channels_last=channels_last), dataset().to("cuda")
    path, losses = tmp_path / "checkpoint.safetensors", []
    for stop in (2, 4):
        network = make_network(SMALL, recipe, seed=0, device="cuda")
        optimizer = make_optimizer(network, recipe)
        end = end_of_training(data, recipe)
        start, _ = load_checkpoint(path, network, optimizer, "loss", end=end) or (
            TrainingPosition(),
            0.0,
        )
        for epoch, loss in train_epochs(network, optimizer, data, recipe, seed=4, start=start):
            losses.append(loss)
            if epoch == stop:
                save_checkpoint(path, network, optimizer, TrainingPosition(epoch=epoch), {"loss": loss})
                break
    network = make_network(SMALL, recipe, seed=0, device="cuda")
    whole = [loss for _, loss in train_epochs(network, make_optimizer(network, recipe), data, recipe, seed=4)]
    assert losses == pytest.approx(whole, rel=1e-3)  # the order of CUDA's sums differs from run to run


@needs_cuda
def test_a_first_step_on_a_gpu_is_that_of_a_cpu():
    recipe, losses = Recipe(epochs=1, batch=200, cutout=False), []
    for device in ("cpu", "cuda"):
        data = replace(dataset(flip=False), train=stripes(100)).to(device)
        network = make_network(SMALL, recipe, seed=0, device=device)
        network.train()
        statistics = pixel_statistics(data.train)
        logits = network((data.train.images.float() - statistics[0]) / statistics[1])
        losses.append(torch.nn.functional.cross_entropy(logits, data.train.labels).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_last_batch_of_one_image_joins_the_one_before():
    """81 images in batches of 20; maps of 1x1 have no statistics over a single image."""
    assert [len(batch) for batch in _batches(torch.arange(81), 20)] == [20, 20, 20, 21]
    assert torch.cat(_batches(torch.arange(81), 20)).tolist() == list(range(81))
    assert [len(batch) for batch in _batches(torch.arange(82), 20)] == [20, 20, 20, 20, 2]
    assert [len(batch) for batch in _batches(torch.arange(1), 20)] == [1]
    assert [len(batch) for batch in _batches(torch.arange(3), 1)] == [1, 1, 1]
    head = LinearHead(classes=10)
    pixel = Architecture(
        input=Input(channels=1, size=4),
        stem=ConvStem(channels=4, stride=4),
        cells=(Basic(stage=2, channels=4),),
        head=head,
    )
    recipe, data = Recipe(epochs=1, batch=20), dataset(train=stripes(81, size=4), test=stripes(20, size=4))
    network = make_network(pixel, recipe, seed=0, device="cpu")
    assert [epoch for epoch, _ in train_epochs(network, make_optimizer(network, recipe), data, recipe, seed=0)] == [1]


def test_a_diverging_training_says_so():
    recipe = Recipe(epochs=3, learning_rate=1e30)
    network = build_network(SMALL)
    with pytest.raises(TrainingDivergedError, match=r"the loss of epoch \d is (nan|inf)"):
        list(train_epochs(network, make_optimizer(network, recipe), dataset(), recipe, seed=0))


def test_the_evaluator_reports_every_epoch_and_never_sees_the_test_set():
    reports: list[tuple[int, float]] = []
    poisoned = dataset(test=Split(images=stripes(20).images, labels=torch.ones(20, dtype=torch.int64)))
    evaluator = TrainingEvaluator(data=lambda _: poisoned, recipe=Recipe(epochs=12, batch=20, cutout=False))
    accuracy = evaluator(SMALL, 0, lambda epoch, value: reports.append((epoch, value)))
    assert [epoch for epoch, _ in reports] == list(range(1, 13))
    assert reports[-1][1] == accuracy
    assert accuracy > 0.9 and math.isfinite(accuracy)


def test_a_trial_that_was_stopped_goes_on_from_its_last_checkpoint(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("senas.training.evaluator.CHECKPOINT_SECONDS", 0.0)
    arch = tiny.random(np.random.default_rng(0))
    evaluator = TrainingEvaluator(data="digits", recipe=Recipe(epochs=5))

    class Report:
        folder = tmp_path

        def __init__(self, killed_in: int = 0):
            self.seen: list[tuple[int, float]] = []
            self.killed_in = killed_in

        def __call__(self, epoch: int, accuracy: float) -> None:
            if epoch == self.killed_in:
                raise KeyboardInterrupt
            self.seen.append((epoch, accuracy))

    whole: list[tuple[int, float]] = []
    undisturbed = evaluator(arch, 7, lambda epoch, accuracy: whole.append((epoch, accuracy)))
    before, after = Report(killed_in=4), Report()
    with pytest.raises(KeyboardInterrupt):
        evaluator(arch, 7, before)
    assert evaluator(arch, 7, after) == undisturbed
    assert [epoch for epoch, _ in after.seen] == [4, 5]
    assert before.seen + after.seen == whole
    done = Report()
    assert evaluator(arch, 7, done) == undisturbed and done.seen == []  # killed before it could return
    other = Report()
    evaluator(arch, 8, other)  # another training does not go on from it
    assert [epoch for epoch, _ in other.seen] == [1, 2, 3, 4, 5]
    assert len([*tmp_path.glob("*.safetensors")]) == 2


@pytest.mark.parametrize("what", ["full", "damaged", "mislabelled"])
def test_a_checkpoint_that_cannot_be_written_or_read_costs_nothing_but_time(tiny, tmp_path, monkeypatch, what):
    monkeypatch.setattr("senas.training.evaluator.CHECKPOINT_SECONDS", 0.0)
    arch, evaluator = tiny.random(np.random.default_rng(0)), TrainingEvaluator(data="digits", recipe=Recipe(epochs=2))

    class Report:
        folder = tmp_path / "kept"

        def __init__(self):
            self.seen: list[int] = []

        def __call__(self, epoch: int, accuracy: float) -> None:
            self.seen.append(epoch)

    if what == "full":
        Report.folder.write_text("a file where the folder would be: nothing can be written there")
    else:
        evaluator(arch, 0, Report())
        (path,) = Report.folder.iterdir()
        if what == "damaged":
            path.write_bytes(path.read_bytes()[:-10])
        else:  # whole, but it does not say after which epoch: its weights must not be trained on
            save_file(load_file(path), path, metadata={"accuracy": "0.5"})
    report = Report()
    assert evaluator(arch, 0, report) == evaluator(arch, 0, lambda *_: None)
    assert report.seen == [1, 2]
