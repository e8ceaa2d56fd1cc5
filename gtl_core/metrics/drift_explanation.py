"""What is behind a drift: whether a classifier tells new images from old ones, and which images look most unlike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gtl_core.metrics.divergence import domain_scores
from gtl_core.metrics.kernel import Rows
from gtl_core.metrics.neighbours import nearest

_NEIGHBOURS = 5


@dataclass(frozen=True, eq=False)
class Telling:
    """What a classifier two-sample test found.

    Attributes:
        accuracy: share of images that it placed on the right side; 0.5 is guessing.
        p: probability of so many hits by guessing.
        images: images a side that it was tried on.
        scores: float64 (M,), how surely each new image is taken for a new one.
    """

    accuracy: float
    p: float
    images: int
    scores: npt.NDArray[np.float64]


def classifier_test(reference: Rows, now: Rows, *, seed: int) -> Telling:
    """The classifier two-sample test (C2ST; Lopez-Paz and Oquab, 2017, arXiv:1610.06545), cross-validated.

    It explains and does not decide: it says in one number how different the new images are, and which of them show it.
    As many images of the reference are taken as there are new ones, so that guessing is right half of the time.

    Args:
        reference: floating (N, F), in random order.
        now: floating (M, F).
        seed: of the folds.

    Raises:
        InputError: a side has too few images for the folds.
    """
    from scipy.stats import binomtest

    old = reference[: len(now)]
    scores = domain_scores(old, now, seed=seed)
    new = np.arange(len(scores)) >= len(old)
    right = (scores > 0.5) == new
    # Each side counts the same where the reference is the smaller one.
    accuracy = (right[new].mean() + right[~new].mean()) / 2
    hits = round(accuracy * len(scores))
    p = binomtest(hits, len(scores), alternative="greater").pvalue
    return Telling(float(accuracy), float(p), min(len(old), len(now)), scores[new])


def most_unlike(reference: Rows, now: Rows, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The new images that lie farthest from the reference, by the mean distance to the nearest images of it.

    Args:
        reference: floating (N, F).
        now: floating (M, F).
        count: how many, at most.

    Returns:
        Rows of `now`, the farthest first, and for each the row of `reference` that is nearest to it.
    """
    distances, rows = nearest(now, reference, min(_NEIGHBOURS, len(reference)))
    farthest = np.argsort(-distances.mean(axis=1), kind="stable")[:count]
    return farthest, rows[farthest, 0]
