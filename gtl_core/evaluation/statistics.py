"""Paired statistics of studies that are repeated over few-shot draws, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_CHUNK = 64
"""Resamples made at once, so that memory stays small for big test parts."""


@dataclass(frozen=True)
class Estimate:
    """A mean over draws and test images, with its uncertainty.

    Attributes:
        value: the estimate itself.
        low: lower end of the 95 % interval.
        high: upper end.
        error: standard error, from the bootstrap.
        freedom: degrees of freedom of `error`: near draws − 1 where the draws differ much, larger where the test
            images make most of the uncertainty.
        p: two-sided p-value of the value being zero; the interval leaves zero out exactly where p < 0.05.
    """

    value: float
    low: float
    high: float
    error: float
    freedom: float
    p: float


def two_level_bootstrap(
    outcomes: np.ndarray,
    weights: np.ndarray,
    strata: np.ndarray | None,
    *,
    resamples: int,
    seed: int,
    bounds: tuple[float, float],
) -> Estimate:
    """Estimate of a weighted mean when both the draws and the test images are samples.

    Both levels are resampled with replacement and independently, which keeps the test images that all draws share
    together (the pigeonhole bootstrap: Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007).
    Two corrections make 95 % intervals cover 95 % with as few draws as users can pay for. Percentiles over five
    draws are much too narrow (Hesterberg, "What teachers should know about the bootstrap", American Statistician
    69, 2015, section 4), so the interval is value ± t · error, with the draws' variance multiplied by D / (D − 1)
    and t of Satterthwaite's degrees of freedom. And resampling both levels counts the draw × image interaction
    three times (Owen, theorem 2), which would make intervals much too wide, so two of them are taken off.

    Args:
        outcomes: float (D, N), one row a draw and one column a test image: 0 or 1 for one classifier, or the
            difference of two, −1 to 1, for paired classifiers.
        weights: float (N,), what each image counts; summing to 1.
        strata: int (N,), classes within which the images are resampled, or None to resample them all together.
            A metric that gives each class its own weight needs strata.
        resamples: number of bootstrap resamples.
        seed: of the resampling.
        bounds: values that the interval cannot leave.

    Raises:
        ValueError: fewer than two draws, or shapes that do not agree.
    """
    draws, images = outcomes.shape
    if draws < 2:
        raise ValueError("an interval over draws needs two draws at least")
    if weights.shape != (images,) or (strata is not None and strata.shape != (images,)):
        raise ValueError(f"expected weights and strata of {images} images")
    rng = np.random.default_rng([seed, draws, images])
    weighted = outcomes * weights
    of_draws = weighted.sum(axis=1)
    value = float(of_draws.mean())
    both = np.empty(resamples)
    images_alone = np.empty(resamples)
    for start in range(0, resamples, _CHUNK):
        count = min(_CHUNK, resamples - start)
        image_counts = _resampled_counts(rng, strata, images, count)
        draw_shares = rng.multinomial(draws, np.full(draws, 1.0 / draws), size=count) / draws
        per_draw = image_counts @ weighted.T
        images_alone[start : start + count] = per_draw.mean(axis=1)
        both[start : start + count] = (per_draw * draw_shares).sum(axis=1)
    image_variance = float(images_alone.var(ddof=1))
    # Resampling D draws alone gives a mean the variance var(ddof=0) / D exactly; var(ddof=1) / D is unbiased.
    resampled_draw_variance = float(of_draws.var()) / draws
    draw_variance = resampled_draw_variance * draws / (draws - 1)
    interaction = max(float(both.var(ddof=1)) - image_variance - resampled_draw_variance, 0.0)
    # Either level's variance holds the interaction once, and their sum holds it twice.
    variance = max(image_variance + draw_variance - interaction * draws / (draws - 1), image_variance, draw_variance)
    error = float(np.sqrt(variance))
    freedom = _satterthwaite(variance, (draw_variance, draws - 1), (image_variance, images - 1))
    from scipy.stats import t as student

    if error == 0.0:
        return Estimate(value, value, value, 0.0, freedom, 1.0 if value == 0.0 else 0.0)
    reach = float(student.ppf(0.975, freedom)) * error
    p = float(2.0 * student.sf(abs(value) / error, freedom))
    low, high = (float(np.clip(end, *bounds)) for end in (value - reach, value + reach))
    return Estimate(value, low, high, error, freedom, p)


def two_level_paired_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    weights: np.ndarray,
    strata: np.ndarray | None,
    *,
    resamples: int,
    seed: int,
) -> Estimate:
    """Difference `first` − `second` of two arms that were trained on the same draws and seen on the same images.

    Args:
        first: bool (D, N), whether the first arm recognised the image, one row a draw.
        second: bool (D, N), the same for the second arm.
        weights: as for `two_level_bootstrap`.
        strata: as for `two_level_bootstrap`.
        resamples: as for `two_level_bootstrap`.
        seed: as for `two_level_bootstrap`.
    """
    differences = first.astype(np.float64) - second.astype(np.float64)
    return two_level_bootstrap(differences, weights, strata, resamples=resamples, seed=seed, bounds=(-1.0, 1.0))


def _resampled_counts(rng: np.random.Generator, strata: np.ndarray | None, images: int, count: int) -> np.ndarray:
    """How often each image was drawn in each of `count` resamples: float64 (count, images)."""
    groups = [np.arange(images)] if strata is None else [np.flatnonzero(strata == s) for s in np.unique(strata)]
    counts = np.empty((count, images))
    for members in groups:
        picks = rng.integers(len(members), size=(count, len(members))) + len(members) * np.arange(count)[:, None]
        counts[:, members] = np.bincount(picks.ravel(), minlength=count * len(members)).reshape(count, -1)
    return counts


def _satterthwaite(total: float, *parts: tuple[float, int]) -> float:
    """Degrees of freedom of a variance made from others, each given with its own (Satterthwaite 1946)."""
    spread = sum(variance**2 / freedom for variance, freedom in parts if freedom > 0)
    smallest = float(min(freedom for _, freedom in parts if freedom > 0))
    return max(total**2 / spread, smallest) if spread > 0 else smallest


def mcnemar_exact(first: np.ndarray, second: np.ndarray) -> float:
    """Two-sided p-value of McNemar's exact test for one fitted pair of classifiers.

    Of the images that just one of the two recognises, either side is as likely under the null hypothesis
    (McNemar, Psychometrika 12, 1947; exact binomial form). It speaks of these two fitted classifiers, and not of
    what other draws would give.

    Args:
        first: bool (N,), whether the first classifier recognised the image.
        second: bool (N,), the same for the second.
    """
    from scipy.stats import binomtest

    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(second & ~first))
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Scandinavian Journal of Statistics 6, 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def detectable_difference(estimate: Estimate, images: int, power: float = 0.8) -> float:
    """Smallest true difference that a study with this uncertainty finds with the given power at the 5 % level.

    That is (t(0.975) + t(power)) · error (Bloom, "Minimum detectable effects", Evaluation Review 19, 1995). The
    error is taken as at least that of one image in `images` on which the two arms differ, so that two arms that
    agreed everywhere do not claim an infinitely sharp study.
    """
    from scipy.stats import t as student

    factor = float(student.ppf(0.975, estimate.freedom) + student.ppf(power, estimate.freedom))
    return min(1.0, factor * max(estimate.error, 1.0 / images))
