"""Scores: against scikit-learn, and what they may never say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, mutual_info_score, recall_score

from gtl_core.evaluation.scores import (
    cross_entropy,
    image_weights,
    judgement,
    mutual_information,
    per_class_recall,
    score,
)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(12, 80))
def test_scores_are_those_of_scikit_learn(seed: int, classes: int, images: int):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(classes, size=images)])
    predicted = rng.integers(classes, size=len(labels))
    assert score(labels, predicted, "accuracy") == pytest.approx(accuracy_score(labels, predicted))
    assert score(labels, predicted, "balanced_accuracy") == pytest.approx(balanced_accuracy_score(labels, predicted))
    expected = recall_score(labels, predicted, average=None, labels=np.arange(classes))
    np.testing.assert_allclose(per_class_recall(labels, predicted, classes), expected)


def test_cross_entropy_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, probabilities = np.arange(30) % 3, rng.dirichlet(np.ones(3), size=30)
    assert cross_entropy(labels, probabilities) == pytest.approx(log_loss(labels, probabilities))


def test_a_class_without_images_has_no_recall_and_no_weight():
    labels, predicted = np.array([0, 0, 2]), np.array([0, 1, 2])
    recalls = per_class_recall(labels, predicted, 3)
    assert np.isnan(recalls[1])
    assert score(labels, predicted, "balanced_accuracy") == pytest.approx(0.75)
    assert image_weights(labels, "balanced_accuracy").sum() == pytest.approx(1.0)


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
