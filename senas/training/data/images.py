"""Decoding of one image file into pixels of the shape that a network takes."""

import math
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from senas.architecture import Input
from senas.errors import DamagedImageError, DataError
from senas.io import brief, os_reason

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

MAX_PIXELS = 2**27  # of a file, 134 million: a file of a few kilobytes can claim billions
Box = tuple[float, float, float, float]

_MIN_AREA, _LOG_RATIO, _DRAWS = 0.08, math.log(4 / 3), 10  # of a random crop
_ORIENTATION = 0x0112  # tag of EXIF
DRAFT = 2  # a JPEG is decoded at a reduced size of at least this many times the network's
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # no PostScript, which would be run
_PLAIN = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


def decode_image(path: Path, network_input: Input, *, crop: np.random.Generator | None = None) -> NDArray[np.uint8]:
    """Return the pixels of an image file, (C, size, size).

    The image is turned as its EXIF data says, its shorter side resized to the network's size, and the middle of its
    longer side kept. Transparent pixels show white. 16-bit gray levels are divided by 257. A network of one channel
    gets gray levels (ITU-R 601), one of three channels RGB.

    Args:
        path: Path of the file.
        network_input: Input of the network, of one or three channels.
        crop: Generator of a random crop that is resized in place of the middle, see `random_box`.

    Raises:
        DataError: A damaged file, one that claims more than `MAX_PIXELS`, or a number format other than integers of 8
            or 16 bits; the message names file and mode.
    """
    with _opened(path) as image:
        box = None if crop is None else random_box(*image.size, crop)
        image.draft(None, _draft_size(image.size, network_input.size, box))
        image.load()
        return pixels_of(image, network_input, brief(str(path)), box)


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
            Image.init()  # otherwise only the commonest formats are known
            with Image.open(path, formats=_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DamagedImageError(
                        f"{name}: found {image.width} x {image.height} pixels, allowed: {MAX_PIXELS} in all"
                    )
                yield image
    except (DataError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise DamagedImageError(f"{name}: found more pixels than allowed, {MAX_PIXELS} in all") from None
    except OSError as error:
        if error.errno is not None:  # of the file system
            raise DataError(f"{name}: {os_reason(error)}") from None
        raise DamagedImageError(f"{name}: damaged image ({_one_line(str(error) or 'not an image', path)})") from None
    except Exception as error:  # Pillow's decoders raise SyntaxError, ValueError, struct.error and others
        reason = str(error) or type(error).__name__
        raise DamagedImageError(f"{name}: damaged image ({_one_line(reason, path)})") from None


def random_box(width: int, height: int, rng: np.random.Generator) -> Box:
    """Return a random part of an image: left, top, right and bottom as shares of its width and height.

    The part has 8 % to 100 % of the area and an aspect ratio of 3:4 to 4:3 (Szegedy et al. 2015, section 6). Where ten
    draws do not fit into the image, it is the largest such part in the middle.
    """
    for _ in range(_DRAWS):
        area, ratio = width * height * rng.uniform(_MIN_AREA, 1), math.exp(rng.uniform(-_LOG_RATIO, _LOG_RATIO))
        across, down = math.sqrt(area * ratio) / width, math.sqrt(area / ratio) / height
        if across <= 1 and down <= 1:
            left, top = rng.uniform(0, 1 - across), rng.uniform(0, 1 - down)
            return left, top, left + across, top + down
    across = min(1, height * math.exp(_LOG_RATIO) / width)
    down = min(1, width * math.exp(_LOG_RATIO) / height)
    return (1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2


def _draft_size(full: tuple[int, int], size: int, box: Box | None) -> tuple[int, int]:
    """Return the smallest width and height at which a JPEG may be decoded; its part will be resized to `size`."""
    if box is None:
        return DRAFT * size, DRAFT * size
    left, top, right, bottom = box
    enlarged = max(size / (full[0] * (right - left)), size / (full[1] * (bottom - top)))
    return math.ceil(full[0] * enlarged), math.ceil(full[1] * enlarged)


def pixels_of(image: "PILImage", network_input: Input, name: str, box: Box | None = None) -> NDArray[np.uint8]:
    """Return the pixels of an open image, (C, size, size), as `decode_image` describes them.

    Args:
        image: Image to convert.
        network_input: Input of the network, of one or three channels.
        name: Name of the image in messages.
        box: Part of the image to take, see `random_box`; by default the middle.
    """
    from PIL import Image, ImageOps

    size = (network_input.size, network_input.size)
    sixteen_bits = image.mode in _SIXTEEN_BITS or (image.mode == "I" and image.format in ("PNG", "PPM"))
    upright = image if image.getexif().get(_ORIENTATION, 1) == 1 else ImageOps.exif_transpose(image)  # a copy
    plain, mode = _eight_bits(upright, name, sixteen_bits=sixteen_bits), "L" if network_input.channels == 1 else "RGB"
    plain = plain if plain.mode == mode else plain.convert(mode)
    if box is None:
        fitted = ImageOps.fit(plain, size, Image.Resampling.BICUBIC)
    else:
        left, top, right, bottom = (
            box if plain.size == image.size else (box[1], box[0], box[3], box[2])
        )  # turned by 90°
        width, height = plain.size
        part = (left * width, top * height, right * width, bottom * height)
        fitted = plain.resize(size, Image.Resampling.BICUBIC, box=part)
    pixels = np.asarray(fitted)  # (size, size) or (size, size, 3)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _eight_bits(image: "PILImage", name: str, *, sixteen_bits: bool) -> "PILImage":
    """Return an image with 8 bits per channel and without transparency."""
    from PIL import Image

    if sixteen_bits:
        levels = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((levels + 128) // 257).clip(0, 255).astype(np.uint8))  # rounded
    if image.mode not in (*_PLAIN, *_WITH_ALPHA):
        raise DamagedImageError(f"{name}: found mode {image.mode}, allowed: integers of 8 or 16 bits per channel")
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        solid = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", solid.size, "white"), solid)
    return image


def _one_line(reason: str, path: Path) -> str:
    """Return the first line of a reason without the path, which the message has already."""
    return brief(reason.splitlines()[0].replace(repr(str(path)), "it").replace(str(path), "it"))
