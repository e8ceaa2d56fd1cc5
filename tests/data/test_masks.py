"""Masks come to the model's size as their pictures do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gtl_core.data.decoding import prepared
from gtl_core.data.masks import read_masks
from gtl_core.data.picture_files import PictureFile, read_pictures
from gtl_core.errors import InputError


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_the_mask_of_a_wide_picture_is_filled_up_as_the_picture_is_and_a_pixel_missing_in_part_is_missing(
    tmp_path: Path,
):
    pixels = np.full((16, 32), 90, np.uint8)
    hole = np.zeros((16, 32), np.uint8)
    hole[4:7, 8:12] = 255
    mask = save(tmp_path / "mask.png", hole)
    (missing,) = read_masks(mask, [PictureFile("scan.png", pixels)], 16)
    wanted = np.zeros((16, 16), bool)
    wanted[4 + 2 : 4 + 4, 4:6] = True  # half the size, below four rows that fill the picture up
    assert np.array_equal(missing, wanted)
    marked = prepared(np.where(hole, np.uint8(0), pixels), 16, 1)[0]
    assert not (np.abs(marked.astype(int) - 90) > 25)[~missing].any()


def test_each_picture_of_a_folder_takes_the_mask_of_its_name_whatever_the_ending(tmp_path: Path):
    for name, row in (("a", 1), ("b", 5)):
        save(tmp_path / "pictures" / "lot 1" / f"{name}.jpg", np.zeros((8, 8), np.uint8))
        hole = np.zeros((8, 8), np.uint8)
        hole[row] = 255
        save(tmp_path / "masks" / "lot 1" / f"{name}.png", hole)
    pictures = read_pictures([tmp_path / "pictures"])
    masks = read_masks(tmp_path / "masks", pictures, 8)
    assert [picture.name for picture in pictures] == ["lot 1/a.jpg", "lot 1/b.jpg"]
    assert [np.flatnonzero(mask.all(axis=1)).tolist() for mask in masks] == [[1], [5]]


def test_two_pictures_of_one_name_are_refused(tmp_path: Path):
    for folder in ("a", "b"):
        save(tmp_path / folder / "scan.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match=r"two pictures are called scan\.png"):
        read_pictures([tmp_path / "a", tmp_path / "b"])
