"""Shares of classes and groups, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gtl_core.metrics.shares import Share, class_shares, group_shares


def test_class_shares_leave_images_without_label_out_and_say_what_lacks_to_twenty() -> None:
    real = np.array([0] * 30 + [1] * 10 + [-1] * 5)
    shares = class_shares(real, np.array([0, 1, 1, 1]), ("a", "b", "c"))
    assert shares == {
        "a": Share(real=0.75, synthetic=0.25, images=30, shortfall=0),
        "b": Share(real=0.25, synthetic=0.75, images=10, shortfall=10),
        "c": Share(real=0.0, synthetic=0.0, images=0, shortfall=20),
    }


def test_a_synthetic_image_counts_for_the_group_of_the_real_image_nearest_to_it() -> None:
    real = np.array([[0.0], [1.0], [2.0], [10.0], [5.0]])
    groups = np.array(["left", "left", "left", "right", ""])
    shares = group_shares(real, groups, np.array([[9.0], [11.0], [1.2], [5.1]]))
    assert (shares["left"].real, shares["right"].real) == (0.75, 0.25)
    assert (shares["left"].synthetic, shares["right"].synthetic) == pytest.approx((0.5, 0.5))
    # A group with one member is an anecdote, and says so.
    assert (shares["right"].images, shares["right"].shortfall) == (1, 19)


def test_where_no_image_has_a_group_there_are_no_shares() -> None:
    assert group_shares(np.zeros((3, 1)), np.array(["", "", ""]), np.zeros((2, 1))) == {}
