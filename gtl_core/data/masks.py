"""Masks: which parts of a picture are missing, as pictures in which these are white."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from gtl_core.data.decoding import prepared
from gtl_core.data.picture_files import PictureFile, read_pictures
from gtl_core.errors import InputError

Pixels = npt.NDArray[np.uint8]
Missing = npt.NDArray[np.bool_]

_WHITE = 128
"""Pixels from here on are missing."""


def read_masked(path: Path, pictures: Sequence[PictureFile], size: int) -> tuple[Pixels, Missing]:
    """Reads pictures, and one mask for all of them or a folder with one for each.

    Args:
        path: a picture in which missing parts are white, of the size of every picture; or a folder in which each
            picture has a mask of its own name, whatever the ending.
        pictures: what is masked, all grey or all in colour.
        size: height and width that the pictures are brought to, as `prepared` does.

    Returns:
        uint8 (N, C, S, S), in which nothing of what stood in a missing part has reached a pixel beside it; and
        bool (N, S, S), True where a pixel is missing. A pixel that is missing in part is missing, and what fills a
        picture up to a square is not.

    Raises:
        InputError: there is no such path, no mask for a picture or two, or a mask of another size, of nothing or of
            all.
    """
    found = read_pictures([path])
    masks: dict[str, PictureFile] = {}
    for mask in found:
        if (other := masks.setdefault(_stem(mask.name), mask)) is not mask:
            raise InputError(f"{path}: two masks for one picture, {other.name} and {mask.name}; remove one of them")
    if path.is_file():
        whole = found[0].read()
        masks = dict.fromkeys((_stem(picture.name) for picture in pictures), PictureFile.of(path.name, lambda: whole))
    without = [picture.name for picture in pictures if _stem(picture.name) not in masks]
    if without:
        raise InputError(f"{path}: no mask for {without[0]}; it must have the same name, such as {without[0]}")
    images, missing = [], []
    for picture in pictures:
        hole = _hole(masks[_stem(picture.name)], picture)
        images.append(prepared(_closed(picture.read(), hole), size, picture.channels))
        missing.append(_fitted(hole, size))
        if missing[-1].all():
            name = masks[_stem(picture.name)].name
            raise InputError(f"the mask {name} leaves nothing of {picture.name} at the model's {size}×{size} pixels")
    return np.stack(images), np.stack(missing)


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _hole(mask: PictureFile, picture: PictureFile) -> Missing:
    """What is missing of a picture in its own size, bool (H, W)."""
    if (mask.height, mask.width) != (picture.height, picture.width):
        raise InputError(
            f"the mask {mask.name} is {mask.width}×{mask.height} pixels and {picture.name} is "
            f"{picture.width}×{picture.height}; make it as large as the picture"
        )
    pixels = mask.read()
    missing: Missing = (pixels if pixels.ndim == 2 else pixels.max(axis=2)) >= _WHITE
    if not missing.any():
        raise InputError(f"the mask {mask.name} has no white pixel, so nothing is missing; paint what is missing white")
    if missing.all():
        raise InputError(f"the mask {mask.name} is all white, so nothing of {picture.name} is left to go by")
    return missing


def _closed(pixels: Pixels, hole: Missing) -> Pixels:
    """The picture with its nearest known pixel at each missing one, because a change of size mixes neighbours."""
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(hole, return_distances=False, return_indices=True)
    closed: Pixels = pixels[rows, columns]
    return closed


def _fitted(hole: Missing, size: int) -> Missing:
    """What is missing once the picture has its new size, bool (S, S)."""
    from PIL import Image

    height, width = hole.shape
    longer = max(height, width)
    small = max(1, round(width * size / longer)), max(1, round(height * size / longer))
    shares = np.asarray(Image.fromarray(hole.astype(np.float32)).resize(small, Image.Resampling.BOX))
    fitted = np.zeros((size, size), np.bool_)
    top, left = (size - small[1]) // 2, (size - small[0]) // 2
    fitted[top : top + small[1], left : left + small[0]] = shares > 0.0
    return fitted
