"""Nearest neighbours: those of scikit-learn's exact search, in blocks too small to hold a matrix."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from gtl_core.metrics import neighbours
from gtl_core.metrics.neighbours import nearest


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK_BYTES", 20_000)


def cloud(count: int, seed: int, offset: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, 20)) + offset).astype(np.float32)


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("k", [1, 5, 120])
def test_the_neighbours_are_those_of_scikit_learn_also_far_from_the_origin(k: int, offset: float) -> None:
    queries, references = cloud(300, 0, offset), cloud(120, 1, offset)
    exact = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(references.astype(np.float64))
    distances, indices = exact.kneighbors(queries.astype(np.float64))
    found, where = nearest(queries, references, k)
    np.testing.assert_allclose(found, distances, rtol=1e-6)
    assert (where == indices).mean() > 0.999
    assert (found.dtype, where.dtype) == (np.float32, np.int64)


def test_a_point_is_not_its_own_neighbour_where_that_is_asked_for() -> None:
    points = cloud(150, 0)
    distances, indices = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(points.astype(np.float64)).kneighbors()
    found, where = nearest(points, points, 4, exclude_self=True)
    np.testing.assert_allclose(found, distances, rtol=1e-6)
    np.testing.assert_array_equal(where, indices)


def test_a_copy_is_at_distance_zero_exactly_and_a_twin_is_still_a_neighbour() -> None:
    points = np.concatenate([cloud(50, 0, 1000.0), cloud(50, 0, 1000.0)])
    assert (nearest(points, points, 1)[0] == 0.0).all()
    found, where = nearest(points, points, 1, exclude_self=True)
    assert (found == 0.0).all()
    np.testing.assert_array_equal(where[:, 0], (np.arange(100) + 50) % 100)


@pytest.mark.parametrize(("k", "exclude_self"), [(0, False), (11, False), (10, True)])
def test_more_neighbours_than_there_are_are_refused(k: int, exclude_self: bool) -> None:
    points = cloud(10, 0)
    with pytest.raises(ValueError, match="nearest neighbours asked for"):
        nearest(points, points, k, exclude_self=exclude_self)
