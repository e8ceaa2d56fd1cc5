"""Scores: against scikit-learn, and what they may never say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, recall_score

from gtl_core.evaluation.scores import cross_entropy, image_weights, judgement, per_class_recall, score


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
