"""Sliced Wasserstein distance: how far points have to be moved along a line, mean over lines in all directions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gtl_core.errors import InputError

DIRECTIONS = 128
_AT_ONCE = 16


def sliced_wasserstein(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating], seed: int) -> float:
    """Mean over random directions of the 1-Wasserstein distance of the projections (Bonneel et al. 2015).

    Unlike the Fréchet distance it sees more of the two sets than their means and covariances.

    Args:
        first: (N, F).
        second: (M, F); the counts may differ.
        seed: of the directions, so that two calls look along the same ones.

    Returns:
        The distance, in units of the features.

    Raises:
        InputError: a set is empty, or the widths differ.
    """
    if not len(first) or not len(second):
        raise InputError(f"a sliced distance needs images on both sides, and there are {len(first)} and {len(second)}")
    if first.shape[1] != second.shape[1]:
        raise InputError(f"a sliced distance needs features of one width, not {first.shape[1]} and {second.shape[1]}")
    directions = np.random.default_rng(seed).normal(size=(first.shape[1], DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    return float(
        np.mean(
            [
                _wasserstein(
                    first @ directions[:, start : start + _AT_ONCE], second @ directions[:, start:][:, :_AT_ONCE]
                )
                for start in range(0, DIRECTIONS, _AT_ONCE)
            ]
        )
    )


def _wasserstein(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Area between the distribution functions of two samples (N, L) and (M, L), mean over the columns."""
    values = np.concatenate([first, second])
    order = np.argsort(values, axis=0)
    steps = np.where(order < len(first), 1.0 / len(first), -1.0 / len(second))
    gaps = np.diff(np.take_along_axis(values, order, axis=0), axis=0)
    return float((np.abs(np.cumsum(steps, axis=0)[:-1]) * gaps).sum(axis=0).mean())
