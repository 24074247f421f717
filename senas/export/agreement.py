"""Agreement of an exported file with the module that it was made from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from senas.errors import ExportFailedError
from senas.export.refusals import refused_as

TOLERANCE = 1e-4
BATCH_SIZES = (1, 3, 32)

Logits = Callable[[Tensor], Tensor]  # from uint8 images (B, C, H, W) to logits (B, classes)
Batches = Iterable[tuple[Tensor, Tensor]]  # uint8 images (B, C, H, W) and their labels (B,)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well a file computes what the module computes.

    Attributes:
        images: Number of images compared.
        largest_relative_difference: max |a - b| / max |a|, each over all logits of all images, where a are the logits
            in PyTorch and b those of the file.
        equal_predictions: Share of images whose largest logit is that of the same class.
        accuracy_pytorch: Top-1 accuracy in PyTorch, in [0, 1].
        accuracy_file: Top-1 accuracy of the file, in [0, 1].
        widest_relative_gap: Of the images with unequal predictions, the largest difference between the two largest
            logits in PyTorch, divided by max |a|; 0 if there are none.
    """

    images: int
    largest_relative_difference: float
    equal_predictions: float
    accuracy_pytorch: float
    accuracy_file: float
    widest_relative_gap: float

    def require(self, where: str) -> None:
        """Raise `ExportFailedError`, which begins with `where`, unless the file agrees with the module.

        It agrees if the largest relative difference is below `TOLERANCE`, and all predictions are equal except those
        of images whose two largest logits are closer than that.
        """
        if not self.largest_relative_difference < TOLERANCE:  # NaN is not
            raise ExportFailedError(
                f"{where}: found logits that differ from those in PyTorch by {self.largest_relative_difference:.1e} of "
                f"the largest, allowed: less than {TOLERANCE:.0e}; the file was not written"
            )
        if not self.widest_relative_gap < TOLERANCE:
            raise ExportFailedError(
                f"{where}: found the predictions of PyTorch for {self.equal_predictions:.2%} of the images, expected "
                "all; the file was not written"
            )


def compare(module: Logits, file: Logits, batches: Batches) -> Agreement:
    """Run a module and a file on the same images and compare their logits.

    Raises:
        ExportFailedError: The file returns logits of another shape.
    """
    difference, scale, gap = torch.zeros(3, dtype=torch.float64)
    images = equal = correct = correct_in_file = 0
    for pixels, labels in batches:
        expected, found = module(pixels).double(), file(pixels).double()  # (B, classes)
        if expected.shape != found.shape:
            raise ExportFailedError(
                f"logits: found {tuple(found.shape)}, expected {tuple(expected.shape)}; the file was not written"
            )
        difference = torch.maximum(difference, (expected - found).abs().max())  # NaN stays NaN
        scale = torch.maximum(scale, expected.abs().max())
        predicted, predicted_in_file = expected.argmax(1), found.argmax(1)
        differs = predicted != predicted_in_file
        if differs.any():
            largest = expected[differs].topk(2, dim=1).values
            gap = torch.maximum(gap, (largest[:, 0] - largest[:, 1]).max())
        images += len(pixels)
        equal += int((~differs).sum())
        correct += int((predicted == labels).sum())
        correct_in_file += int((predicted_in_file == labels).sum())
    return Agreement(
        images=images,
        largest_relative_difference=_ratio(difference, scale),
        equal_predictions=equal / images,
        accuracy_pytorch=correct / images,
        accuracy_file=correct_in_file / images,
        widest_relative_gap=_ratio(gap, scale),
    )


def require_batch_sizes(module: Logits, file: Logits, images: Tensor) -> None:
    """Compare module and file at each of `BATCH_SIZES`, on some images, repeated where they are fewer.

    Raises:
        ExportFailedError: The file does not take one of the sizes, or does not agree.
    """
    for size in BATCH_SIZES:
        batch = images[torch.arange(size) % len(images)]
        where = f"batch of {size}"
        with refused_as(f"{where}: the file does not take it"):
            agreement = compare(module, file, [(batch, torch.zeros(size, dtype=torch.int64))])
        agreement.require(where)


def _ratio(part: Tensor, whole: Tensor) -> float:
    """Return part / whole, 0 for 0 / 0."""
    return 0.0 if part == 0 else float(part / whole)
