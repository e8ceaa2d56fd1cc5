"""Masks come to the model's size as their pictures do."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gtl_core.data.decoding import prepared
from gtl_core.data.masks import read_masked
from gtl_core.data.picture_files import read_pictures
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
    (missing,) = read_masked(mask, read_pictures([save(tmp_path / "scan.png", pixels)]), 16)[1]
    wanted = np.zeros((16, 16), bool)
    wanted[4 + 2 : 4 + 4, 4:6] = True  # half the size, below four rows that fill the picture up
    assert np.array_equal(missing, wanted)


@pytest.mark.parametrize(("height", "width", "size"), [(28, 28, 28), (56, 56, 28), (31, 47, 20), (12, 12, 16)])
@pytest.mark.parametrize("paint", [0, 255])
def test_what_was_painted_into_a_hole_does_not_reach_the_pixels_beside_it(
    height: int, width: int, size: int, paint: int, tmp_path: Path
):
    pixels = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
    hole = np.zeros((height, width), np.uint8)
    hole[: height // 2, width // 3 : width // 2] = 255
    mask = save(tmp_path / "mask.png", hole)
    scan = save(tmp_path / "scan.png", np.where(hole, np.uint8(paint), pixels))
    (image,), (missing,) = read_masked(mask, read_pictures([scan]), size)
    whole = prepared(pixels, size, 1)[0].astype(int)
    assert np.abs(image[0] - whole)[~missing].max() <= 3


def test_a_grey_mask_counts_from_the_middle_on_and_a_clear_part_of_one_is_missing(tmp_path: Path):
    scan = read_pictures([save(tmp_path / "scan.png", np.full((8, 8), 90, np.uint8))])
    hole = np.tile(np.array([0, 127, 128, 255], np.uint8), (8, 2))
    assert np.array_equal(read_masked(save(tmp_path / "mask.png", hole), scan, 8)[1][0], hole >= 128)
    black = np.zeros((8, 8, 3), np.uint8)
    clear = save(tmp_path / "clear.png", np.dstack([black, 255 - hole // 128 * 255]))
    assert np.array_equal(read_masked(clear, scan, 8)[1][0], hole >= 128)


def test_each_picture_of_a_folder_takes_the_mask_of_its_name_whatever_the_ending(tmp_path: Path):
    for name, row in (("a", 1), ("b", 5)):
        save(tmp_path / "pictures" / "lot 1" / f"{name}.jpg", np.zeros((8, 8), np.uint8))
        hole = np.zeros((8, 8), np.uint8)
        hole[row] = 255
        save(tmp_path / "masks" / "lot 1" / f"{name}.png", hole)
    pictures = read_pictures([tmp_path / "pictures"])
    _, masks = read_masked(tmp_path / "masks", pictures, 8)
    assert [picture.name for picture in pictures] == ["lot 1/a.jpg", "lot 1/b.jpg"]
    assert [np.flatnonzero(mask.all(axis=1)).tolist() for mask in masks] == [[1], [5]]


def test_two_pictures_of_one_name_are_refused(tmp_path: Path):
    for folder in ("a", "b"):
        save(tmp_path / folder / "scan.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match=r"two pictures are called scan\.png"):
        read_pictures([tmp_path / "a", tmp_path / "b"])


def test_two_masks_of_one_picture_are_refused(tmp_path: Path):
    scan = save(tmp_path / "scan.png", np.zeros((8, 8), np.uint8))
    for ending in ("jpg", "png"):
        save(tmp_path / "masks" / f"scan.{ending}", np.eye(8, dtype=np.uint8) * 255)
    with pytest.raises(InputError, match=r"two masks for one picture, scan\.jpg and scan\.png"):
        read_masked(tmp_path / "masks", read_pictures([scan]), 8)


def test_pictures_stay_in_their_files_until_their_pixels_are_asked_for(tmp_path: Path):
    for name in "abcdefgh":
        save(tmp_path / f"{name}.png", np.zeros((2000, 2000), np.uint8))
    tracemalloc.start()
    pictures = read_pictures([tmp_path])
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(picture.height, picture.width, picture.channels) for picture in pictures] == [(2000, 2000, 1)] * 8
    assert held < 1e6
    assert peak < 4 * 4e6


def test_a_picture_that_has_become_unreadable_meanwhile_is_told_as_such(tmp_path: Path):
    path = save(tmp_path / "scan.png", np.zeros((8, 8), np.uint8))
    (picture,) = read_pictures([path])
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"scan\.png: neither JPEG nor PNG"):
        picture.read()


def test_a_name_in_another_encoding_is_refused_before_anything_is_done(tmp_path: Path):
    path = save(tmp_path / "scan.png", np.zeros((8, 8), np.uint8))
    path.rename(tmp_path / "scan\udcff.png")
    with pytest.raises(InputError, match=r"scan\\udcff\.png.*no UTF-8 text; rename it"):
        read_pictures([tmp_path])
