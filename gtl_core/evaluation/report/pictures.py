"""Small images inside the page, as PNG."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gtl_core.evaluation.report.elements import element

_CELL = 40
"""How many pixels of the page an image is high, about."""
_GAP = 1


def strip(images: npt.NDArray[np.uint8], alternative: str, cell: int = _CELL) -> Markup:
    """Images side by side in one picture, at their own size, which the page enlarges by whole pixels.

    Args:
        images: uint8 (n, C, S, S), at least one, grey or colour.
        alternative: what the picture shows, in words.
        cell: how many pixels of the page an image is high, about.
    """
    from PIL import Image

    count, channels, height, width = images.shape
    sheet = np.zeros((height, count * (width + _GAP) - _GAP, channels + 1), np.uint8)
    for index, image in enumerate(images):
        left = index * (width + _GAP)
        sheet[:, left : left + width, :channels] = image.transpose(1, 2, 0)
        sheet[:, left : left + width, channels] = 255  # the gaps stay transparent, so that they suit light and dark
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="PNG", optimize=True)
    factor = max(1, round(cell / height))
    return element(
        "img",
        src=f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}",
        alt=alternative,
        width=sheet.shape[1] * factor,
        height=height * factor,
        class_="pixels" if factor > 1 else None,
    )


def how_many(budget: int, strips: int, images: npt.NDArray[np.uint8], most: int) -> int:
    """How many images a strip may hold so that all strips together stay within a budget of bytes.

    Args:
        budget: bytes; a PNG is hardly larger than its pixels.
        strips: how many strips there will be.
        images: uint8 (..., C, S, S), for their size.
        most: never more than this; at least 1.
    """
    each = int(np.prod(images.shape[-3:]))
    return max(1, min(most, budget // max(1, strips * each)))
