"""Maximum mean discrepancy against other implementations, closed forms, and what its p and resamples promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.metrics import pairwise
from torchmetrics.image.kid import poly_mmd

from gtl_core.errors import InputError
from gtl_core.metrics import kernel
from gtl_core.metrics.kernel import (
    mean_similarity,
    median_bandwidth,
    mmd2_resampled,
    mmd2_unbiased,
    permutation_p,
    polynomial_kernel,
    rbf_kernel,
)


def normal(seed: int, rows: int, columns: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1.0, (rows, columns)).astype(np.float32)


def test_the_kernels_are_those_of_scikit_learn() -> None:
    x, y = normal(0, 7, 5), normal(1, 9, 5)
    cubic = pairwise.polynomial_kernel(x, y, degree=3, gamma=1 / 5, coef0=1)
    assert polynomial_kernel(x, y) == pytest.approx(cubic, rel=1e-5)
    assert rbf_kernel(1.7)(x, y) == pytest.approx(pairwise.rbf_kernel(x, y, gamma=1 / (2 * 1.7**2)), rel=1e-5)


def test_the_kernel_distance_is_that_of_torchmetrics() -> None:
    x, y = normal(0, 60, 16).astype(np.float64), normal(1, 60, 16, 0.4).astype(np.float64)
    theirs = poly_mmd(torch.from_numpy(x), torch.from_numpy(y), degree=3, gamma=None, coef=1.0)
    assert mmd2_unbiased(x, y, polynomial_kernel) == pytest.approx(float(theirs), rel=1e-9)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(0, 33, 4), normal(1, 21, 4, 0.5)
    whole = mmd2_unbiased(x, y, polynomial_kernel), permutation_p(x, y, polynomial_kernel, permutations=50, seed=3)
    drawn = mmd2_resampled(x, y, polynomial_kernel, resamples=5, seed=4)
    monkeypatch.setattr(kernel, "BLOCK", 100)
    assert mmd2_unbiased(x, y, polynomial_kernel) == pytest.approx(whole[0], rel=1e-9)
    assert permutation_p(x, y, polynomial_kernel, permutations=50, seed=3) == whole[1]
    assert mmd2_resampled(x, y, polynomial_kernel, resamples=5, seed=4) == pytest.approx(drawn, rel=1e-9)


def test_two_gaussians_are_as_far_apart_as_the_closed_form_says() -> None:
    width, shift, columns = 2.0, 0.7, 3
    like = (width**2 / (width**2 + 2)) ** (columns / 2)
    expected = 2 * like * (1 - np.exp(-columns * shift**2 / (2 * (width**2 + 2))))
    x, y = normal(0, 3000, columns), normal(1, 3000, columns, shift)
    assert mmd2_unbiased(x, y, rbf_kernel(width)) == pytest.approx(expected, rel=0.05)
    assert mean_similarity(x, rbf_kernel(width)) == pytest.approx(like, rel=0.01)


def test_samples_of_one_law_are_on_average_at_distance_zero() -> None:
    values = [mmd2_unbiased(normal(i, 20, 4), normal(1000 + i, 30, 4), polynomial_kernel) for i in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 20
    assert min(values) < 0 < max(values)


def test_resamples_lie_around_the_value_and_spread_as_fresh_samples_do() -> None:
    gaussian = rbf_kernel(2.0)
    x, y = normal(0, 80, 3), normal(1, 90, 3, 0.8)
    drawn = mmd2_resampled(x, y, gaussian, resamples=2000, seed=0)
    assert drawn.mean() == pytest.approx(mmd2_unbiased(x, y, gaussian), rel=0.05)
    fresh = [mmd2_unbiased(normal(10 + i, 80, 3), normal(900 + i, 90, 3, 0.8), gaussian) for i in range(200)]
    assert drawn.std() == pytest.approx(np.std(fresh), rel=0.3)


def test_the_permutation_p_is_uniform_where_there_is_no_difference() -> None:
    found = np.array(
        [
            permutation_p(normal(i, 15, 3), normal(500 + i, 20, 3), rbf_kernel(2.0), permutations=99, seed=i)
            for i in range(300)
        ]
    )
    for level in (0.05, 0.2, 0.5, 0.8):
        assert (found <= level).mean() == pytest.approx(level, abs=3.5 * np.sqrt(level * (1 - level) / 300))


def test_the_permutation_p_of_far_samples_is_the_smallest_that_there_is() -> None:
    assert (
        permutation_p(normal(0, 30, 3), normal(1, 30, 3, 2.0), polynomial_kernel, permutations=199, seed=0) == 1 / 200
    )


def test_equal_samples_have_a_large_p() -> None:
    same = np.repeat(normal(0, 1, 3), 12, axis=0)
    assert permutation_p(same, same, polynomial_kernel, permutations=49, seed=0) == 1.0


def test_the_bandwidth_is_the_median_distance_of_points_that_differ() -> None:
    x, y = normal(0, 40, 3), normal(1, 30, 3)
    assert median_bandwidth(x, y) == pytest.approx(np.median(pdist(np.concatenate([x, y]))))
    doubled = np.repeat(x, 2, axis=0)
    assert median_bandwidth(doubled, doubled[:0]) == pytest.approx(np.median(pdist(x)), rel=1e-3)
    assert median_bandwidth(np.ones((5, 2)), np.ones((4, 2))) == 1.0


@pytest.mark.parametrize(("x", "y", "why"), [((1, 3), (5, 3), "two images"), ((5, 3), (5, 4), "one width")])
def test_samples_that_cannot_be_compared_are_refused(x: tuple[int, int], y: tuple[int, int], why: str) -> None:
    with pytest.raises(InputError, match=why):
        mmd2_unbiased(np.zeros(x), np.zeros(y), polynomial_kernel)
