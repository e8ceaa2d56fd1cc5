"""Scores of predictions, as pure functions of labels and predicted classes."""

from __future__ import annotations

import numpy as np

from gtl_core.config import Metric


def per_class_recall(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Share of each class's images that were recognised.

    Args:
        labels: int (N,), true classes.
        predicted: int (N,), predicted classes.
        classes: number of classes K.

    Returns:
        float64 (K,); NaN for a class without an image.
    """
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    hits = np.bincount(labels[predicted == labels], minlength=classes)
    recalls: np.ndarray = np.divide(hits, counts, out=np.full(classes, np.nan), where=counts > 0)
    return recalls


def image_weights(labels: np.ndarray, metric: Metric) -> np.ndarray:
    """What each image counts in a metric: the metric is the sum of the weights of the recognised images.

    Args:
        labels: int (N,), true classes, at least one image.
        metric: `accuracy` (every image counts the same) or `balanced_accuracy` (every class that has an image
            counts the same, so the score is the mean of the recalls).

    Returns:
        float64 (N,), summing to 1.
    """
    if metric == "accuracy":
        return np.full(len(labels), 1.0 / len(labels))
    _, positions, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights: np.ndarray = 1.0 / (len(counts) * counts[positions])
    return weights


def score(labels: np.ndarray, predicted: np.ndarray, metric: Metric) -> float:
    """Value of a metric, 0 to 1, for labels and predicted classes, both int (N,)."""
    return float(image_weights(labels, metric)[predicted == labels].sum())


def cross_entropy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative log-probability of the true class, in nats; probabilities float (N, K), bounded below by 1e-6."""
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(chosen, 1e-6, 1.0)).mean())


def judgement(labels: np.ndarray, probabilities: np.ndarray, metric: Metric) -> tuple[float, float]:
    """What candidates are compared by on the validation part: bigger is better, item by item.

    A validation part of few images gives many ties in the metric, so the second item, minus the cross-entropy,
    breaks them.
    """
    return score(labels, probabilities.argmax(axis=1), metric), -cross_entropy(labels, probabilities)
