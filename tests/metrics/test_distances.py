"""Distances between sets of features: closed forms of Gaussians, torchmetrics, scipy, whole matrices."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance
from torchmetrics.image.fid import FrechetInceptionDistance

from gtl_core.errors import InputError
from gtl_core.metrics import manifold as module
from gtl_core.metrics.frechet import frechet_distance
from gtl_core.metrics.manifold import NEIGHBOURS, Manifold, manifold, realism
from gtl_core.metrics.sliced_wasserstein import sliced_wasserstein


def cloud(count: int, width: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, width)) * scale + shift).astype(np.float32)


class Features(torch.nn.Identity):
    """Hands torchmetrics features instead of images."""

    num_features = 16


def test_the_frechet_distance_is_that_of_torchmetrics_on_the_same_features() -> None:
    real, synthetic = cloud(300, 16, 0), cloud(200, 16, 1, 0.3, 1.5) @ np.random.default_rng(2).normal(size=(16, 16))
    theirs = FrechetInceptionDistance(feature=Features())
    theirs.update(torch.from_numpy(real).double(), real=True)
    theirs.update(torch.from_numpy(synthetic).double(), real=False)
    assert frechet_distance(real, synthetic) == pytest.approx(float(theirs.compute()), rel=1e-6)


def test_the_frechet_distance_comes_to_the_closed_form_of_two_gaussians() -> None:
    # Both covariances are multiples of one: |m|² + F (s − t)².
    found = frechet_distance(cloud(40_000, 4, 0, 0.0, 1.0), cloud(40_000, 4, 1, 0.5, 2.0))
    assert found == pytest.approx(4 * 0.25 + 4 * 1.0, rel=0.02)


def test_the_frechet_distance_holds_where_the_covariances_are_singular() -> None:
    real, synthetic = (cloud(count, 30, seed).astype(np.float64) for count, seed in ((20, 0), (25, 1)))
    real[:, 3] = synthetic[:, 3] = 7.0
    one, other = np.cov(real.T), np.cov(synthetic.T)
    # scipy's root of a singular product is real up to noise.
    root = np.trace(sqrtm(one @ other + 1e-12 * np.eye(30))).real
    gap = real.mean(axis=0) - synthetic.mean(axis=0)
    expected = gap @ gap + np.trace(one) + np.trace(other) - 2 * root
    assert frechet_distance(real, synthetic) == pytest.approx(expected, rel=1e-3)
    assert frechet_distance(real, real) == pytest.approx(0.0, abs=1e-6)


def plain(real: np.ndarray, synthetic: np.ndarray) -> Manifold:
    """The definitions, with whole matrices."""
    radius = [np.sort(cdist(points, points), axis=1)[:, NEIGHBOURS] for points in (real, synthetic)]
    between = cdist(real, synthetic)
    held = between <= radius[0][:, None]
    return Manifold(
        precision=held.any(axis=0).mean(),
        recall=(between <= radius[1]).any(axis=1).mean(),
        density=held.sum() / (NEIGHBOURS * len(synthetic)),
        coverage=held.any(axis=1).mean(),
    )


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.4, 1.0), (0.0, 0.3), (0.2, 1.6)])
def test_precision_recall_density_and_coverage_are_those_of_whole_matrices(
    monkeypatch: pytest.MonkeyPatch, shift: float, scale: float
) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 100_000)
    real, synthetic = cloud(400, 6, 0), cloud(350, 6, 1, shift, scale)
    assert astuple(manifold(real, synthetic)) == pytest.approx(astuple(plain(real, synthetic)), rel=1e-12)


def test_images_of_one_law_have_the_coverage_that_is_known_for_them() -> None:
    # Naeem et al. (2020), equation 8: 1 − (N−1)…(N−k) / ((2N−1)…(2N−k)).
    count = 1000
    found = manifold(cloud(count, 8, 0), cloud(count, 8, 1))
    known = 1.0 - np.prod([(count - step) / (2 * count - step) for step in range(1, NEIGHBOURS + 1)])
    assert found.coverage == pytest.approx(known, abs=0.02)
    assert found.density == pytest.approx(1.0, abs=0.1)


def test_one_picture_a_class_has_precision_without_recall_and_foreign_images_have_neither() -> None:
    real = cloud(300, 6, 0)
    collapsed = manifold(real, np.repeat(real[:1], 100, axis=0) + cloud(100, 6, 1, scale=1e-3))
    assert collapsed.precision == 1.0
    assert collapsed.recall < 0.01
    assert collapsed.coverage < 0.1
    foreign = manifold(real, cloud(300, 6, 1, shift=50.0))
    assert (foreign.precision, foreign.recall, foreign.density, foreign.coverage) == (0.0, 0.0, 0.0, 0.0)


def test_realism_ranks_an_outlier_last_and_a_copy_first() -> None:
    real = cloud(300, 6, 0)
    inner = real[np.argmin((real**2).sum(axis=1))]
    values = realism(real, np.stack([inner, inner + 0.5, inner + 20.0]))
    assert values[0] == np.inf
    assert values[0] > values[1] > values[2]
    assert values[2] < 1.0


def test_on_one_axis_the_sliced_distance_is_scipy_s_wasserstein_distance() -> None:
    first, second = cloud(300, 1, 0), cloud(170, 1, 1, 0.4, 2.0)
    expected = wasserstein_distance(first[:, 0], second[:, 0])
    assert sliced_wasserstein(first, second, 0) == pytest.approx(expected, rel=1e-6)


def test_of_a_shifted_set_the_sliced_distance_is_the_mean_length_of_the_shift_along_a_line() -> None:
    # E |θ·d| over the unit sphere is |d| Γ(F/2) / (√π Γ((F+1)/2)); for F = 3 it is |d| / 2.
    first = cloud(200, 3, 0)
    found = sliced_wasserstein(first, first + np.float32(2.0), 0)
    assert found == pytest.approx(np.sqrt(12) / 2, rel=0.1)
    assert sliced_wasserstein(first, first, 0) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("compare", [frechet_distance, manifold, lambda x, y: sliced_wasserstein(x, y, 0)])
def test_what_cannot_be_compared_is_refused_in_one_line(compare) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*width[^\n]*$"):
        compare(cloud(20, 4, 0), cloud(20, 5, 0))
    with pytest.raises(InputError, match=r"^[^\n]*there are[^\n]*$"):
        compare(cloud(20, 4, 0), cloud(0, 4, 0))
