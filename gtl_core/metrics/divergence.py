"""How far apart two samples of images lie in the features of a network, over all and class by class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gtl_core.errors import InputError
from gtl_core.metrics.kernel import Rows
from gtl_core.training.class_distances import class_means

Labels = npt.NDArray[np.int64]

FOLDS = 5


def domain_scores(x: Rows, y: Rows, *, seed: int) -> npt.NDArray[np.float64]:
    """How surely a linear classifier takes each row for one of `y`, by a fold that it has not learned from.

    Args:
        x: floating (N, F), at least `FOLDS` rows.
        y: floating (M, F), at least `FOLDS` rows.
        seed: of the folds.

    Returns:
        Probabilities float64 (N + M,), those of `x` first.

    Raises:
        InputError: a sample has fewer rows than there are folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if min(len(x), len(y)) < FOLDS:
        raise InputError(f"a proxy A-distance needs {FOLDS} images or more on both sides, not {len(x)} and {len(y)}")
    domain = np.repeat([0, 1], [len(x), len(y)])
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000, C=0.1))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    found = cross_val_predict(model, np.concatenate([x, y]), domain, cv=folds, method="predict_proba")
    scores: npt.NDArray[np.float64] = found[:, 1]
    return scores


def domain_hits(x: Rows, y: Rows, *, seed: int) -> npt.NDArray[np.bool_]:
    """Whether `domain_scores` tell from which sample each row is: bool (N + M,), those of `x` first.

    Args:
        x: floating (N, F).
        y: floating (M, F).
        seed: of the folds.

    Raises:
        InputError: as for `domain_scores`.
    """
    scores = domain_scores(x, y, seed=seed)
    hits: npt.NDArray[np.bool_] = (scores > 0.5) == (np.arange(len(scores)) >= len(x))
    return hits


def proxy_a_distance(hits: npt.NDArray[np.bool_], first: int) -> float:
    """Proxy A-distance `2 (1 − 2ε)` (Ben-David et al., 2007), ε the error of telling two samples apart.

    Args:
        hits: bool (N + M,), from `domain_hits`.
        first: N. The error is the mean of both samples' errors, so that their sizes do not matter.

    Returns:
        0 where the samples cannot be told apart to 2 where they always can; an error above one half counts as that.
    """
    error = 1.0 - (hits[:first].mean() + hits[first:].mean()) / 2
    return float(2.0 * (1.0 - 2.0 * min(error, 0.5)))


def class_spread(features: Rows, labels: Labels, classes: int) -> float:
    """How far a typical image lies from the mean of its class: the root mean square distance, over all classes.

    Args:
        features: floating (N, F).
        labels: int64 (N,).
        classes: how many.

    Raises:
        InputError: no class has two images whose features differ.
    """
    means = class_means(features, labels, classes)
    spread = float(np.sqrt(((features - means[labels]) ** 2).sum(axis=1).mean()))
    if not spread > 0:
        raise InputError("no class of the target has two labelled images that differ; label two or more a class")
    return spread
