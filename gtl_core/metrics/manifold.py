"""Precision, recall, density and coverage: how two sets of features share the space around their points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gtl_core.errors import InputError
from gtl_core.metrics.neighbours import BLOCK_BYTES, nearest

NEIGHBOURS = 5
"""The neighbour whose distance is the radius of a point's ball, as in Naeem et al. (2020)."""


@dataclass(frozen=True)
class Manifold:
    """How real and synthetic images lie among each other.

    Attributes:
        precision: share of the synthetic images in a ball of a real one (Kynkäänniemi et al. 2019).
        recall: share of the real images in a ball of a synthetic one (the same).
        density: in how many balls of real images a synthetic one lies, over `NEIGHBOURS` (Naeem et al. 2020); 1 is
            what real images have, and more than 1 is possible.
        coverage: share of the real images whose ball holds a synthetic one (the same).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifold(real: npt.NDArray[np.floating], synthetic: npt.NDArray[np.floating]) -> Manifold:
    """Compares two sets, in blocks of distances.

    Args:
        real: (N, F).
        synthetic: (M, F).

    Raises:
        InputError: a set has no more images than the neighbours that are looked at, or the widths differ.
    """
    _require("real", len(real))
    _require("synthetic", len(synthetic))
    _require_one_width(real, synthetic)
    real_radii = nearest(real, real, NEIGHBOURS, exclude_self=True)[0][:, -1]
    synthetic_radii = nearest(synthetic, synthetic, NEIGHBOURS, exclude_self=True)[0][:, -1]
    # In float64: among many millions of pairs, float32 products would put some on the wrong side of a ball's surface.
    centre = real.mean(axis=0, dtype=np.float64)
    right = real - centre
    right_norms = np.einsum("ij,ij->i", right, right)
    real_squares, synthetic_squares = (radii.astype(np.float64) ** 2 for radii in (real_radii, synthetic_radii))
    rows = max(1, BLOCK_BYTES // (8 * len(real)))
    held = np.zeros(len(synthetic), np.int64)
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for start in range(0, len(synthetic), rows):
        block = slice(start, start + rows)
        left = synthetic[block] - centre
        squares = left @ right.T
        squares *= -2
        squares += right_norms
        squares += np.einsum("ij,ij->i", left, left)[:, None]
        in_real = squares <= real_squares
        held[block] = in_real.sum(axis=1)
        covered |= in_real.any(axis=0)
        recalled |= (squares <= synthetic_squares[block, None]).any(axis=0)
    return Manifold(
        precision=float((held > 0).mean()),
        recall=float(recalled.mean()),
        density=float(held.mean() / NEIGHBOURS),
        coverage=float(covered.mean()),
    )


def realism(real: npt.NDArray[np.floating], synthetic: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """How deep each synthetic image lies in the ball of a real one: its radius over the distance, the largest of all.

    From 1 on it lies in one. Balls of more than the median radius are left out, because they stand for outliers
    (Kynkäänniemi et al. 2019, section 5).

    Args:
        real: (N, F).
        synthetic: (M, F).

    Returns:
        (M,), infinite for a copy.

    Raises:
        InputError: there are no more real images than the neighbours that are looked at, or the widths differ.
    """
    _require("real", len(real))
    _require_one_width(real, synthetic)
    radii = nearest(real, real, NEIGHBOURS, exclude_self=True)[0][:, -1]
    kept = radii <= np.median(radii)
    real, radii = real[kept], radii[kept]
    # The nearest few are enough: the radii that are left differ little.
    distances, indices = nearest(synthetic, real, min(NEIGHBOURS, len(real)))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(distances > 0.0, radii[indices] / distances, np.inf)
    values: npt.NDArray[np.float32] = ratios.max(axis=1).astype(np.float32)
    return values


def _require(side: str, images: int) -> None:
    if images <= NEIGHBOURS:
        raise InputError(f"{NEIGHBOURS} neighbours need more than {NEIGHBOURS} {side} images, and there are {images}")


def _require_one_width(real: npt.NDArray[np.floating], synthetic: npt.NDArray[np.floating]) -> None:
    if real.shape[1] != synthetic.shape[1]:
        raise InputError(f"features of one width are needed, not {real.shape[1]} and {synthetic.shape[1]}")
