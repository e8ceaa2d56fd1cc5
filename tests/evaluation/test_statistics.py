"""Statistics: against scipy, worked examples, and studies whose truth is known because they were simulated."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.coverage import WORLDS, Coverage, Design, designs, measure
from gtl_core.evaluation.scores import image_weights
from gtl_core.evaluation.statistics import (
    Estimate,
    Parts,
    detectable_difference,
    holm,
    mcnemar_exact,
    needed_draws,
    needed_images,
    two_level_bootstrap,
    two_level_paired_bootstrap,
)


def few(studies: int, **design: int) -> list[tuple[Design, Coverage]]:
    """Coverage of every kind of study of the benchmark, of some size."""
    found = designs([design["draws"]], [design["images"]], [design["seeds"]])
    return [(one, measure(one, studies)) for one in found]


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # 95 % of 200, give or take three standard errors and more, and somewhat too careful above.
    for design, found in few(200, draws=5, images=300, seeds=2):
        assert 0.90 <= found.covered <= 0.995, design
        assert design.gain or found.helps <= 0.06, design


def test_intervals_of_two_draws_hold_the_truth_in_nine_of_ten_studies():
    for design, found in few(100, draws=2, images=300, seeds=1):
        assert found.covered >= 0.90, design


@pytest.mark.study
@pytest.mark.parametrize("draws", [3, 5, 10])
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("images", [300, 800, 2007])
def test_intervals_of_a_thousand_studies_cover_93_to_97_per_cent(draws: int, seeds: int, images: int):
    found = few(1000, draws=draws, images=images, seeds=seeds)
    assert 0.93 <= np.mean([coverage.covered for _, coverage in found]) <= 0.97
    for design, coverage in found:
        # A thousand studies of one kind leave one and a half points to chance.
        assert 0.915 <= coverage.covered <= 0.985, design
        assert design.gain or coverage.helps <= 0.05, design


def test_a_big_true_gain_is_found_and_its_interval_lies_above_zero():
    weights = np.full(400, 1 / 400)
    estimate = two_level_paired_bootstrap(
        *Design(WORLDS[1], 6, 400, 1, "accuracy", 4.0).study(np.random.default_rng(0)),
        weights,
        None,
        resamples=400,
        seed=0,
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


@pytest.mark.parametrize(("draws", "images"), [(2, 27), (5, 27), (3, 2007)])
def test_a_score_that_no_image_lowers_is_known_to_no_less_than_one_image(draws: int, images: int):
    weights = np.full(images, 1 / images)
    for hits in (np.ones((draws, images)), np.zeros((draws, images))):
        found = two_level_bootstrap(hits, weights, None, resamples=200, seed=0, bounds=(0.0, 1.0))
        assert found.error == pytest.approx(1 / images)
        assert found.high - found.low == pytest.approx(stats.t.ppf(0.975, images - 1) / images, rel=1e-6)
        assert found.low <= hits.mean() <= found.high
    once = np.ones((draws, images))
    once[0, 0] = 0.0
    nearly = two_level_bootstrap(once, weights, None, resamples=200, seed=0, bounds=(0.0, 1.0))
    assert nearly.error >= (1 - 1e-9) / images


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
    detectable = detectable_difference(
        Estimate(0.0, 0.0, 0.0, error, freedom, 1.0, Parts(0.0, error**2, 0.0)), images=10_000
    )
    found = stats.norm.sf(1.96 - detectable / error)
    assert found == pytest.approx(0.8, abs=0.005)


def spread(rng: np.random.Generator, draws: int, images: int) -> np.ndarray:
    """Differences of two arms whose parts of the squared error are known, for the draws and images of a study."""
    of_draws = rng.normal(0, 0.02, (draws, 1))
    of_images = rng.normal(0, 0.5, images)
    return of_draws + of_images + rng.normal(0, 0.3, (draws, images))


def test_the_parts_of_the_error_are_those_that_the_outcomes_were_made_of():
    rng = np.random.default_rng(0)
    draws, images = 8, 500
    parts = [
        two_level_bootstrap(
            spread(rng, draws, images), np.full(images, 1 / images), None, resamples=400, seed=0, bounds=(-9.0, 9.0)
        ).parts
        for _ in range(60)
    ]
    assert np.mean([part.draws for part in parts]) == pytest.approx(0.02**2 / draws, rel=0.25)
    assert np.mean([part.images for part in parts]) == pytest.approx(0.5**2 / images, rel=0.1)
    assert np.mean([part.both for part in parts]) == pytest.approx(0.3**2 / (draws * images), rel=0.15)


def test_with_the_needed_number_of_draws_or_images_the_study_can_show_the_difference():
    parts, draws, images, difference = Parts(2e-5, 1e-5, 2e-5), 5, 800, 0.01

    def detectable(parts: Parts, draws: int, images: int) -> float:
        variance = parts.draws + parts.images + parts.both
        found = Estimate(0.0, 0.0, 0.0, variance**0.5, draws - 1.0, 1.0, parts)
        return detectable_difference(found, images)

    assert detectable(parts, draws, images) > difference
    more = needed_draws(parts, draws, images, difference)
    assert more is not None
    assert more > draws
    shrunk = Parts(parts.draws * draws / more, parts.images, parts.both * draws / more)
    # With many draws the normal distribution is near; with the degrees of freedom of the draws alone it is a bound.
    assert (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * sum(vars(shrunk).values()) ** 0.5 <= difference
    assert needed_draws(parts, draws, images, difference / 2) is None
    assert needed_draws(Parts(0.0, 0.0, 2e-5), draws, images, difference / 2) is not None


def test_the_needed_numbers_are_never_fewer_than_the_study_had():
    # Few images hide what the draws do to the degrees of freedom, so that fewer of them would seem to show more.
    mostly_draws = Parts(4.5e-4, 6e-5, 0.0)
    images = needed_images(mostly_draws, 2, 800, 0.12)
    assert images is None or images >= 800
    assert needed_draws(Parts(0.0, 1e-6, 1e-6), 5, 800, 0.5) == 5


def test_where_the_draws_make_the_error_more_images_are_no_help():
    assert needed_images(Parts(1e-4, 1e-5, 1e-5), 3, 300, 0.01) is None
    enough = needed_images(Parts(0.0, 1e-4, 0.0), 3, 300, 0.01)
    # Four times as sharp an error needs sixteen times the images; here (1.96 + 0.84) · 0.01 / 0.01 squared.
    assert enough == pytest.approx(300 * 2.8016**2, rel=0.03)
    assert needed_images(Parts(0.0, 1e-4, 0.0), 3, 300, 0.0) is None


def test_the_error_of_a_class_of_few_images_is_not_too_small():
    hits, classes = np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0]), np.array([0, 0, 0, 1, 1, 1, 1])
    weights = image_weights(classes, "balanced_accuracy")
    estimate = two_level_bootstrap(np.tile(hits, (3, 1)), weights, classes, resamples=20_000, seed=0, bounds=(0.0, 1.0))
    expected = 0.5 * np.sqrt(stats.sem(hits[:3]) ** 2 + stats.sem(hits[3:]) ** 2)
    assert estimate.error == pytest.approx(expected, rel=0.02)
