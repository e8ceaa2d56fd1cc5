"""Fréchet distance between the Gaussians that fit two sets of features."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gtl_core.errors import InputError

_ROWS = 4096


def frechet_distance(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    """`|m₁ − m₂|² + tr(S₁ + S₂ − 2 (S₁ S₂)^½)` (Dowson & Landau 1982; on features of images, Heusel et al. 2017).

    The trace of the root is taken from the eigenvalues of the symmetric `S₁^½ S₂ S₁^½`, which are those of `S₁ S₂` and
    never negative: no root of a matrix that is none, and no imaginary part, where a feature is constant or there are
    fewer images than features. The value is biased upwards by about the number of features over that of images, so
    compare only values of equal counts.

    Args:
        first: (N, F), at least two rows.
        second: (M, F), at least two rows.

    Returns:
        The distance, in squared units of the features.

    Raises:
        InputError: a set has fewer than two rows, or the widths differ.
    """
    if min(len(first), len(second)) < 2:
        raise InputError(f"a Fréchet distance needs two images a side, and there are {len(first)} and {len(second)}")
    if first.shape[1] != second.shape[1]:
        raise InputError(f"a Fréchet distance needs features of one width, not {first.shape[1]} and {second.shape[1]}")
    (mean, covariance), (other_mean, other_covariance) = _moments(first), _moments(second)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other_covariance @ root), 0.0)).sum()
    difference = mean - other_mean
    distance = difference @ difference + np.trace(covariance) + np.trace(other_covariance) - 2.0 * shared
    return float(max(distance, 0.0))


def _moments(features: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean (F,) and unbiased covariance (F, F) of rows, summed up in float64 without a float64 copy of them all."""
    mean = features.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((features.shape[1], features.shape[1]))
    for start in range(0, len(features), _ROWS):
        centred = features[start : start + _ROWS] - mean
        covariance += centred.T @ centred
    return mean, covariance / (len(features) - 1)
