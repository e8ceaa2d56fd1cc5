"""How much the source classifier already says about the target's labels: LEEP, LogME and the shrunk H-score.

Each is computed from labelled target images that pass once through the source classifier; nothing is trained. They
rank sources for one target; their values mean little from one target to another.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gtl_core.errors import InputError

Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]

_TINY = 1e-12
_ROUNDS = 100
_SETTLED = 1e-4


def leep(probabilities: Floats, labels: Labels) -> float:
    """Log expected empirical prediction (Nguyen et al., 2020, arXiv:2002.12462).

    The mean log-likelihood of the target's labels under a classifier that guesses them from the source classifier's
    probabilities, by the empirical distribution of target class given source class.

    Args:
        probabilities: floating (N, Z), of the Z source classes, on target images.
        labels: int64 (N,), the target's.

    Returns:
        Nats an image, at most 0; `label_entropy` below 0 where the source says nothing about the labels.

    Raises:
        InputError: there is no image.
    """
    _require_images(labels)
    scores = np.asarray(probabilities, np.float64)
    joint = _members(labels).T @ scores / len(labels)
    given_source = joint / np.maximum(joint.sum(axis=0), _TINY)
    row = np.unique(labels, return_inverse=True)[1]
    likelihood = (given_source[row] * scores).sum(axis=1)
    return float(np.log(np.maximum(likelihood, _TINY)).mean())


def label_entropy(labels: Labels) -> float:
    """Entropy of the classes among the labels, in nats: −LEEP of a source that says nothing.

    Args:
        labels: int64 (N,).
    """
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def logme(features: Floats, labels: Labels) -> float:
    """Logarithm of maximum evidence (You et al., 2021, arXiv:2102.11005).

    For each class, the log marginal likelihood of "is it this class" under Bayesian linear regression on the features,
    at the prior and noise precision that make it largest (MacKay's fixed point, on the singular values).

    Args:
        features: floating (N, F).
        labels: int64 (N,).

    Returns:
        Nats an image, the mean over the classes; bigger is better, and it may be positive.

    Raises:
        InputError: there is no image, or the features are all 0.
    """
    _require_images(labels)
    rows = np.asarray(features, np.float64)
    left, singular, _ = np.linalg.svd(rows, full_matrices=False)
    if not singular[0] > 0:
        raise InputError("the features of all images are 0; LogME needs features that differ")
    targets = _members(labels).astype(np.float64)
    return float(np.mean([_evidence(left.T @ y, singular**2, float(y @ y), rows.shape) for y in targets.T]))


def _evidence(projected: Floats, eigenvalues: Floats, square: float, shape: tuple[int, ...]) -> float:
    """The largest log evidence of one regression, an image.

    Args:
        projected: float64 (min(N, F),), the targets along the left singular vectors.
        eigenvalues: float64 (min(N, F),), the squares of the singular values.
        square: squared length of the targets.
        shape: (N, F).
    """
    count, width = shape
    squares = projected**2
    outside = max(square - float(squares.sum()), 0.0)
    prior = noise = 1.0
    for _ in range(_ROUNDS):
        ratio = prior / noise
        effective = float((eigenvalues / (eigenvalues + ratio)).sum())
        length = float((eigenvalues * squares / (eigenvalues + ratio) ** 2).sum())
        residual = float((squares / (1.0 + eigenvalues / ratio) ** 2).sum()) + outside
        prior = effective / max(length, _TINY)
        noise = (count - effective) / max(residual, _TINY)
        if abs(prior / noise - ratio) <= _SETTLED * ratio:
            break
    ratio = prior / noise
    length = float((eigenvalues * squares / (eigenvalues + ratio) ** 2).sum())
    residual = float((squares / (1.0 + eigenvalues / ratio) ** 2).sum()) + outside
    # Directions without any spread have the prior's precision alone.
    determinant = float(np.log(prior + noise * eigenvalues).sum()) + (width - len(eigenvalues)) * np.log(prior)
    evidence = (
        width * np.log(prior)
        + count * np.log(noise)
        - count * np.log(2.0 * np.pi)
        - determinant
        - noise * residual
        - prior * length
    )
    return float(evidence) / (2.0 * count)


def h_score(features: Floats, labels: Labels) -> float:
    """The H-score with a shrunk covariance (Ibrahim et al., 2021, arXiv:2110.06893; Bao et al., 2019).

    `tr(Σ⁻¹ Σ_between)`: how much of the features' spread lies between the class means, every direction counted by its
    own spread. Σ is the Ledoit–Wolf estimate, so that it exists with fewer images than features. Ibrahim et al. shrink
    the spread between classes with it, by the same share.

    Args:
        features: floating (N, F).
        labels: int64 (N,).

    Returns:
        0 to the number of classes less one; bigger is better.

    Raises:
        InputError: there is no image, or no feature differs between the images.
    """
    from sklearn.covariance import ledoit_wolf

    _require_images(labels)
    rows = np.asarray(features, np.float64)
    rows = rows - rows.mean(axis=0)
    if not np.abs(rows).max() > _TINY:
        raise InputError("no feature differs between the images; the H-score needs features that differ")
    covariance, shrinkage = ledoit_wolf(rows, assume_centered=True)
    members = _members(labels)
    counts = members.sum(axis=0)
    means = (members.T @ rows) / counts[:, None]
    between = (means.T * counts) @ means / len(labels)
    return float((1.0 - shrinkage) * np.trace(np.linalg.solve(covariance, between)))


def _members(labels: Labels) -> npt.NDArray[np.bool_]:
    """Which image is of which of the classes that occur: bool (N, K)."""
    found: npt.NDArray[np.bool_] = labels[:, None] == np.unique(labels)
    return found


def _require_images(labels: Labels) -> None:
    if not len(labels):
        raise InputError("no labelled image to measure by; label some images of the target")
