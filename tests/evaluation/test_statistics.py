"""Statistics: against scipy, worked examples, and studies whose truth is known because they were simulated."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gtl_core.evaluation.scores import image_weights
from gtl_core.evaluation.statistics import (
    Estimate,
    detectable_difference,
    holm,
    mcnemar_exact,
    two_level_bootstrap,
    two_level_paired_bootstrap,
)


def simulated(rng: np.random.Generator, draws: int, images: int, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Two arms of a study: images differ in difficulty, and each arm in luck with draws and in tastes for images."""
    difficulty = rng.normal(2.5, 1.5, images)

    def arm(shift: float) -> np.ndarray:
        logit = difficulty + shift + rng.normal(0, 0.4, (draws, 1)) + rng.normal(0, 0.4, images)
        return rng.random((draws, images)) < 1 / (1 + np.exp(-logit))

    return arm(gain), arm(0.0)


@pytest.mark.parametrize("balanced", [False, True])
def test_intervals_of_few_draws_cover_a_true_difference_of_zero_about_as_often_as_they_say(balanced: bool):
    rng = np.random.default_rng(1)
    labels = np.arange(200) % 5
    weights = image_weights(labels, "balanced_accuracy" if balanced else "accuracy")
    covered = 0
    for study in range(300):
        estimate = two_level_paired_bootstrap(
            *simulated(rng, 5, 200, 0.0), weights, labels if balanced else None, resamples=200, seed=study
        )
        covered += estimate.low <= 0 <= estimate.high
    # 95 % of 300, give or take three standard errors below, and somewhat too careful above.
    assert 0.91 <= covered / 300 <= 0.995


def test_a_big_true_gain_is_found_and_its_interval_lies_above_zero():
    weights = np.full(400, 1 / 400)
    estimate = two_level_paired_bootstrap(
        *simulated(np.random.default_rng(0), 6, 400, 2.0), weights, None, resamples=400, seed=0
    )
    assert estimate.low > 0
    assert estimate.p < 0.05


def test_with_test_images_that_all_say_the_same_the_interval_is_the_t_interval_over_draws():
    of_draws = np.array([0.01, 0.03, 0.02, 0.05, -0.01])
    outcomes = np.repeat(of_draws[:, None], 50, axis=1)
    estimate = two_level_bootstrap(outcomes, np.full(50, 1 / 50), None, resamples=4000, seed=0, bounds=(-1.0, 1.0))
    low, high = stats.t.interval(0.95, 4, of_draws.mean(), stats.sem(of_draws))
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-9)
    assert estimate.p == pytest.approx(stats.ttest_1samp(of_draws, 0).pvalue)


def test_with_draws_that_all_say_the_same_the_error_is_that_of_the_test_images():
    hits = np.random.default_rng(0).random(500) < 0.8
    outcomes = np.tile(hits.astype(float), (4, 1))
    estimate = two_level_bootstrap(outcomes, np.full(500, 1 / 500), None, resamples=4000, seed=0, bounds=(0.0, 1.0))
    assert estimate.error == pytest.approx(stats.sem(hits), rel=0.05)


@given(st.integers(0, 2**32 - 1))
def test_exchanging_the_arms_turns_the_interval_round(seed: int):
    rng = np.random.default_rng(seed)
    first, second = rng.random((3, 40)) < 0.8, rng.random((3, 40)) < 0.6
    weights = np.full(40, 1 / 40)
    there = two_level_paired_bootstrap(first, second, weights, None, resamples=50, seed=seed)
    back = two_level_paired_bootstrap(second, first, weights, None, resamples=50, seed=seed)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-12)
    assert there.low <= there.value <= there.high
    assert (there.p < 0.05) == (not there.low <= 0 <= there.high)


def test_two_arms_that_agree_everywhere_differ_by_nothing_and_claim_no_sharp_study():
    hits = np.random.default_rng(0).random((3, 100)) < 0.9
    estimate = two_level_paired_bootstrap(hits, hits, np.full(100, 0.01), None, resamples=50, seed=0)
    assert (estimate.value, estimate.low, estimate.high, estimate.p) == (0.0, 0.0, 0.0, 1.0)
    assert detectable_difference(estimate, 100) > 0.01


def test_one_draw_gives_no_interval_over_draws():
    with pytest.raises(ValueError, match="two draws"):
        two_level_bootstrap(np.zeros((1, 5)), np.full(5, 0.2), None, resamples=10, seed=0, bounds=(0.0, 1.0))


def test_mcnemar_is_the_exact_binomial_test_of_a_worked_example():
    # Fifteen images that only the first recognises and five that only the second does.
    first = np.array([True] * 15 + [False] * 5 + [True] * 80)
    second = np.array([False] * 15 + [True] * 5 + [True] * 80)
    assert mcnemar_exact(first, second) == pytest.approx(0.0413895, abs=1e-7)
    assert mcnemar_exact(first, second) == mcnemar_exact(second, first)
    assert mcnemar_exact(first, first) == 1.0


def test_holm_gives_the_values_of_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_never_makes_a_p_value_smaller(p_values: list[float]):
    adjusted = holm(p_values)
    assert all(p <= q <= 1.0 for p, q in zip(p_values, adjusted, strict=True))
    in_order = [q for _, q in sorted(zip(p_values, adjusted, strict=True))]
    assert all(left <= right for left, right in pairwise(in_order))


def test_a_difference_of_the_detectable_size_is_found_in_four_of_five_studies():
    error, freedom = 0.01, 1000.0
    detectable = detectable_difference(Estimate(0.0, 0.0, 0.0, error, freedom, 1.0), images=10_000)
    found = stats.norm.sf(1.96 - detectable / error)
    assert found == pytest.approx(0.8, abs=0.005)
