"""Two-sample tests of drift: each with a p-value and with how big the difference is, because both must speak.

With enough images any difference becomes significant, and with few a big one may be chance. A test has drifted where
its p-value stays below `alpha` after Bonferroni's correction over all tests *and* its effect reaches a threshold. The
one threshold serves for all, because every effect is brought to the scale of the Kolmogorov–Smirnov distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gtl_core.metrics.kernel import (
    Rows,
    mean_similarity,
    median_bandwidth,
    mmd2_unbiased,
    permutation_p,
    rbf_kernel,
)

Numbers = npt.NDArray[np.floating]
"""One number an image: floating (N,)."""

MOST_ROWS = 500
"""Rows of a sample that the kernel test looks at; its work grows with their square."""
_RESOLUTION = 4
"""Times that the smallest p-value of the permutation test goes into the one that is asked for."""
_MOST_PERMUTATIONS = 4999


@dataclass(frozen=True)
class DriftTest:
    """One comparison of new images with the reference.

    Attributes:
        name: for programs: a property, `class/NAME`, or `features`.
        title: for people.
        p: p-value after Bonferroni's correction, at most 1.
        effect: how big the difference is, 0 to 1; see `kolmogorov_smirnov` and `kernel_effect`.
        threshold: effect from which a significant difference counts.
        drifted: whether it is both significant and as big as that.
        reference: median of the reference; None where the test is not of one number.
        now: median of the new images.
    """

    name: str
    title: str
    p: float
    effect: float
    threshold: float
    drifted: bool
    reference: float | None = None
    now: float | None = None


def kolmogorov_smirnov(reference: Numbers, now: Numbers) -> tuple[float, float]:
    """The two-sample Kolmogorov–Smirnov test: the p-value, by its limiting law, and the distance.

    The distance is the largest difference between the two cumulative distributions: 0 for equal ones, 1 where all
    values of one sample lie above those of the other. Ties only make the p-value larger.

    Args:
        reference: floating (N,).
        now: floating (M,).
    """
    from scipy.stats import ks_2samp

    found = ks_2samp(reference, now, method="asymp")
    return float(found.pvalue), float(found.statistic)


def kernel_test(reference: Rows, now: Rows, *, comparisons: int, alpha: float, seed: int) -> tuple[float, float]:
    """Maximum mean discrepancy by the Gaussian kernel: its permutation p-value, and its effect.

    Args:
        reference: floating (N, F), in random order; the first `MOST_ROWS` are looked at.
        now: floating (M, F), in random order, likewise.
        comparisons: how many tests share `alpha`: it says how small a p-value must be told apart.
        alpha: the chance of a false alarm over all of them.
        seed: of the permutations.
    """
    x, y = reference[:MOST_ROWS], now[:MOST_ROWS]
    permutations = min(math.ceil(_RESOLUTION * comparisons / alpha) - 1, _MOST_PERMUTATIONS)
    # The permutations hold for a kernel that does not know which row is of which sample. The size of the difference
    # is told in the unit of the reference's own spread, which does not grow with the difference.
    p = permutation_p(x, y, rbf_kernel(median_bandwidth(x, y)), permutations=permutations, seed=seed)
    return p, kernel_effect(x, y, median_bandwidth(x, x[:0]))


def kernel_effect(x: Rows, y: Rows, bandwidth: float) -> float:
    """The discrepancy as a share of the largest that it can be: `sqrt(MMD² / (E k(x, x') + E k(y, y')))`.

    0 where both samples come from one law, 1 where they have nothing in common. Between two normal samples of one
    number that are shifted against each other it is the Kolmogorov–Smirnov distance within 0.03, so that one threshold
    holds for both.

    Args:
        x: floating (N, F), two rows or more.
        y: floating (M, F), two rows or more.
        bandwidth: of the Gaussian kernel; the median distance between points of the reference.
    """
    kernel = rbf_kernel(bandwidth)
    most = mean_similarity(x, kernel) + mean_similarity(y, kernel)
    return math.sqrt(min(1.0, max(0.0, mmd2_unbiased(x, y, kernel)) / most)) if most > 0 else 1.0


def judged(
    name: str,
    title: str,
    found: tuple[float, float],
    *,
    comparisons: int,
    alpha: float,
    threshold: float,
    medians: tuple[Numbers, Numbers] | None = None,
) -> DriftTest:
    """A test with its p-value corrected, and whether it has drifted.

    Args:
        name: for programs.
        title: for people.
        found: p-value and effect.
        comparisons: how many tests there are in all.
        alpha: the chance of a false alarm over all of them.
        threshold: the smallest effect that counts.
        medians: the values of both samples, floating (N,) and (M,), where they are single numbers.
    """
    p, effect = min(1.0, comparisons * found[0]), found[1]
    reference, now = (float(np.median(values)) for values in medians) if medians else (None, None)
    return DriftTest(name, title, p, effect, threshold, p < alpha and effect >= threshold, reference, now)
