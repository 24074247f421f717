"""Decoding of one image file into pixels of the shape that a network takes."""

import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Input
from senas.errors import DataError
from senas.io import brief, os_reason

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

MAX_PIXELS = 2**27  # of a file, 134 million: a file of a few kilobytes can claim billions
_DRAFT = 2  # a JPEG is decoded at a reduced size of at least this many times the network's
_PLAIN = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


def decode_image(path: Path, network_input: Input) -> NDArray[np.uint8]:
    """Return the pixels of an image file, (C, size, size).

    The image is turned as its EXIF data says, its shorter side resized to the network's size, and the middle of its
    longer side kept. Transparent pixels show white. 16-bit gray levels are divided by 257. A network of one channel
    gets gray levels (ITU-R 601), one of three channels RGB.

    Args:
        path: Path of the file.
        network_input: Input of the network, of one or three channels.

    Raises:
        DataError: A damaged file, one that claims more than `MAX_PIXELS`, or a number format other than integers of 8
            or 16 bits; the message names file and mode.
    """
    with _opened(path) as image:
        image.draft(None, (_DRAFT * network_input.size, _DRAFT * network_input.size))
        image.load()
        return pixels_of(image, network_input, brief(str(path)))


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height of an image file as it is stored, without decoding it.

    Raises:
        DataError: A file whose first bytes are not those of an image, or one that claims more than `MAX_PIXELS`.
    """
    with _opened(path) as image:
        return image.size


@contextmanager
def _opened(path: Path) -> "Iterator[PILImage]":
    """Open an image file; whatever is wrong with it, then and while it is decoded, is a `DataError` that names it."""
    from PIL import Image

    name = brief(str(path))
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{name}: found no regular file, expected an image")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, on large images and odd EXIF data
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(
                        f"{name}: found {image.width} x {image.height} pixels, allowed: {MAX_PIXELS} in all"
                    )
                yield image
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"{name}: found more pixels than allowed, {MAX_PIXELS} in all") from None
    except OSError as error:
        reason = os_reason(error) if error.errno is not None else str(error) or "not an image"
        raise DataError(f"{name}: damaged image ({_one_line(reason, path)})") from None
    except Exception as error:  # Pillow's decoders raise SyntaxError, ValueError, struct.error and others
        reason = str(error) or type(error).__name__
        raise DataError(f"{name}: damaged image ({_one_line(reason, path)})") from None


def pixels_of(image: "PILImage", network_input: Input, name: str) -> NDArray[np.uint8]:
    """Return the pixels of an open image, (C, size, size), as `decode_image` describes them; `name` is for messages."""
    from PIL import Image, ImageOps

    size = network_input.size
    sixteen_bits = image.mode in _SIXTEEN_BITS or (image.mode == "I" and image.format == "PNG")
    upright = _eight_bits(ImageOps.exif_transpose(image), name, sixteen_bits=sixteen_bits)
    plain = upright.convert("L" if network_input.channels == 1 else "RGB")
    pixels = np.asarray(ImageOps.fit(plain, (size, size), Image.Resampling.BICUBIC))  # (size, size) or (size, size, 3)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _eight_bits(image: "PILImage", name: str, *, sixteen_bits: bool) -> "PILImage":
    """Return an image with 8 bits per channel and without transparency."""
    from PIL import Image

    if sixteen_bits:
        return Image.fromarray(np.round(np.asarray(image, dtype=np.float64) / 257).clip(0, 255).astype(np.uint8))
    if image.mode not in (*_PLAIN, *_WITH_ALPHA):
        raise DataError(f"{name}: found mode {image.mode}, allowed: integers of 8 or 16 bits per channel")
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        solid = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", solid.size, "white"), solid)
    return image


def _one_line(reason: str, path: Path) -> str:
    """Return the first line of a reason without the path, which the message has already."""
    return brief(reason.splitlines()[0].replace(repr(str(path)), "it").replace(str(path), "it"))
