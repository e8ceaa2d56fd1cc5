"""A bag of augmented copies of a few images, made once: what a GAN's images have to be better than."""

from __future__ import annotations

import numpy as np
import torch

from gtl_core.training.augment import augment
from gtl_core.training.runtime import to_uint8, to_unit_range

_BATCH = 512


def augmented_copies(
    images: np.ndarray, labels: np.ndarray, per_class: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same number of augmented copies for every class, each image of a class copied as often as any other.

    Args:
        images: uint8 (N, C, S, S).
        labels: int64 (N,).
        per_class: copies of each class that occurs.
        seed: of the augmentation.

    Returns:
        uint8 (M, C, S, S), class by class, and int64 (M,).
    """
    rows = np.concatenate([np.resize(np.flatnonzero(labels == label), per_class) for label in np.unique(labels)])
    generator = torch.Generator().manual_seed(seed)
    parts = [
        to_uint8(augment(to_unit_range(torch.from_numpy(images[rows[start : start + _BATCH]])), generator)).numpy()
        for start in range(0, len(rows), _BATCH)
    ]
    return np.concatenate(parts), labels[rows]
