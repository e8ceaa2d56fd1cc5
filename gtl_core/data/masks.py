"""Masks: which parts of a picture are missing, as pictures in which these are white."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from gtl_core.data.picture_files import PictureFile, read_pictures
from gtl_core.errors import InputError

_WHITE = 128
"""Pixels from here on are missing."""


def read_masks(path: Path, pictures: Sequence[PictureFile], size: int) -> npt.NDArray[np.bool_]:
    """Reads one mask for all pictures, or a folder with one for each.

    Args:
        path: a picture in which missing parts are white, of the size of every picture; or a folder in which each
            picture has a mask of its own name, whatever the ending.
        pictures: what is masked.
        size: height and width that the pictures are brought to, as `prepared` does.

    Returns:
        bool (N, S, S), True where a pixel is missing. A pixel that is missing in part is missing, and what fills a
        picture up to a square is not.

    Raises:
        InputError: there is no such path, no mask for a picture, or a mask of another size, of nothing or of all.
    """
    masks = {_stem(mask.name): mask for mask in read_pictures([path])}
    if path.is_file():
        masks = {_stem(picture.name): next(iter(masks.values())) for picture in pictures}
    without = [picture.name for picture in pictures if _stem(picture.name) not in masks]
    if without:
        raise InputError(f"{path}: no mask for {without[0]}; it must have the same name, such as {without[0]}")
    return np.stack([_fitted(masks[_stem(picture.name)], picture, size) for picture in pictures])


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _fitted(mask: PictureFile, picture: PictureFile, size: int) -> npt.NDArray[np.bool_]:
    """The mask of one picture, bool (S, S)."""
    from PIL import Image

    height, width = picture.pixels.shape[:2]
    if mask.pixels.shape[:2] != (height, width):
        other_height, other_width = mask.pixels.shape[:2]
        raise InputError(
            f"the mask {mask.name} is {other_width}×{other_height} pixels and {picture.name} is {width}×{height}; "
            "make it as large as the picture"
        )
    missing = (mask.pixels if mask.pixels.ndim == 2 else mask.pixels.max(axis=2)) >= _WHITE
    if not missing.any():
        raise InputError(f"the mask {mask.name} has no white pixel, so nothing is missing; paint what is missing white")
    if missing.all():
        raise InputError(f"the mask {mask.name} is all white, so nothing of {picture.name} is left to go by")
    longer = max(height, width)
    small = max(1, round(width * size / longer)), max(1, round(height * size / longer))
    shares = np.asarray(Image.fromarray(missing.astype(np.float32)).resize(small, Image.Resampling.BOX))
    fitted = np.zeros((size, size), np.bool_)
    top, left = (size - small[1]) // 2, (size - small[0]) // 2
    fitted[top : top + small[1], left : left + small[0]] = shares > 0.0
    if fitted.all():
        raise InputError(f"the mask {mask.name} leaves nothing of {picture.name} at the model's {size}×{size} pixels")
    return fitted
