"""Looks and content are told apart by filters that have learned from nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gtl_core.data.image_set import ImageSet
from gtl_core.metrics.style import content_kept, look, style_shift


@pytest.fixture(scope="module")
def digits(tiny_digits: Path) -> np.ndarray:
    return np.array(ImageSet.load(tiny_digits).images)


def test_a_negative_keeps_all_edges_and_another_digit_none_beyond_chance(digits: np.ndarray):
    images = digits[:80]
    assert content_kept(images, 255 - images) == pytest.approx(1.0, abs=1e-6)
    others = [content_kept(images, np.roll(images, places, axis=0)).mean() for places in range(1, len(images))]
    assert abs(np.mean(others)) < 1e-6
    blurred = (images // 2 + np.roll(images, 1, axis=3) // 2).astype(np.uint8)
    assert 0.5 < content_kept(images, blurred).mean() < 1.0


def test_what_is_kept_does_not_depend_on_the_order_of_the_pictures(digits: np.ndarray):
    images = digits[:80]
    blurred = (images // 2 + np.roll(images, 1, axis=3) // 2).astype(np.uint8)
    order = np.argsort(images.mean(axis=(1, 2, 3)))
    assert content_kept(images[order], blurred[order]) == pytest.approx(content_kept(images, blurred)[order], abs=1e-9)


def test_pictures_that_take_on_the_wanted_look_have_gone_the_whole_way_and_unchanged_ones_none(digits: np.ndarray):
    wanted = 255 - digits[400:600]
    whole = style_shift(digits[:200], 255 - digits[:200], wanted, 0)
    none = style_shift(digits[:200], digits[:200], wanted, 0)
    assert whole.style_moved == pytest.approx(1.0, abs=0.1)
    assert whole.content_kept == pytest.approx(1.0)
    assert none.style_moved == 0.0
    assert whole.style_floor < 0.3 * whole.style_before


def test_a_look_is_that_of_the_texture_and_not_of_the_place(digits: np.ndarray):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (2, 3, 64, 64), dtype=np.uint8)
    smooth = np.full((1, 3, 64, 64), 127, np.uint8)
    first, second = look(noise)
    (flat,) = look(smooth)
    assert np.abs(first - second).mean() < 0.5 * np.abs(first - flat).mean()
    assert look(digits[:3]).shape[0] == 3
