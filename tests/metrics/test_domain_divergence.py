"""Proxy A-distance and distances of classes against closed forms and examples worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from gtl_core.errors import InputError
from gtl_core.metrics.divergence import class_spread, domain_hits, proxy_a_distance
from gtl_core.training.class_distances import class_distances, class_means


def test_the_a_distance_is_its_formula() -> None:
    hits = np.array([True] * 9 + [False] + [True] * 14 + [False] * 6)
    # Errors of 0.1 on ten rows and 0.3 on twenty: their mean is 0.2, whatever the sizes.
    assert proxy_a_distance(hits, 10) == pytest.approx(2 * (1 - 2 * 0.2))
    assert proxy_a_distance(~hits, 10) == 0.0


@pytest.mark.parametrize("shift", [0.5, 1.5, 3.0])
def test_two_gaussians_are_told_apart_as_well_as_anyone_could(shift: float) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3000, 4)), rng.normal(size=(1500, 4))
    y[:, 0] += shift
    found = proxy_a_distance(domain_hits(x, y, seed=0), len(x))
    assert found == pytest.approx(2 * (1 - 2 * norm.cdf(-shift / 2)), abs=0.08)


def test_samples_of_one_law_cannot_be_told_apart_even_with_many_features() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(200, 150)), rng.normal(size=(200, 150))
    assert proxy_a_distance(domain_hits(x, y, seed=0), 200) < 0.2


def test_a_constant_feature_does_no_harm() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(40, 3)), rng.normal(5.0, 1.0, size=(40, 3))
    x[:, 1] = y[:, 1] = 7.0
    assert proxy_a_distance(domain_hits(x, y, seed=0), 40) == 2.0


def test_too_few_images_for_the_folds_are_refused_in_words() -> None:
    with pytest.raises(InputError, match="5 images or more"):
        domain_hits(np.zeros((4, 2)), np.zeros((9, 2)), seed=0)


def test_means_of_classes_leave_a_class_without_images_out() -> None:
    means = class_means(np.array([[0.0, 2.0], [2.0, 4.0], [5.0, 5.0]]), np.array([0, 0, 2]), 3)
    assert means[[0, 2]].tolist() == [[1.0, 3.0], [5.0, 5.0]]
    assert np.isnan(means[1]).all()


def example() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    source = np.array([[0.0], [10.0], [20.0]])
    target = np.array([[9.0], [11.0], [-1.0], [1.0]])
    return source, np.array([0, 1, 2]), target, np.array([0, 0, 1, 1])


def test_distances_of_classes_are_the_worked_example() -> None:
    source, source_labels, target, labels = example()
    # Target means 10 and 0 about their middle 5, source means 0, 10 and 20 about 10.
    found = class_distances(source, source_labels, 3, target, labels, 2)
    assert found.tolist() == [[15.0, 5.0, 5.0], [5.0, 5.0, 15.0]]


def test_a_shift_of_all_images_of_a_set_changes_no_distance_of_classes() -> None:
    source, source_labels, target, labels = example()
    before = class_distances(source, source_labels, 3, target, labels, 2)
    assert class_distances(source - 7.0, source_labels, 3, target + 100.0, labels, 2) == pytest.approx(before)


def test_a_class_without_images_is_at_no_distance() -> None:
    source, source_labels, target, labels = example()
    found = class_distances(source, source_labels, 4, target, labels, 2)
    assert np.isnan(found[:, 3]).all()
    assert np.isfinite(found[:, :3]).all()


def test_the_spread_of_classes_is_how_far_a_typical_image_lies_from_its_own_mean() -> None:
    _, _, target, labels = example()
    assert class_spread(target, labels, 2) == 1.0
    assert class_spread(np.repeat(target, 4, axis=1), labels, 2) == pytest.approx(2.0)


def test_one_image_a_class_has_no_spread_and_says_so() -> None:
    with pytest.raises(InputError, match="label two or more"):
        class_spread(np.array([[9.0], [1.0]]), np.array([0, 1]), 2)
