"""Scores as functions of how often each test image counts, which is what a bootstrap over images asks for.

Each function prepares the predictions of one arm and gives a function from counts, float (R, N) of R resamples, to
scores, float (R, D): those of each draw, its seeds averaged. With ones for counts they are the usual scores.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gtl_core.evaluation.scores import CONFIDENCE_BINS, confidence_bins

Counted = Callable[[np.ndarray], np.ndarray]


def mean_outcome(outcomes: np.ndarray, weights: np.ndarray) -> Counted:
    """A weighted mean over images, such as the accuracy.

    Args:
        outcomes: float (D, N), seeds averaged.
        weights: float (N,), what each image counts.
    """
    weighted = np.ascontiguousarray((outcomes * weights).T)

    def scores(counts: np.ndarray) -> np.ndarray:
        found: np.ndarray = counts @ weighted
        return found

    return scores


def macro_f1(labels: np.ndarray, predicted: np.ndarray, classes: int) -> Counted:
    """Mean over the classes that have a test image of F1, the harmonic mean of precision and recall.

    F1 of a class that is never recognised is 0.

    Args:
        labels: int (N,), true classes.
        predicted: int (D, S, N), predicted classes.
        classes: number of classes K.
    """
    draws, seeds, _ = predicted.shape
    present = np.unique(labels)
    actual = _sums(np.ones(len(labels)), labels, classes)
    claimed = _sums(np.ones(predicted.shape), predicted, classes)
    right = _sums((predicted == labels).astype(np.float64), predicted, classes)

    def scores(counts: np.ndarray) -> np.ndarray:
        of_classes = (len(counts), draws, seeds, classes)
        there = actual(counts).reshape(len(counts), 1, 1, classes)
        f1 = 2 * right(counts).reshape(of_classes) / np.maximum(claimed(counts).reshape(of_classes) + there, 1e-12)
        found: np.ndarray = f1[..., present].mean(axis=(2, 3))
        return found

    return scores


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> Counted:
    """Expected calibration error: how far, on average, sureness and share of right predictions lie apart.

    Over 15 bins of equal width of the likeliest class's probability: Naeini, Cooper and Hauskrecht, "Obtaining Well
    Calibrated Probabilities Using Bayesian Binning", 2015. It takes what chance leaves in a bin for error, so with few
    images it is too large: 11 % with 100 and 4 % with 800 where predictions are perfectly calibrated.

    Args:
        labels: int (N,), true classes.
        probabilities: float (D, S, N, K).
    """
    draws, seeds = probabilities.shape[:2]
    confidence, bins = confidence_bins(probabilities)
    gaps = _sums((probabilities.argmax(axis=-1) == labels) - confidence, bins, CONFIDENCE_BINS)

    def scores(counts: np.ndarray) -> np.ndarray:
        apart = np.abs(gaps(counts)).reshape(len(counts), draws, seeds, CONFIDENCE_BINS)
        found: np.ndarray = apart.sum(axis=-1).mean(axis=2) / counts.sum(axis=1, keepdims=True)
        return found

    return scores


def auc(labels: np.ndarray, probabilities: np.ndarray) -> Counted | None:
    """Area under the ROC curve of each class against the rest, averaged over the classes that have a test image.

    Resamples are scored by the first-order part of the area, in DeLong's structural components (DeLong, DeLong and
    Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating characteristic curves",
    Biometrics 44, 1988), which need no new ranking. They hold where each class counts as often as it has images.

    Args:
        labels: int (N,), true classes.
        probabilities: float (D, S, N, K).

    Returns:
        The counted score, or None where all test images are of one class.
    """
    from scipy.stats import rankdata

    present = np.unique(labels)
    if len(present) < 2:
        return None
    areas = np.zeros(probabilities.shape[0])
    influence = np.zeros((probabilities.shape[0], len(labels)))
    for name in present:
        own = labels == name
        said = probabilities[..., name].astype(np.float64)
        ranks = rankdata(said, axis=-1)
        below = (ranks[..., own] - rankdata(said[..., own], axis=-1)) / (~own).sum()
        above = 1.0 - (ranks[..., ~own] - rankdata(said[..., ~own], axis=-1)) / own.sum()
        areas += below.mean(axis=(1, 2)) / len(present)
        influence[:, own] += below.mean(axis=1) / own.sum() / len(present)
        influence[:, ~own] += above.mean(axis=1) / (~own).sum() / len(present)

    def scores(counts: np.ndarray) -> np.ndarray:
        found: np.ndarray = areas + (counts - 1.0) @ influence.T
        return found

    return scores


def _sums(values: np.ndarray, places: np.ndarray, number: int) -> Callable[[np.ndarray], np.ndarray]:
    """Sums of values by place, each image as often as it counts.

    Args:
        values: float (..., N).
        places: int (..., N), where each value goes.
        number: of places P.

    Returns:
        From counts (R, N) to sums (R, product of the leading sizes × P).
    """
    from scipy.sparse import csr_array

    images = values.shape[-1]
    leading = values.size // images
    rows = places.reshape(leading, images) + number * np.arange(leading)[:, None]
    columns = np.broadcast_to(np.arange(images), rows.shape)
    matrix = csr_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=(leading * number, images))

    def summed(counts: np.ndarray) -> np.ndarray:
        found: np.ndarray = (matrix @ counts.T).T
        return found

    return summed
