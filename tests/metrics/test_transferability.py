"""LEEP, LogME and the shrunk H-score against worked examples, direct maximisation and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf

from gtl_core.errors import InputError
from gtl_core.metrics.transferability import h_score, label_entropy, leep, logme


def sample(count: int, width: int, apart: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    features = rng.normal(size=(count, width))
    features[:, 0] += apart * labels
    return features, labels


def test_leep_is_the_worked_example() -> None:
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6]])
    labels = np.array([0, 0, 1, 1])
    # P(y, z) is [[0.40, 0.10], [0.15, 0.35]], so P(y | z) is [[8/11, 2/9], [3/11, 7/9]].
    likelihoods = [
        0.9 * 8 / 11 + 0.1 * 2 / 9,
        0.7 * 8 / 11 + 0.3 * 2 / 9,
        0.2 * 3 / 11 + 0.8 * 7 / 9,
        0.4 * 3 / 11 + 0.6 * 7 / 9,
    ]
    assert leep(probabilities, labels) == pytest.approx(np.mean(np.log(likelihoods)))


def test_leep_is_zero_where_the_source_says_all_and_the_entropy_where_it_says_nothing() -> None:
    labels = np.array([0, 0, 1, 2])
    renamed = np.eye(4)[[3, 3, 0, 1]]
    assert leep(renamed, labels) == pytest.approx(0.0)
    assert leep(np.full((4, 5), 0.2), labels) == pytest.approx(-label_entropy(labels))
    assert label_entropy(labels) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(4))


def test_leep_does_not_ask_how_classes_are_numbered() -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(6), 40), rng.integers(0, 4, 40)
    assert leep(probabilities[:, ::-1], 10 - 2 * labels) == pytest.approx(leep(probabilities, labels))


@pytest.mark.parametrize(("count", "width"), [(30, 5), (20, 40)])
def test_logme_is_the_largest_evidence_that_a_search_finds(count: int, width: int) -> None:
    features, labels = sample(count, width, 1.0)

    def best(targets: np.ndarray) -> float:
        def negative(logs: np.ndarray) -> float:
            covariance = np.exp(-logs[1]) * np.eye(count) + np.exp(-logs[0]) * features @ features.T
            return -float(multivariate_normal.logpdf(targets, np.zeros(count), covariance))

        options = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 2000}
        starts = ([0.0, 1.0], [4.0, 1.0])
        return -min(minimize(negative, start, method="Nelder-Mead", options=options).fun for start in starts) / count

    expected = np.mean([best((labels == label).astype(float)) for label in range(3)])
    assert logme(features, labels) == pytest.approx(expected, abs=1e-5)


def test_the_h_score_of_two_gaussians_is_its_closed_form() -> None:
    # Means ±m and covariance I: Σ is I + mmᵀ, the spread between is mmᵀ, so the score is |m|² / (1 + |m|²).
    rng = np.random.default_rng(0)
    labels = np.arange(40_000) % 2
    features = rng.normal(size=(40_000, 3)) + np.where(labels, 1.0, -1.0)[:, None] * np.array([0.9, 0.5, 0.0])
    length = 0.9**2 + 0.5**2
    assert h_score(features, labels) == pytest.approx(length / (1 + length), abs=0.01)


def test_the_h_score_is_its_definition_with_fewer_images_than_features() -> None:
    features, labels = sample(25, 60, 3.0)
    fit = LedoitWolf().fit(features)
    means = np.stack([features[labels == label].mean(axis=0) for label in labels])
    between = np.cov(means, rowvar=False, bias=True)
    expected = (1 - fit.shrinkage_) * np.trace(np.linalg.pinv(fit.covariance_) @ between)
    assert h_score(features, labels) == pytest.approx(expected, rel=1e-6)
    assert 0 < h_score(features, labels) < 2


def test_features_that_part_the_classes_score_higher_by_both_measures() -> None:
    scores = [
        (logme(features, labels), h_score(features, labels))
        for features, labels in (sample(90, 8, apart) for apart in (0.0, 1.0, 4.0))
    ]
    assert scores == sorted(scores)
    assert [h for _, h in scores] == sorted(h for _, h in scores)


@pytest.mark.parametrize("measure", [logme, h_score])
def test_features_that_do_not_differ_are_refused_in_words(measure: object) -> None:
    with pytest.raises(InputError, match="differ"):
        measure(np.zeros((6, 4)), np.array([0, 0, 1, 1, 2, 2]))  # type: ignore[operator]


@pytest.mark.parametrize("measure", [leep, logme, h_score])
def test_no_labelled_image_is_refused_in_words(measure: object) -> None:
    with pytest.raises(InputError, match="no labelled image"):
        measure(np.zeros((0, 4)), np.zeros(0, np.int64))  # type: ignore[operator]
