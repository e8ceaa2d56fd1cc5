"""Pictures for people: many small images on one sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gtl_core.data.manifest import UNLABELLED
from gtl_core.files import atomic_path

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.PngImagePlugin import PngInfo

_GAP = 2
_BACKGROUND = 128
_CELL = 48


def contact_sheet(images: npt.NDArray[np.uint8], columns: int, scale: int | None = None) -> Image:
    """Lays images out row by row on grey ground.

    Args:
        images: uint8 (N, C, H, W), grey or colour.
        columns: images in a row; the last row may be shorter.
        scale: how many times larger each pixel is shown; by default so that an image is about 48 pixels high.

    Raises:
        ValueError: there is no image, or no column.
    """
    from PIL import Image as Pillow

    count, channels, height, width = images.shape
    if not count or columns < 1:
        raise ValueError("a contact sheet needs at least one image and one column")
    scale = scale or max(1, round(_CELL / height))
    rows = -(-count // columns)
    cell_height, cell_width = height * scale + _GAP, width * scale + _GAP
    sheet = np.full((rows * cell_height + _GAP, columns * cell_width + _GAP, channels), _BACKGROUND, np.uint8)
    for index in range(count):
        top = _GAP + (index // columns) * cell_height
        left = _GAP + (index % columns) * cell_width
        enlarged = images[index].transpose(1, 2, 0).repeat(scale, axis=0).repeat(scale, axis=1)
        sheet[top : top + height * scale, left : left + width * scale] = enlarged
    return Pillow.fromarray(sheet[..., 0] if channels == 1 else sheet)


def save_png(path: Path, image: Image, text: PngInfo | None = None) -> None:
    """Writes a PNG in one atomic step, without a time stamp.

    Args:
        path: the file.
        image: what it shows.
        text: chunks that say what it is.
    """
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", optimize=False, pnginfo=text)


def class_sheet(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], columns: int = 16) -> Image:
    """A contact sheet with a row a class, of images spread evenly over each class; the last row is without label.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), `UNLABELLED` for none; a class without images has no row.
        columns: images of each class; a class with fewer leaves the rest of its row black.
    """
    chosen = []
    found = np.unique(labels)
    for label in (*found[found != UNLABELLED], *found[found == UNLABELLED]):
        rows = np.flatnonzero(labels == label)
        picked = rows[np.linspace(0, len(rows) - 1, min(columns, len(rows))).round().astype(np.int64)]
        row = np.zeros((columns, *images.shape[1:]), np.uint8)
        row[: len(picked)] = images[picked]
        chosen.append(row)
    return contact_sheet(np.concatenate(chosen), columns)
