"""Nearest neighbours between two sets of features, exact and without a full distance matrix in memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Bytes that one block of the work may take: a few blocks are alive at once.
BLOCK_BYTES = 2**25
# ‖q‖² + ‖r‖² − 2 q·r in float32 cancels where the two are close. It only picks the candidates: this many more than
# are asked for, whose distances are then taken from the differences themselves.
SPARE_CANDIDATES = 8


def nearest(
    queries: npt.NDArray[np.floating], references: npt.NDArray[np.floating], k: int, *, exclude_self: bool = False
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The k nearest references of every query, by the Euclidean distance. A copy has the distance 0, exactly.

    Args:
        queries: (N, F).
        references: (M, F).
        k: how many neighbours, at most the references there are.
        exclude_self: `queries` and `references` are the same rows in the same order, and none is its own neighbour.

    Returns:
        Distances (N, k), ascending in a row, and the indices (N, k) of those references.

    Raises:
        ValueError: k is under 1, or more than the references that may be neighbours.
    """
    possible = len(references) - int(exclude_self)
    if not 1 <= k <= possible:
        raise ValueError(f"{k} nearest neighbours asked for, among {max(possible, 0)} references")
    # Around the common mean the norms are small, and with them what the float32 products lose.
    centre = np.mean(references, axis=0, dtype=np.float64)
    right = np.subtract(references, centre).astype(np.float32)
    right_norms = np.einsum("ij,ij->i", right, right)
    candidates = min(k + SPARE_CANDIDATES, possible)
    width = max(4 * len(references), 8 * candidates * right.shape[1], 1)
    rows = max(1, BLOCK_BYTES // width)

    distances = np.empty((len(queries), k), np.float32)
    indices = np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), rows):
        block = slice(start, min(start + rows, len(queries)))
        left = np.subtract(queries[block], centre).astype(np.float32)
        rough = left @ right.T
        rough *= -2
        rough += right_norms
        if exclude_self:
            own = np.arange(len(left))
            rough[own, own + start] = np.inf
        if candidates < len(references):
            found = np.argpartition(rough, candidates - 1, axis=1)[:, :candidates]
        else:
            found = np.broadcast_to(np.arange(candidates), (len(left), candidates))
        # By index first, so that of equal distances the earlier reference comes first.
        found = np.sort(found, axis=1)
        differences = np.subtract(references[found], queries[block][:, None], dtype=np.float64)
        exact = np.einsum("nkf,nkf->nk", differences, differences)
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        distances[block] = np.sqrt(np.take_along_axis(exact, order, axis=1))
        indices[block] = np.take_along_axis(found, order, axis=1)
    return distances, indices
