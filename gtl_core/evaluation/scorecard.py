"""Everything that the test part says of one arm: its scores with intervals, by class, by group, and how sure it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gtl_core.evaluation.counted_scores import Counted, auc, calibration_error, macro_f1, mean_outcome
from gtl_core.evaluation.scores import (
    brier,
    confusion_matrix,
    image_weights,
    reliability,
    wilson_interval,
)
from gtl_core.evaluation.statistics import Estimate, two_level_score_bootstrap

ENOUGH_IN_GROUP = 20
"""Test images that a group needs to be compared with others: with fewer, one image moves its score by over 5 points."""
_SHARE, _DISTANCE = (0.0, 1.0), (0.0, 2.0)


def scorecard(
    labels: np.ndarray,
    groups: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """What an arm's predictions on the test part are worth.

    The two-level bootstrap gives the intervals of the scores, which hold for other draws and other test images. The
    Wilson intervals of single classes and groups hold for other test images and these draws: a class of ten images
    says too little for more.

    Args:
        labels: int (N,), true classes.
        groups: str (N,), empty where unknown.
        probabilities: float (D, S, N, K) by draw, seed, image and class.
        classes: names.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        `scores` by name with `mean, low, high`, or None where the test part cannot tell (see `intervals`);
        `per_class` with `recall, low, high, images`, None for a class without a test image; `confusion`, summed over
        draws and seeds; `reliability`; `groups` with `score, low, high, images`, where the score is the share that was
        recognised and a group of one image has a very wide interval.
    """
    predicted = probabilities.argmax(axis=-1)
    hits = (predicted == labels).mean(axis=1)
    estimates = intervals(labels, groups, probabilities, resamples=resamples, seed=seed)
    return {
        "scores": {
            name: {"mean": found.value, "low": found.low, "high": found.high} if found else None
            for name, found in estimates.items()
        },
        "per_class": {
            name: _share("recall", hits[:, labels == index].mean(axis=0)) for index, name in enumerate(classes)
        },
        "confusion": confusion_matrix(labels, predicted, len(classes)).tolist(),
        "reliability": reliability(labels, probabilities),
        "groups": {
            str(name): _share("score", hits[:, groups == name].mean(axis=0)) for name in np.unique(groups[groups != ""])
        },
    }


def _share(what: str, hits: np.ndarray) -> dict[str, float | int | None]:
    """Mean of some images' hits, float (n,) over draws and seeds, with its Wilson interval."""
    if not len(hits):
        return {what: None, "low": None, "high": None, "images": 0}
    low, high = wilson_interval(float(hits.mean()), len(hits))
    return {what: float(hits.mean()), "low": low, "high": high, "images": len(hits)}


def intervals(
    labels: np.ndarray, groups: np.ndarray, probabilities: np.ndarray, *, resamples: int, seed: int
) -> dict[str, Estimate | None]:
    """Every score of an arm over draws and test images, with its 95 % interval.

    The worst class is the one with the lowest mean recall, the worst group the one with the lowest share recognised,
    and the gap is that between the best group and the worst. They are picked by the images that they are then scored
    on, which makes the worst look somewhat worse, and the gap somewhat wider, than they are. The interval of `ece` does
    not hold the truth as often as it says, for the error itself is too large with few images (`calibration_error`).

    Args:
        labels: int (N,), true classes.
        groups: str (N,), empty where unknown.
        probabilities: float (D, S, N, K).
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        By name: `accuracy, balanced_accuracy, macro_f1, auc, ece, brier, worst_class, worst_group, group_gap`. `auc` is
        None where all test images are of one class, the last two where fewer than two groups have 20 test images.
    """
    draws, _, images, _ = probabilities.shape
    predicted = probabilities.argmax(axis=-1)
    hits = (predicted == labels).mean(axis=1)
    alike = image_weights(labels, "accuracy")
    together: dict[str, Counted | None] = {
        "accuracy": mean_outcome(hits, alike),
        "ece": calibration_error(labels, probabilities),
        "brier": mean_outcome(brier(labels, probabilities).mean(axis=1), alike),
    }
    by_class: dict[str, Counted | None] = {
        "balanced_accuracy": mean_outcome(hits, image_weights(labels, "balanced_accuracy")),
        "macro_f1": macro_f1(labels, predicted, probabilities.shape[-1]),
        "auc": auc(labels, probabilities),
        "worst_class": mean_outcome(hits, _share_of(labels == _extreme(labels, hits, lowest=True))),
    }
    by_group: dict[str, Counted | None] = {"worst_group": None, "group_gap": None}
    names, counts = np.unique(groups[groups != ""], return_counts=True)
    compared = np.isin(groups, names[counts >= ENOUGH_IN_GROUP])
    if len(np.unique(groups[compared])) > 1:
        worst, best = (
            _share_of(compared & (groups == _extreme(groups[compared], hits[:, compared], lowest=lowest)))
            for lowest in (True, False)
        )
        by_group = {"worst_group": mean_outcome(hits, worst), "group_gap": mean_outcome(hits, best - worst)}

    def estimated(counted: Mapping[str, Counted | None], strata: np.ndarray | None) -> dict[str, Estimate | None]:
        able = {name: score for name, score in counted.items() if score is not None}
        found = (
            two_level_score_bootstrap(
                lambda counts: np.stack([score(counts) for score in able.values()], axis=2),
                draws,
                images,
                strata,
                resamples=resamples,
                seed=seed,
                bounds=[_DISTANCE if name == "brier" else _SHARE for name in able],
            )
            if able
            else []
        )
        return dict.fromkeys(counted) | dict(zip(able, found, strict=True))

    return estimated(together, None) | estimated(by_class, labels) | estimated(by_group, groups)


def _extreme(places: np.ndarray, hits: np.ndarray, *, lowest: bool) -> np.ndarray:
    """The class or group, of (N,), whose images were recognised least (or most) often; hits float (D, N)."""
    names, numbers = np.unique(places, return_inverse=True)
    shares = np.bincount(numbers, weights=hits.mean(axis=0)) / np.bincount(numbers)
    found: np.ndarray = names[shares.argmin() if lowest else shares.argmax()]
    return found


def _share_of(members: np.ndarray) -> np.ndarray:
    """Weights of a mean over some of the images: float64 (N,) from bool (N,)."""
    weights: np.ndarray = members / members.sum()
    return weights
