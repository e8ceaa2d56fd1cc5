"""The bag of augmented copies that synthetic images are compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gtl_core.data.image_set import ImageSet
from gtl_core.evaluation.copies import augmented_copies


def test_a_bag_has_the_same_number_of_copies_of_every_class_and_of_every_image_of_it(tiny_digits: Path):
    digits = ImageSet.load(tiny_digits)
    rows = [int(row) for label in (3, 7) for row in np.flatnonzero(digits.labels == label)[:4]]
    rows.append(int(np.flatnonzero(digits.labels == 7)[4]))
    images, labels = np.array(digits.images[rows]), digits.labels[rows]
    copies, of_class = augmented_copies(images, labels, 600, seed=1)
    assert np.array_equal(of_class, np.repeat([3, 7], 600))
    assert (copies.dtype, copies.shape) == (np.dtype(np.uint8), (1200, 1, 16, 16))
    assert len(np.unique(copies, axis=0)) == 1200
    # A copy is like the image that it was made of: near the mean of many copies of the same image.
    for index in range(4):
        mean = copies[:600].astype(float)[index::4].mean(axis=0)
        distances = [np.abs(mean - image).mean() for image in images[:4].astype(float)]
        assert int(np.argmin(distances)) == index


def test_a_seed_makes_the_same_bag_again_and_another_seed_another_one(tiny_digits: Path):
    digits = ImageSet.load(tiny_digits)
    images, labels = np.array(digits.images[:20]), digits.labels[:20]
    first, again, other = (augmented_copies(images, labels, 5, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
