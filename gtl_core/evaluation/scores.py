"""Scores of predictions, as pure functions of labels and predicted classes."""

from __future__ import annotations

import numpy as np

from gtl_core.config import Metric


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


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How often each class was taken for each: int64 (K, K), rows true and columns predicted.

    Args:
        labels: int (N,), true classes.
        predicted: int (..., N), predicted classes, of one or of many classifiers, whose counts are summed.
        classes: number of classes K.
    """
    pairs = np.broadcast_to(labels, predicted.shape) * classes + predicted
    counts: np.ndarray = np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
    return counts


def wilson_interval(share: float, images: int) -> tuple[float, float]:
    """95 % score interval of a share of images, inside 0 to 1 and of sensible width also for few images.

    Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American Statistical
    Association 22, 1927. A share that is a mean over several classifiers of the same images need not be a whole number
    of images.

    Args:
        share: of the images, 0 to 1.
        images: their number, 1 at least.
    """
    z = 1.959963984540054
    centre = (share + z**2 / (2 * images)) / (1 + z**2 / images)
    reach = z * np.sqrt(share * (1 - share) / images + z**2 / (4 * images**2)) / (1 + z**2 / images)
    return max(0.0, float(centre - reach)), min(1.0, float(centre + reach))


def brier(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Squared distance of each prediction from the truth, 0 to 2; the Brier score is its mean over images.

    The multi-class form: Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review
    78, 1950.

    Args:
        labels: int (N,), true classes.
        probabilities: float (..., N, K).

    Returns:
        float64 (..., N).
    """
    truth = np.eye(probabilities.shape[-1])[labels]
    distances: np.ndarray = ((probabilities.astype(np.float64) - truth) ** 2).sum(axis=-1)
    return distances


CONFIDENCE_BINS = 15
"""Bins of equal width between 0 and 1 (Guo et al., "On Calibration of Modern Neural Networks", 2017, take 15)."""


def confidence_bins(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How sure each prediction is, and the bin that it falls into: float64 and int64 (..., N) for float (..., N, K).

    A bin holds its lower edge and not its upper one, but for the last, which holds both.
    """
    confidence = probabilities.max(axis=-1).astype(np.float64)
    edges = np.linspace(0.0, 1.0, CONFIDENCE_BINS + 1)[1:-1]
    return confidence, np.searchsorted(edges, confidence, side="right")


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> list[dict[str, float]]:
    """For predictions that were equally sure: how sure they were, and how many of them were right.

    Args:
        labels: int (N,), true classes.
        probabilities: float (..., N, K), of one or of many classifiers, whose predictions are pooled.

    Returns:
        `confidence, accuracy, images` of each of the 15 bins that has a prediction, the least sure first, where
        `images` counts an image once for each classifier.
    """
    confidence, bins = confidence_bins(probabilities)
    hits = probabilities.argmax(axis=-1) == labels
    rows = []
    for place in range(CONFIDENCE_BINS):
        inside = bins == place
        if inside.any():
            mean = {"confidence": float(confidence[inside].mean()), "accuracy": float(hits[inside].mean())}
            rows.append({**mean, "images": int(inside.sum())})
    return rows


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
