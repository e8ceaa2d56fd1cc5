"""Rules that say which synthetic images to leave out, as pure functions of features and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gtl_core.metrics.neighbours import nearest

Features = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]

COPY, DISAGREES, SPARSE = "copy", "disagrees", "sparse"
REASONS = (COPY, DISAGREES, SPARSE)
"""Why an image is left out, the gravest first: an image that falls under several rules is told by the first."""

_COPY_SHARE = 1.0 / 3.0
"""Of a training image's distance to the next. Of 1,350 new handwritten digits none came so near to one of 50, nor to
one of 500, and their copies with three grey levels of noise all did."""
_QUANTILE = 0.95
_MOST_NEIGHBOURS = 5
_NEIGHBOURS_A_CLASS = 0.25


def disagreeing(probabilities: Features, labels: npt.NDArray[np.int64]) -> Flags:
    """Images that a classifier takes for another class than they were made for.

    Args:
        probabilities: (N, K), what the classifier says.
        labels: int64 (N,), the class that each was made for.

    Returns:
        bool (N,).
    """
    flags: Flags = probabilities.argmax(axis=1) != labels
    return flags


def neighbours_for(references: int, classes: int) -> int:
    """Which neighbour `sparse` looks at: the fifth, or with under twenty references a class an earlier one.

    A class with five images has no fifth neighbour of its own, and the distance to another class's would let all pass.
    """
    return int(np.clip(_NEIGHBOURS_A_CLASS * references / classes, 1, _MOST_NEIGHBOURS))


def sparse(features: Features, references: Features, k: int) -> Flags:
    """Images that lie where real images are rare: further from their k-th nearest than 95 % of the real ones are.

    The outlier rule of Ramaswamy et al. ("Efficient algorithms for mining outliers from large data sets", SIGMOD
    2000). A real image that is new is left out in about 5 of 100 cases (2 to 9 beside 50 handwritten digits, 3 to 6
    beside 500), and no single odd reference makes a whole region look populated, as it does in the balls of improved
    precision (Naeem et al. 2020, arXiv 2002.09797).

    Args:
        features: (N, F), of the synthetic images.
        references: (M, F), of real images.
        k: which neighbour, less than M.

    Returns:
        bool (N,).
    """
    usual = nearest(references, references, k, exclude_self=True)[0][:, -1]
    flags: Flags = nearest(features, references, k)[0][:, -1] > np.quantile(usual, _QUANTILE)
    return flags


def copied(features: Features, training: Features) -> Flags:
    """Images that are nearer to a training image than a third of the way from there to the next training image.

    Where training images lie close together anyway, an image must be closer still to count as a copy. The screen in
    `metrics.memorisation` has held-out images to compare with; what chooses among training images may not see those.

    Args:
        features: (N, F), of the synthetic images.
        training: (M, F), of the images that the generator learned from; two at least.

    Returns:
        bool (N,).
    """
    apart = nearest(training, training, 1, exclude_self=True)[0][:, 0]
    distances, indices = nearest(features, training, 1)
    flags: Flags = distances[:, 0] <= _COPY_SHARE * apart[indices[:, 0]]
    return flags


def outcome(
    flags: Mapping[str, Flags], labels: npt.NDArray[np.int64], classes: int
) -> tuple[npt.NDArray[np.str_], list[int]]:
    """What becomes of every image: the reason to leave it out, or the empty string.

    Args:
        flags: for each reason bool (N,), the images that it holds for.
        labels: int64 (N,).
        classes: how many classes there are.

    Returns:
        The reasons (N,), and the classes that would have lost all their images and keep them all.
    """
    reasons = np.full(len(labels), "", dtype=f"<U{max(map(len, REASONS))}")
    for reason in reversed(REASONS):
        if reason in flags:
            reasons[flags[reason]] = reason
    emptied = [label for label in range(classes) if (reasons[labels == label] != "").all()]
    reasons[np.isin(labels, emptied)] = ""
    return reasons, emptied


def counted(
    reasons: npt.NDArray[np.str_], labels: npt.NDArray[np.int64], classes: Sequence[str]
) -> dict[str, dict[str, int]]:
    """How many images of each class are left out for which reason; classes that lose none are not named."""
    found = {
        name: {reason: int(np.sum(reasons[labels == label] == reason)) for reason in REASONS}
        for label, name in enumerate(classes)
    }
    return {name: lost for name, lost in found.items() if sum(lost.values())}
