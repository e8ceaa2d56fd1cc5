"""What the benchmark of text conditions asks for and never shows."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.text_conditions import COLOURS, COMBINATIONS, SHOWN, WORDS, left_out, stroke_widths, text_of, tinted


@pytest.mark.parametrize("seed", range(5))
def test_of_every_digit_one_colour_is_never_shown_and_every_colour_is_shown_of_other_digits(seed: int):
    unseen = [each for each in COMBINATIONS if left_out(each, seed)]
    assert len(unseen) == 20
    assert sorted({digit for _, _, digit in unseen}) == list(range(len(WORDS)))
    for colour in range(len(COLOURS)):
        assert (
            len(
                {digit for _, other, digit in COMBINATIONS if other == colour}
                - {d for _, c, d in unseen if c == colour}
            )
            > 6
        )


def test_the_picture_shows_as_many_combinations_that_were_seen_as_were_not():
    assert [left_out(each, 0) for each in SHOWN] == [False] * 4 + [True] * 4
    assert text_of(SHOWN[-1]) == "a thin yellow seven"


@pytest.mark.parametrize("width", [2, 4, 6])
def test_the_width_of_a_long_stroke_is_measured_in_pixels(width: int):
    image = np.zeros((1, 1, 28, 28), np.uint8)
    image[..., 10 : 10 + width] = 255
    assert stroke_widths(image)[0] == pytest.approx(width)


def test_an_image_has_the_colour_width_and_digit_that_it_is_said_to_have():
    random = np.random.default_rng(0)
    widths = random.permutation(np.repeat([2, 3, 4, 6], 15))
    images = np.zeros((60, 1, 28, 28), np.uint8)
    for image, width in zip(images, widths, strict=True):
        image[..., 10 : 10 + width] = 255
    real = tinted(images, np.arange(60) % 10, seed=1)
    tints = np.array(list(COLOURS.values()))
    for image, (thick, colour, digit) in zip(real.images, real.attributes, strict=True):
        # Fitting to another size darkens thin strokes, and all of their colours alike.
        assert np.allclose(image.max(axis=(1, 2)) / image.max(), tints[colour] / 255, atol=0.02)
        assert (image.max(axis=0).sum() > 16 * 255 * 3.4 * 16 / 28) == bool(thick)
        assert 0 <= digit < 10
