"""Maximum mean discrepancy: the distance between two samples by a kernel, its permutation test and its resamples.

MMD² (Gretton et al., 2012, doi:10.5555/2188385.2188410) is `E k(x, x') + E k(y, y') − 2 E k(x, y)`; the unbiased form
leaves out the pairs of a point with itself, so it is 0 on average where both samples come from one law, and may be
negative. The kernel distance between images ("KID", Bińkowski et al., 2018, arXiv:1801.01401) is MMD² by the cubic
polynomial kernel on the features of a network.

Kernel matrices are made and summed in blocks of rows; a whole one is never in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from gtl_core.errors import InputError

Rows = npt.NDArray[np.floating]
"""Features: floating (N, F), one row an image."""

Kernel = Callable[[Rows, Rows], npt.NDArray[np.float64]]
"""Gives the kernel matrix, float64 (N, M), of rows (N, F) with rows (M, F)."""

BLOCK = 1 << 22
"""Entries of a kernel matrix that are in memory at a time: 32 MiB of float64."""

MEDIAN_ROWS = 1000
"""Rows that the median heuristic looks at."""


def polynomial_kernel(x: Rows, y: Rows) -> npt.NDArray[np.float64]:
    """The cubic kernel of the kernel distance: `(x·y / F + 1)³`.

    Args:
        x: floating (N, F).
        y: floating (M, F).

    Returns:
        float64 (N, M).
    """
    gram = np.asarray(x, np.float64) @ np.asarray(y, np.float64).T
    gram /= x.shape[1]
    gram += 1.0
    return gram * gram * gram


def rbf_kernel(bandwidth: float) -> Kernel:
    """The Gaussian kernel `exp(−|x − y|² / (2 bandwidth²))`.

    Args:
        bandwidth: in the unit of the features; positive.
    """

    def kernel(x: Rows, y: Rows) -> npt.NDArray[np.float64]:
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        squares = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1) - 2.0 * (x @ y.T)
        result: npt.NDArray[np.float64] = np.exp(np.maximum(squares, 0.0) / (-2.0 * bandwidth**2))
        return result

    return kernel


def median_bandwidth(x: Rows, y: Rows) -> float:
    """The median heuristic (Gretton et al., 2012, section 8): the median distance between points of both samples.

    Only pairs that differ count, so repeated images do not make it 0; where all points are one, it is 1.

    Args:
        x: floating (N, F).
        y: floating (M, F); of both together at most `MEDIAN_ROWS` rows, evenly spread, are looked at.
    """
    from scipy.spatial.distance import pdist

    pool = np.concatenate([x, y])
    spread = np.linspace(0, len(pool) - 1, min(len(pool), MEDIAN_ROWS)).astype(np.int64)
    distances = pdist(pool[spread].astype(np.float64))
    distances = distances[distances > 0]
    return float(np.median(distances)) if len(distances) else 1.0


def mmd2_unbiased(x: Rows, y: Rows, kernel: Kernel) -> float:
    """MMD², the unbiased form (Gretton et al., 2012, equation 3).

    Args:
        x: floating (N, F), two rows or more.
        y: floating (M, F), two rows or more.
        kernel: for example `polynomial_kernel`, for the kernel distance.

    Raises:
        InputError: a sample has fewer than two rows, or the widths differ.
    """
    _require_rows(x, y)
    between = sum(float(block.sum()) for _, block in _blocks(x, y, kernel)) / (len(x) * len(y))
    return mean_similarity(x, kernel) + mean_similarity(y, kernel) - 2.0 * between


def mean_similarity(x: Rows, kernel: Kernel) -> float:
    """The mean of a kernel over the pairs of different rows of one sample.

    Args:
        x: floating (N, F), two rows or more.
        kernel: as for `mmd2_unbiased`.
    """
    total = sum(float(block.sum() - np.trace(block, offset=start)) for start, block in _blocks(x, x, kernel))
    return total / (len(x) * (len(x) - 1))


def mmd2_resampled(x: Rows, y: Rows, kernel: Kernel, *, resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """MMD² of bootstrap resamples of both samples.

    Pairs of a row with its own copy are left out: they would add `k(x, x)` and push every resample upwards.

    Args:
        x: floating (N, F), two rows or more.
        y: floating (M, F), two rows or more.
        kernel: as for `mmd2_unbiased`.
        resamples: how many.
        seed: of the resamples.

    Returns:
        float64 (resamples,).

    Raises:
        InputError: as for `mmd2_unbiased`.
    """
    _require_rows(x, y)
    rng = np.random.default_rng(seed)
    first = np.zeros((len(x) + len(y), resamples))
    second = np.zeros_like(first)
    first[: len(x)] = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), size=resamples).T
    second[len(x) :] = rng.multinomial(len(y), np.full(len(y), 1 / len(y)), size=resamples).T
    return _weighted_mmd2(np.concatenate([x, y]), first, second, kernel)


def permutation_p(x: Rows, y: Rows, kernel: Kernel, *, permutations: int = 499, seed: int) -> float:
    """Probability of an MMD² at least this large if both samples came from one law.

    The rows are dealt anew into two samples of the same sizes; the observed dealing counts as one of them, so the
    value is never 0 (Phipson and Smyth, 2010, doi:10.2202/1544-6115.1585).

    Args:
        x: floating (N, F), two rows or more.
        y: floating (M, F), two rows or more.
        kernel: as for `mmd2_unbiased`.
        permutations: dealings beside the observed one.
        seed: of the dealings.

    Returns:
        From `1 / (permutations + 1)` to 1.

    Raises:
        InputError: as for `mmd2_unbiased`.
    """
    _require_rows(x, y)
    rng = np.random.default_rng(seed)
    observed = np.arange(len(x) + len(y)) < len(x)
    dealings = np.stack([observed, *(rng.permutation(observed) for _ in range(permutations))], axis=1)
    first = dealings.astype(np.float64)
    values = _weighted_mmd2(np.concatenate([x, y]), first, 1.0 - first, kernel)
    # A dealing that equals the observed one may differ from it by rounding.
    return float((values >= values[0] - 1e-12).mean())


def _weighted_mmd2(
    pool: Rows, first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], kernel: Kernel
) -> npt.NDArray[np.float64]:
    """Unbiased MMD² of weighted samples of one pool of rows, many at once.

    Args:
        pool: floating (P, F).
        first: float64 (P, R), how often each row stands in the first sample.
        second: float64 (P, R), the same of the second sample; a row stands in one of the two.
        kernel: as for `mmd2_unbiased`.

    Returns:
        float64 (R,); where a sample has only copies of one row, NaN.
    """
    within_first, within_second, between = (np.zeros(first.shape[1]) for _ in range(3))
    for start, block in _blocks(pool, pool, kernel):
        rows = slice(start, start + len(block))
        np.fill_diagonal(block[:, rows], 0.0)
        to_first = block @ first
        within_first += (first[rows] * to_first).sum(axis=0)
        between += (second[rows] * to_first).sum(axis=0)
        within_second += (second[rows] * (block @ second)).sum(axis=0)
    pairs_first, pairs_second = (weights.sum(axis=0) ** 2 - (weights**2).sum(axis=0) for weights in (first, second))
    with np.errstate(invalid="ignore"):
        within = within_first / pairs_first + within_second / pairs_second
    result: npt.NDArray[np.float64] = within - 2.0 * between / (first.sum(axis=0) * second.sum(axis=0))
    return result


def _blocks(x: Rows, y: Rows, kernel: Kernel) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """The kernel matrix of `x` with `y` in blocks of rows, each with the index of its first row."""
    step = max(1, BLOCK // len(y))
    for start in range(0, len(x), step):
        yield start, kernel(x[start : start + step], y)


def _require_rows(x: Rows, y: Rows) -> None:
    if min(len(x), len(y)) < 2:
        raise InputError(f"a kernel distance needs two images or more on both sides, not {len(x)} and {len(y)}")
    if x.shape[1] != y.shape[1]:
        raise InputError(f"a kernel distance needs features of one width, not {x.shape[1]} and {y.shape[1]}")
