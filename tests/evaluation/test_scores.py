"""Scores: against scikit-learn, and what they may never say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, mutual_info_score

from gtl_core.evaluation.counted_scores import auc, calibration_error, macro_f1
from gtl_core.evaluation.scorecard import scorecard
from gtl_core.evaluation.scores import (
    brier,
    confusion_matrix,
    cross_entropy,
    image_weights,
    judgement,
    mutual_information,
    reliability,
    score,
    wilson_interval,
)
from gtl_core.evaluation.statistics import two_level_score_bootstrap


def said(rng: np.random.Generator, *sizes: int, classes: int = 4) -> np.ndarray:
    """Probabilities (..., K) with ties, as float16 has them."""
    return rng.dirichlet(np.full(classes, 0.7), size=sizes).astype(np.float16)


def once(images: int) -> np.ndarray:
    """Counts of the test part as it is."""
    return np.ones((1, images))


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(12, 80))
def test_scores_are_those_of_scikit_learn(seed: int, classes: int, images: int):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(classes, size=images)])
    predicted = rng.integers(classes, size=len(labels))
    assert score(labels, predicted, "accuracy") == pytest.approx(accuracy_score(labels, predicted))
    assert score(labels, predicted, "balanced_accuracy") == pytest.approx(balanced_accuracy_score(labels, predicted))
    expected = metrics.confusion_matrix(labels, predicted)
    np.testing.assert_array_equal(confusion_matrix(labels, predicted, classes), expected)
    f1 = metrics.f1_score(labels, predicted, average="macro")
    assert macro_f1(labels, predicted[None, None], classes)(once(len(labels)))[0, 0] == pytest.approx(f1)


def test_cross_entropy_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, probabilities = np.arange(30) % 3, rng.dirichlet(np.ones(3), size=30)
    assert cross_entropy(labels, probabilities) == pytest.approx(log_loss(labels, probabilities))


@given(st.integers(0, 2**32 - 1))
def test_the_area_under_the_curve_is_that_of_scikit_learn_also_with_ties(seed: int):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.concatenate([np.arange(4), rng.integers(4, size=60)]))
    probabilities = said(rng, 2, 3, len(labels)).round(1)
    expected = [
        np.mean([metrics.roc_auc_score(np.eye(4)[labels], seed, average="macro") for seed in draw])
        for draw in probabilities
    ]
    np.testing.assert_allclose(auc(labels, probabilities)(once(len(labels)))[0], expected)


def test_areas_of_resamples_follow_without_a_new_ranking():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 300)
    probabilities = (0.4 * np.eye(3)[labels] + 0.6 * rng.dirichlet(np.ones(3), size=900))[None, None]
    picks = np.concatenate([rng.integers(300 * c, 300 * (c + 1), size=(20, 300)) for c in range(3)], axis=1)
    counts = np.stack([np.bincount(row, minlength=900) for row in picks]).astype(np.float64)
    expected = [metrics.roc_auc_score(np.eye(3)[labels[row]], probabilities[0, 0, row]) for row in picks]
    found = auc(labels, probabilities)(counts)[:, 0]
    assert np.std(found - expected) < 0.1 * np.std(expected)


def test_without_a_second_class_there_is_no_curve():
    assert auc(np.zeros(5, np.int64), np.full((1, 1, 5, 2), 0.5)) is None


def test_calibration_error_and_brier_score_are_those_of_the_literature():
    import torch
    from torchmetrics.classification import MulticlassCalibrationError

    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(4, size=500), rng.dirichlet(np.ones(4), size=500)
    expected = MulticlassCalibrationError(4, n_bins=15)(torch.tensor(probabilities), torch.tensor(labels))
    found = calibration_error(labels, probabilities[None, None])(once(500))[0, 0]
    assert found == pytest.approx(float(expected), abs=1e-6)
    assert brier(labels, probabilities).mean() == pytest.approx(
        metrics.brier_score_loss(labels, probabilities, scale_by_half=False)
    )
    rows = reliability(labels, probabilities)
    assert sum(row["images"] for row in rows) == 500
    apart = sum(row["images"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / 500
    assert apart == pytest.approx(found)


def test_counting_an_image_twice_is_having_it_twice():
    rng = np.random.default_rng(0)
    labels, probabilities = np.arange(40) % 4, said(rng, 2, 2, 40)
    counts = rng.integers(3, size=(1, 40))
    rows = np.repeat(np.arange(40), counts[0])
    predicted = probabilities.argmax(axis=-1)
    pairs = [
        (
            macro_f1(labels, predicted, 4)(counts.astype(float)),
            macro_f1(labels[rows], predicted[:, :, rows], 4)(once(len(rows))),
        ),
        (
            calibration_error(labels, probabilities)(counts.astype(float)),
            calibration_error(labels[rows], probabilities[:, :, rows])(once(len(rows))),
        ),
    ]
    for counted, repeated in pairs:
        np.testing.assert_allclose(counted, repeated)


@given(st.integers(1, 400), st.floats(0, 1))
def test_intervals_of_shares_are_those_of_wilson(images: int, share: float):
    hits = round(share * images)
    expected = binomtest(hits, images).proportion_ci(method="wilson")
    assert wilson_interval(hits / images, images) == pytest.approx((expected.low, expected.high), abs=1e-9)


def scored(labels: np.ndarray, probabilities: np.ndarray, groups: list[str] | None = None) -> dict[str, Any]:
    names = np.array(groups or [""] * len(labels))
    return scorecard(labels, names, probabilities, ["a", "b", "c", "d"], resamples=200, seed=0)


def test_an_arm_is_scored_over_draws_with_its_seeds_averaged():
    rng = np.random.default_rng(0)
    labels, probabilities = rng.permutation(np.arange(200) % 4), said(rng, 3, 2, 200)
    probabilities[..., 0] += 0.2
    card = scored(labels, probabilities)
    flat = probabilities.argmax(axis=-1).reshape(6, 200)
    for name, of_one in {
        "accuracy": accuracy_score,
        "balanced_accuracy": balanced_accuracy_score,
        "macro_f1": lambda t, p: metrics.f1_score(t, p, average="macro"),
    }.items():
        assert card["scores"][name]["mean"] == pytest.approx(np.mean([of_one(labels, row) for row in flat]))
    for found in card["scores"].values():
        assert found is None or found["low"] <= found["mean"] <= found["high"]
    recalls = {name: row["recall"] for name, row in card["per_class"].items()}
    assert card["scores"]["worst_class"]["mean"] == pytest.approx(min(recalls.values()))
    assert np.sum(card["confusion"]) == 6 * 200
    assert np.trace(card["confusion"]) == (flat == labels).sum()
    assert card["groups"] == {}
    assert card["scores"]["worst_group"] is card["scores"]["group_gap"] is None


def test_groups_are_compared_where_they_have_enough_images():
    labels = np.zeros(63, np.int64)
    groups = ["lot 1"] * 20 + ["lot 2"] * 40 + ["lot 3"] + [""] * 2
    recognised = np.array([True] * 15 + [False] * 5 + [True] * 38 + [False] * 2 + [False] + [False] * 2)
    probabilities = np.tile(np.where(recognised[:, None], [0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1]), (2, 1, 1, 1))
    card = scored(labels, probabilities, groups)
    assert card["scores"]["worst_group"]["mean"] == pytest.approx(0.75)
    assert card["scores"]["group_gap"]["mean"] == pytest.approx(0.2)
    alone = card["groups"]["lot 3"]
    assert (alone["score"], alone["images"]) == (0.0, 1)
    assert alone["high"] > 0.7
    assert set(card["groups"]) == {"lot 1", "lot 2", "lot 3"}


def test_a_class_without_a_test_image_is_told_apart_from_one_that_is_never_recognised():
    labels = np.array([0, 0, 2, 2])
    probabilities = np.tile(np.eye(4)[[0, 1, 0, 0]], (2, 1, 1, 1))
    card = scored(labels, probabilities)
    assert card["per_class"]["b"] == {"recall": None, "low": None, "high": None, "images": 0}
    assert card["per_class"]["c"]["recall"] == 0.0
    assert card["scores"]["balanced_accuracy"]["mean"] == pytest.approx(0.25)
    assert card["scores"]["worst_class"]["mean"] == 0.0
    assert image_weights(labels, "balanced_accuracy").sum() == pytest.approx(1.0)


def test_the_interval_of_an_area_has_the_width_that_many_test_parts_show():
    rng = np.random.default_rng(0)

    def test_part() -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(2), 100)
        own = 1 / (1 + np.exp(-rng.normal(np.where(labels == 1, 0.8, -0.8), 1.0)))
        return labels, np.tile(np.stack([1 - own, own], axis=1), (2, 1, 1, 1))

    def area(labels: np.ndarray, probabilities: np.ndarray) -> float:
        return float(auc(labels, probabilities)(once(200))[0, 0])

    spread = np.std([area(*test_part()) for _ in range(300)])
    errors = []
    for _ in range(20):
        labels, probabilities = test_part()
        counted = auc(labels, probabilities)
        found = two_level_score_bootstrap(
            lambda counts, score=counted: score(counts)[:, :, None],
            2,
            200,
            labels,
            resamples=300,
            seed=0,
            bounds=[(0, 1)],
        )
        errors.append(found[0].error)
    assert np.mean(errors) == pytest.approx(spread, rel=0.15)


def test_of_two_classifiers_with_equal_scores_the_surer_one_is_preferred():
    labels = np.array([0, 1])
    sure, unsure = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[0.6, 0.4], [0.4, 0.6]])
    wrong = np.array([[0.9, 0.1], [0.9, 0.1]])
    assert judgement(labels, sure, "accuracy") > judgement(labels, unsure, "accuracy")
    assert judgement(labels, unsure, "accuracy") > judgement(labels, wrong, "accuracy")


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_mutual_information_is_nothing_for_a_classifier_that_does_not_look_and_ln_k_for_one_that_is_sure(classes: int):
    assert mutual_information(np.full((7, classes), 1 / classes)) == pytest.approx(0.0, abs=1e-12)
    same = np.tile(np.eye(classes)[0], (7, 1))
    assert mutual_information(same) == pytest.approx(0.0, abs=1e-12)
    assert mutual_information(np.repeat(np.eye(classes), 4, axis=0)) == pytest.approx(np.log(classes))


def test_mutual_information_between_the_two_ends_is_that_of_a_symmetric_channel():
    p = 0.9
    noise = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    assert mutual_information(np.array([[p, 1 - p], [1 - p, p]])) == pytest.approx(np.log(2) - noise)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 60))
def test_mutual_information_of_sure_predictions_is_that_of_scikit_learn(seed: int, classes: int, images: int):
    predicted = np.random.default_rng(seed).integers(classes, size=images)
    expected = mutual_info_score(np.arange(images), predicted)
    assert mutual_information(np.eye(classes, dtype=np.float32)[predicted]) == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_mutual_information_lies_between_nothing_and_ln_k(seed: int, classes: int):
    probabilities = np.random.default_rng(seed).dirichlet(np.full(classes, 0.5), size=20)
    assert -1e-12 <= mutual_information(probabilities) <= np.log(classes) + 1e-12
