"""From the bytes of an image file to pixels of the wanted size and channels."""

from __future__ import annotations

import io
import struct
import warnings
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

_MAX_PIXELS = 64_000_000


class BadImage(Exception):
    """An image that cannot be used; the message says why."""


def decoded(content: bytes) -> npt.NDArray[np.uint8]:
    """Pixels of a JPEG or PNG file, turned upright.

    Transparent parts become white, as on paper; 16 bits of grey are scaled from their full range.

    Returns:
        uint8 (H, W) where the file is grey, else (H, W, 3).

    Raises:
        BadImage: it is another type, damaged, cut off, or unreasonably large.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Image.Image = Image.open(io.BytesIO(content), formats=("JPEG", "PNG"))
            if image.width * image.height > _MAX_PIXELS:
                raise BadImage(f"{image.width}×{image.height} pixels are too many")
            image.load()
            image = ImageOps.exif_transpose(image)
    except UnidentifiedImageError:
        raise BadImage("neither JPEG nor PNG") from None
    except Image.DecompressionBombError:
        raise BadImage("too many pixels") from None
    # What a damaged file makes Pillow raise depends on where the damage is, such as in the EXIF tags.
    except (
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        OSError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        raise BadImage(f"damaged or cut off: {' '.join(str(error).split())}") from None
    return _plain(image)


def _plain(image: Image) -> npt.NDArray[np.uint8]:
    """An image of any mode as uint8 (H, W) or (H, W, 3)."""
    from PIL import Image as Pillow

    if image.mode.startswith("I;16") or image.mode == "I":
        deep: npt.NDArray[np.int64] = np.asarray(image).astype(np.int64)
        return (deep.clip(0, 65535) // 257).astype(np.uint8)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        ground = Pillow.new("RGBA", image.size, "white")
        grey = image.mode in ("L", "LA", "La")
        image = Pillow.alpha_composite(ground, image.convert("RGBA")).convert("L" if grey else "RGB")
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def channels_of(pixels: npt.NDArray[np.uint8]) -> int:
    """1 for (H, W) or (H, W, 1), 3 for (H, W, 3)."""
    return 1 if pixels.ndim == 2 else int(pixels.shape[2])


def prepared(pixels: npt.NDArray[np.uint8], size: int, channels: int) -> npt.NDArray[np.uint8]:
    """An image as it is stored: square, of the wanted size and channels.

    The longer side is brought to `size` by antialiased bicubic interpolation; the shorter one is filled up evenly on
    both sides with the median colour of the border, so that nothing is cut off or squeezed.

    Args:
        pixels: uint8 (H, W), (H, W, 1) or (H, W, 3).
        size: wanted height and width.
        channels: 1 (luminance, ITU-R 601) or 3.

    Returns:
        uint8 (channels, size, size).
    """
    from PIL import Image

    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if channels != channels_of(pixels):
        pixels = np.asarray(Image.fromarray(pixels).convert("L" if channels == 1 else "RGB"))
    height, width = pixels.shape[:2]
    longer = max(height, width)
    if longer != size:
        fitting = (max(1, round(width * size / longer)), max(1, round(height * size / longer)))
        pixels = np.asarray(Image.fromarray(pixels).resize(fitting, Image.Resampling.BICUBIC))
        height, width = pixels.shape[:2]
    pixels = pixels.reshape(height, width, channels)
    if height != width:
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        square = np.empty((size, size, channels), np.uint8)
        square[:] = np.median(edge, axis=0).astype(np.uint8)
        top, left = (size - height) // 2, (size - width) // 2
        square[top : top + height, left : left + width] = pixels
        pixels = square
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
