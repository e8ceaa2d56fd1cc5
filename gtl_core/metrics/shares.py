"""Shares of classes and groups, synthetic against real: what a generator makes more or less of than there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gtl_core.data.manifest import UNLABELLED
from gtl_core.metrics.neighbours import nearest

ENOUGH = 20
"""Real images of a group from which its share is more than an anecdote."""


@dataclass(frozen=True)
class Share:
    """How much of the images one class or group is.

    Attributes:
        real: share of the real images.
        synthetic: share of the synthetic images.
        images: real images of it.
        shortfall: how many real images it lacks to `ENOUGH`; 0 where it has them.
    """

    real: float
    synthetic: float
    images: int
    shortfall: int


def class_shares(
    real: npt.NDArray[np.int64], synthetic: npt.NDArray[np.int64], classes: Sequence[str]
) -> dict[str, Share]:
    """Shares of each class.

    Args:
        real: int64 (N,), labels of real images; those without are left out.
        synthetic: int64 (M,), the classes that were asked of the generator.
        classes: names.
    """
    counts, made = (
        np.bincount(labels[labels != UNLABELLED], minlength=len(classes)).astype(np.int64)
        for labels in (real, synthetic)
    )
    return {name: _share(counts, made, index) for index, name in enumerate(classes)}


def group_shares(
    real: npt.NDArray[np.floating], groups: npt.NDArray[np.str_], synthetic: npt.NDArray[np.floating]
) -> dict[str, Share]:
    """Shares of each group; a synthetic image, which has none, counts for the group of the real image nearest to it.

    Args:
        real: (N, F), features of real images.
        groups: (N,), their groups; those without one are left out.
        synthetic: (M, F).

    Returns:
        Shares by group; nothing where no image has one.
    """
    known = groups != ""
    if not known.any() or not len(synthetic):
        return {}
    names, places = np.unique(groups[known], return_inverse=True)
    taken_for = places[nearest(synthetic, real[known], 1)[1][:, 0]]
    counts, made = (np.bincount(side, minlength=len(names)).astype(np.int64) for side in (places, taken_for))
    return {str(name): _share(counts, made, index) for index, name in enumerate(names)}


def _share(real: npt.NDArray[np.int64], synthetic: npt.NDArray[np.int64], index: int) -> Share:
    images = int(real[index])
    return Share(
        real=images / max(1, int(real.sum())),
        synthetic=int(synthetic[index]) / max(1, int(synthetic.sum())),
        images=images,
        shortfall=max(0, ENOUGH - images),
    )
