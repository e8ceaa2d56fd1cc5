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


def mutual_information(probabilities: np.ndarray) -> float:
    """Mutual information between image and predicted class, H(mean p) − mean H(p), in nats: from 0 to ln K.

    It needs no label. It is high where a classifier is sure of each image and all classes occur. Bridle et al.,
    "Unsupervised Classifiers, Mutual Information and 'Phantom Targets'" (1991); Krause et al., "Discriminative
    Clustering by Regularized Information Maximization" (2010); as a rule of choice in domain adaptation: Musgrave,
    Belongie and Lim, "Three New Validators and a Large-Scale Benchmark Ranking for Unsupervised Domain Adaptation"
    (2022).

    Args:
        probabilities: float (N, K), rows that sum to 1, at least one.
    """
    given = probabilities.astype(np.float64)
    return float(_entropy(given.mean(axis=0)) - _entropy(given).mean())


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    """Shannon entropy in nats along the last axis."""
    logs = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    entropy: np.ndarray = -(probabilities * logs).sum(axis=-1)
    return entropy


def judgement(labels: np.ndarray, probabilities: np.ndarray, metric: Metric) -> tuple[float, float]:
    """What candidates are compared by on a labelled validation part: bigger is better, item by item.

    A validation part of few images gives many ties in the metric, so the second item, minus the cross-entropy,
    breaks them.
    """
    return score(labels, probabilities.argmax(axis=1), metric), -cross_entropy(labels, probabilities)
