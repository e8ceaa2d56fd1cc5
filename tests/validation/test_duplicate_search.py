"""Copies are found, and what only looks alike is not taken for a copy."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gtl_core.data.image_set import fitted
from gtl_core.validation.duplicates import LIKELY, SURE, exact_duplicates, near_duplicates, perceptual_hashes


def rows_of(images) -> np.ndarray:
    return np.arange(len(images))


def usps(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(folder / "usps.npz", allow_pickle=False) as content:
        images = content["train_images"][:3000].reshape(-1, 1, 16, 16).astype(np.uint8)
        return images, content["train_labels"][:3000].ravel()


def as_jpeg(image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image[0]).save(buffer, "JPEG", quality=95)
    return np.asarray(Image.open(buffer))[None]


def shifted(images: np.ndarray) -> np.ndarray:
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    return padded[:, :, 2:, :-2]


def noisy(images: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 2, images.shape)
    return np.clip(images + noise, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda images: np.stack([as_jpeg(image) for image in images]),
        shifted,
        noisy,
        lambda images: noisy(shifted(images)),
    ],
    ids=["saved as JPEG", "shifted by a pixel", "with a little noise", "shifted and with noise"],
)
def test_a_changed_copy_is_found_among_real_digits(
    change: Callable[[np.ndarray], np.ndarray], shared_data: Path, make_set
):
    images, labels = usps(shared_data)
    chosen = np.arange(0, 3000, 15)
    originals = make_set(images, labels, name="originals")
    copies = make_set(change(images[chosen]), labels[chosen], name="copies")
    pairs = near_duplicates(copies, rows_of(copies), originals, rows_of(originals), threshold=SURE)
    right = chosen[pairs.first] == pairs.second
    assert right.sum() >= 0.97 * len(chosen)
    assert right.all()


def test_two_writers_digits_are_not_taken_for_one_picture(digits, make_set):
    images = make_set(*digits)
    assert len(near_duplicates(images, rows_of(images), images, rows_of(images), threshold=LIKELY)) == 0


def test_usps_holds_no_sure_copies_and_few_that_are_likely(shared_data: Path, make_set):
    images = make_set(*usps(shared_data))
    pairs = near_duplicates(images, rows_of(images), images, rows_of(images), threshold=LIKELY)
    assert len(pairs) < 20
    assert (pairs.similarity < SURE).all()


def test_a_copy_that_was_made_smaller_and_grey_is_found(shared_data: Path, make_set):
    images, labels = usps(shared_data)
    planes = [np.asarray(Image.fromarray(image[0]).resize((48, 48), Image.Resampling.BICUBIC)) for image in images[:50]]
    large = np.stack([[plane] * 3 for plane in planes])
    originals = make_set(large, labels, name="originals")
    copies = make_set(fitted(large, 16)[:, :1], labels, name="copies")
    pairs = near_duplicates(copies, rows_of(copies), originals, rows_of(originals), threshold=SURE)
    assert set(pairs.first[pairs.first == pairs.second].tolist()) == set(range(50))


def test_no_row_is_paired_with_itself_but_with_its_copy(digits, make_set):
    images, labels = digits[0][:40], digits[1][:40]
    doubled = make_set(np.concatenate([images, images]), np.concatenate([labels, labels]))
    pairs = near_duplicates(doubled, rows_of(doubled), doubled, rows_of(doubled), threshold=SURE)
    assert dict(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == {i: (i + 40) % 80 for i in range(80)}


def test_a_collapsed_generator_is_found_out_without_comparing_all_pairs(digits, make_set):
    images = noisy(np.repeat(digits[0][:4], 300, axis=0))
    collapsed = make_set(images, np.repeat(digits[1][:4], 300))
    pairs = near_duplicates(collapsed, rows_of(collapsed), collapsed, rows_of(collapsed))
    assert set(pairs.first) == set(range(1200))
    assert np.bincount(pairs.first).max() <= 8


def test_blank_pictures_and_empty_sides_give_no_pairs(make_set):
    blank = make_set(np.zeros((5, 1, 16, 16), np.uint8), [0] * 5)
    assert len(near_duplicates(blank, rows_of(blank), blank, rows_of(blank))) == 0
    assert len(near_duplicates(blank, rows_of(blank)[:0], blank, rows_of(blank))) == 0


def test_exact_duplicates_are_the_rows_of_equal_hash_in_groups():
    groups = exact_duplicates(pd.Series(["a", "b", "c", "b", "a", "b"]))
    assert [group.tolist() for group in groups] == [[0, 4], [1, 3, 5]]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), side=st.integers(4, 40), contrast=st.floats(0.1, 4), brightness=st.floats(0, 99))
def test_neither_brightness_nor_contrast_changes_the_perceptual_hash(seed, side, contrast, brightness):
    # Whole numbers may cancel to a frequency of exactly 0, whose sign is then rounding's.
    pictures = np.random.default_rng(seed).uniform(0, 255, (3, side, side))
    np.testing.assert_array_equal(perceptual_hashes(pictures), perceptual_hashes(pictures * contrast + brightness))
