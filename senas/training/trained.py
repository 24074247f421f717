"""A retrained network with all that is needed to use it: what its images are normalised with, and its classes."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from senas.architecture import Architecture, Input
from senas.errors import DataError, RunError
from senas.io import read_json, show
from senas.nn import Network, read_network
from senas.training.data import decode_image, pixels_of
from senas.training.recipe import Recipe

if TYPE_CHECKING:
    from PIL.Image import Image

NETWORK_FILE = "network.json"


@dataclass(frozen=True, kw_only=True)
class NetworkDescription:
    """What is known of a retrained network beside its architecture and weights; the file `network.json`.

    Attributes:
        digest: Digest of the architecture.
        input: Shape of one image.
        mean: Mean of the training images per channel, on the scale of their pixels, 0 to 255.
        deviation: Their standard deviation per channel, on the same scale.
        resize: How an image of another shape becomes one of the input's: its shorter side is resized, bicubic, and the
            middle of its longer side kept.
        classes: Name of each class, in the order of the logits.
        accuracy: Top-1 accuracy on the test set, in [0, 1].
        data: Name of the data set.
        data_digest: Digest of its images and labels.
        recipe: Training recipe.
        senas: Version of senas that trained it.

    Raises:
        RunError: Other than one mean and one positive deviation for each channel, or two classes of one name.
    """

    format: Literal["senas-network/1"] = "senas-network/1"
    digest: str
    input: Input
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    resize: Literal["shorter side, then crop"] = "shorter side, then crop"
    classes: tuple[str, ...]
    accuracy: float
    data: str
    data_digest: str
    recipe: Recipe
    senas: str

    def __post_init__(self) -> None:
        channels = self.input.channels
        valid = all(0 <= each <= 255 for each in self.mean) and all(0 < each <= 255 for each in self.deviation)
        if not len(self.mean) == len(self.deviation) == channels or not valid:
            raise RunError(
                f"mean, deviation: found {show(self.mean)} and {show(self.deviation)}, expected {channels} numbers "
                "each, up to 255, deviations above 0"
            )
        if len(set(self.classes)) < len(self.classes):
            raise RunError("classes: found two of one name, expected distinct names")


class TrainedNetwork(Network):
    """A retrained network.

    It maps images to logits (B, classes), either uint8 images (B, C, size, size), which it normalises itself, or the
    floating-point images that `preprocess` returns.

    Args:
        arch: Architecture of the network.
        description: What the network was trained with; `None` if that was not kept.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, arch: Architecture, description: NetworkDescription | None):
        super().__init__(arch)
        self.architecture, self.input, self.description = arch, arch.input, description
        self.classes = description.classes if description else name_classes(None, arch.head.classes)
        statistics = (description.mean, description.deviation) if description else ((0.0,), (1.0,))
        for name, values in zip(("mean", "deviation"), statistics, strict=True):
            self.register_buffer(name, torch.tensor(values)[None, :, None, None], persistent=False)  # (1, C, 1, 1)

    def preprocess(self, images: Tensor) -> Tensor:
        """Return uint8 images (B, C, H, W) normalised as in training, on the device and in the type of the weights.

        Raises:
            RunError: The mean and deviation of the training images were not kept.
            DataError: Images of another type.
        """
        if not torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
            self._require_usable(images)
        pixels = images.to(self.mean.device).float()
        return ((pixels - self.mean.float()) / self.deviation.float()).to(self.mean.dtype)

    def _require_usable(self, images: Tensor) -> None:
        """Raise the errors of `preprocess`, which TorchScript cannot compile."""
        if self.description is None:
            raise RunError(f"network: found no {NETWORK_FILE}, expected one with the mean and deviation of its images")
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise DataError(f"images: found {tuple(images.shape)} of {images.dtype}, expected (B, C, H, W) of uint8")

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, size, size) to logits (B, classes)."""
        normalised = self.preprocess(images) if images.dtype == torch.uint8 else images
        return self.head(self.cells(self.stem(normalised)))  # TorchScript cannot compile super().forward

    @torch.inference_mode()
    def predict(self, image: "Path | str | Image | np.ndarray | Tensor") -> dict[str, float]:
        """Return the probability of each class by its name, the most probable first.

        Args:
            image: Path of an image file, an image of Pillow, or pixels of uint8: an array (H, W) or (H, W, C), or a
                tensor (C, size, size).

        Raises:
            SenasError: The image cannot be used, or the mean and deviation of the training images were not kept.
        """
        self.eval()
        probabilities = self(self._pixels(image)[None]).float().softmax(1)[0].tolist()
        return dict(sorted(zip(self.classes, probabilities, strict=True), key=lambda pair: -pair[1]))

    def _pixels(self, image: Any) -> Tensor:
        """Return one image as a tensor (C, size, size) of uint8."""
        if isinstance(image, Tensor):
            needed = (self.input.channels, self.input.size, self.input.size)
            if image.dtype != torch.uint8 or tuple(image.shape) != needed:
                raise DataError(f"image: found {tuple(image.shape)} of {image.dtype}, expected {needed} of uint8")
            return image
        if isinstance(image, str | Path):
            return torch.tensor(decode_image(Path(image), self.input))
        if isinstance(image, np.ndarray):
            from PIL import Image

            if image.dtype != np.uint8 or image.ndim not in (2, 3):
                raise DataError(f"image: found {image.shape} of {image.dtype}, expected (H, W) or (H, W, C) of uint8")
            image = Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)
        return torch.tensor(pixels_of(image, self.input, "image"))


def load_network(folder: Path | str) -> TrainedNetwork:
    """Load a retrained network from its folder, in evaluation mode.

    A folder of a version that kept neither normalisation nor class names is loaded with a warning that says so.

    Raises:
        RunError: The folder has no weights, or weights or a description of another architecture.
        SenasError: The folder has no readable architecture, or a description that cannot be read.
    """
    path = Path(folder) / NETWORK_FILE
    network = read_network(Path(folder), lambda arch: TrainedNetwork(arch, _read_description(path, arch)))
    if network.description is None:
        warnings.warn(
            f"{path}: missing, so the mean and deviation of the training images and the names of the classes are "
            "unknown: normalise images as they were when it was trained, or retrain it",
            stacklevel=2,
        )
    return network


def _read_description(path: Path, arch: Architecture) -> NetworkDescription | None:
    """Return the description of an architecture's network from a file; `None` if there is no file."""
    if not path.exists():
        return None
    description = read_json(path, NetworkDescription)
    found, expected = (description.digest, description.input), (arch.digest, arch.input)
    if found != expected:
        raise RunError(f"{path}: found the description of {found[0]}, expected that of {expected[0]}")
    if len(description.classes) != arch.head.classes:
        raise RunError(f"{path}: classes: found {len(description.classes)}, expected {arch.head.classes}")
    return description


def name_classes(names: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    """Return the names of the classes of a network: those of the data set, or else their numbers."""
    return tuple(map(str, range(classes))) if names is None else tuple(names)
