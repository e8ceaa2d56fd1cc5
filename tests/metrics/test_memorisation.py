"""The screen for memorisation: one that copies is found, one that draws afresh from the same law is clear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from gtl_core.errors import InputError
from gtl_core.metrics.memorisation import (
    Memorised,
    Seen,
    auc,
    bootstrap_auc,
    c_t,
    count_exact_copies,
    count_near_copies,
    fresh_share,
    memorised,
    rank,
    true_positives,
)
from gtl_core.metrics.screening import Screening, screening, wilson_low

WIDTH = 12


def law(count: int, rng: np.random.Generator) -> np.ndarray:
    """Images of one law, as features: three clusters."""
    return (rng.normal(size=(count, WIDTH)) + 3 * rng.integers(3, size=(count, 1))).astype(np.float32)


def seen_by(share: float, seed: int, train: int = 60, held_out: int = 500, noise: float = 0.05) -> Seen:
    """What a generator drew that copies a share of the time, with a little noise, and else draws from the law."""
    rng = np.random.default_rng(seed)
    known, others, made = law(train, rng), law(held_out, rng), law(400, rng)
    copies = int(share * len(made))
    made[:copies] = known[rng.integers(train, size=copies)] + noise * rng.normal(size=(copies, WIDTH))
    return Seen(synthetic=made, train=known, held_out=others, carried=known[:0])


def draws_of(share: float, seeds: range) -> list[Memorised]:
    return [memorised(seen_by(share, seed), 0, seed) for seed in seeds]


def test_a_generator_that_copies_its_training_images_is_found_by_every_number() -> None:
    found = screening(draws_of(1.0, range(3)))
    assert found.screen == "copies"
    assert "near copies of training images" in found.sentence
    assert found.sentence.endswith("This is a screen, not a guarantee.")
    assert found.distance_ratio < 0.2
    assert found.authenticity < 0.05 < found.authenticity_held_out
    assert found.c_t is not None
    assert found.c_t < -10
    assert found.membership_low > 0.95
    assert found.tpr_at_1_fpr > 0.9
    assert found.near_copies > 0.95 * found.synthetic


def test_one_that_copies_a_fifth_of_the_time_is_found_too() -> None:
    assert screening(draws_of(0.2, range(3))).screen == "copies"


def test_one_that_draws_afresh_from_the_same_law_is_clear() -> None:
    found = screening(draws_of(0.0, range(3)))
    assert found.screen == "clear"
    assert found.distance_ratio == pytest.approx(1.0, abs=0.05)
    assert found.membership_low < 0.5 < found.membership_high
    assert abs(found.c_t or 0.0) < 3
    assert found.authenticity == pytest.approx(found.authenticity_held_out, abs=0.08)
    assert found.near_copies / found.synthetic < 0.03


def test_of_many_that_draw_afresh_hardly_any_is_looked_at_and_none_is_said_to_copy() -> None:
    screens = [screening([memorised(seen_by(0.0, seed, held_out=200), 0, seed)]).screen for seed in range(40)]
    assert "copies" not in screens
    assert screens.count("look") <= 6


def screened(clear: Memorised, held_out: int, draws: int, share: float, rng: np.random.Generator) -> Screening:
    """What is said of a study with so many held-out images, the same in all draws, whose distances are uniform."""
    line, found = rng.random(held_out), []
    for _ in range(draws):
        made = np.concatenate([np.zeros(int(share * 400)), rng.random(400 - int(share * 400))])
        near = count_near_copies(made, line)
        samples = np.full(9, 0.5)
        found.append(replace(clear, c_t=0.0, auc_samples=samples, near_copies=near, synthetic=400, held_out=held_out))
    return screening(found)


@pytest.mark.parametrize("draws", [1, 5])
@pytest.mark.parametrize("held_out", [10, 20, 50, 100])
def test_with_few_held_out_images_fresh_ones_are_hardly_ever_near_copies_and_copies_are_found(
    held_out: int, draws: int
) -> None:
    rng, clear = np.random.default_rng(held_out), memorised(seen_by(0.0, 0), 0, 0)
    screens = [screened(clear, held_out, draws, 0.0, rng).screen for _ in range(400)]
    # One and four of a hundred, and what 400 studies leave to chance.
    assert screens.count("copies") <= 0.015 * 400
    assert screens.count("look") + screens.count("copies") <= 0.04 * 400
    assert {screened(clear, held_out, draws, 0.5, rng).screen for _ in range(50)} == {"copies"}


@pytest.mark.parametrize("held_out", [1, 10, 99, 500])
def test_the_share_of_fresh_images_that_count_as_near_copies_is_as_often_below_its_bound_as_it_says(
    held_out: int,
) -> None:
    lines = np.sort(np.random.default_rng(0).random((4000, held_out)), axis=1)[:, rank(held_out) - 1]
    for chance in (0.5, 0.95):
        assert (lines <= fresh_share(held_out, chance)).mean() == pytest.approx(chance, abs=0.02)


def test_with_few_held_out_images_hardly_any_that_draws_afresh_is_looked_at_for_any_reason() -> None:
    screens = []
    for study in range(40):
        # The draws of a study have their own training images and the same held-out ones.
        held_out = law(20, np.random.default_rng([study, 9]))
        seen = (replace(seen_by(0.0, 100 * study + draw), held_out=held_out) for draw in range(4))
        screens.append(screening([memorised(images, 0, study) for images in seen]).screen)
    assert screens.count("copies") <= 2
    assert screens.count("look") <= 4


def test_that_copies_are_no_more_than_of_fresh_images_is_said_only_where_it_is_so() -> None:
    clear = memorised(seen_by(0.0, 0), 0, 0)
    few, some = (screening([replace(clear, near_copies=near, held_out=50)]) for near in (4, 24))
    assert few.screen == some.screen == "clear"
    assert "(1.0 %) are near copies of training images, no more than of fresh real images." in few.sentence
    assert "no more than" not in some.sentence
    assert "(6.0 %)" in some.sentence
    assert "of fresh real images about 2 % are, but with 50 held-out images less than 7 % says nothing" in some.sentence


def test_an_unlabelled_pool_larger_than_the_held_out_part_is_measured_by_as_many_of_each() -> None:
    clear = memorised(seen_by(0.0, 0, train=800, held_out=100), 0, 0)
    assert clear.distance_ratio == pytest.approx(1.0, abs=0.05)
    assert screening([clear]).screen == "clear"
    assert screening([memorised(seen_by(1.0, 0, train=800, held_out=100), 0, 0)]).screen == "copies"


def test_where_labels_are_known_the_images_compared_are_of_the_same_classes() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(300, WIDTH)), rng.normal(size=(300, WIDTH)) + 40
    seen = Seen(
        synthetic=np.concatenate([first[:100], second[:100]]),
        train=np.concatenate([first[100:110], second[100:110]]),
        # Nine of ten held-out images are of the second class: without labels the first would seem to be copied.
        held_out=np.concatenate([first[110:120], second[110:200]]),
        carried=first[:0],
        train_labels=np.repeat([0, 1], 10),
        held_out_labels=np.repeat([0, 1], [10, 90]),
    )
    found = memorised(seen, 0, 0)
    assert found.distance_ratio == pytest.approx(1.0, abs=0.1)
    assert len(found.distances_train) == len(found.distances_held_out) == 200


def test_what_a_generator_carries_counts_as_known_for_copies() -> None:
    rng = np.random.default_rng(0)
    source = law(200, rng) + 30
    seen = replace(seen_by(0.0, 1), synthetic=source[:100] + np.float32(0.01), carried=source)
    assert memorised(seen, 0, 0).near_copies == 100
    assert memorised(replace(seen, carried=source[:0]), 0, 0).near_copies == 0


def test_one_image_with_just_the_pixels_of_a_training_image_is_a_copy_whatever_the_features_say() -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(0, 256, (5, 1, 4, 4), dtype=np.uint8)
    made = rng.integers(0, 256, (40, 1, 4, 4), dtype=np.uint8)
    assert count_exact_copies(made, train) == 0
    made[7] = train[2]
    assert count_exact_copies(made, train, made[:0]) == 1
    found = screening([memorised(seen_by(0.0, 0), 1, 0)])
    assert found.screen == "copies"
    assert "just the pixels" in found.sentence


def test_the_area_under_the_curve_is_that_of_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(0)
    members, others = rng.integers(0, 9, 40) + 1.0, rng.integers(0, 9, 70) * 1.0
    truth = np.repeat([1, 0], [40, 70])
    assert auc(members, others) == pytest.approx(roc_auc_score(truth, np.concatenate([members, others])))


def test_the_bootstrap_of_the_area_has_the_deviation_of_hanley_and_mcneil() -> None:
    rng = np.random.default_rng(1)
    members, others = rng.normal(size=80) + 1.0, rng.normal(size=200)
    samples = bootstrap_auc(members, others, 0)
    area = auc(members, others)
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + 79 * (one - area**2) + 199 * (two - area**2)) / (80 * 200)
    assert samples.mean() == pytest.approx(area, abs=0.01)
    assert samples.std() == pytest.approx(np.sqrt(variance), rel=0.15)


def test_true_positives_are_counted_above_what_one_in_a_hundred_others_pass() -> None:
    others = np.arange(200.0)
    assert true_positives(np.array([198.5, 197.5, 197.0, 0.0]), others) == 0.5
    # With fewer than a hundred others none may pass.
    assert true_positives(np.array([49.5, 48.5]), np.arange(50.0)) == 0.5


def test_in_one_cell_the_c_t_statistic_is_the_mann_whitney_test() -> None:
    rng = np.random.default_rng(2)
    train, made, held = (rng.normal(size=(count, WIDTH)) for count in (20, 150, 90))
    own, other = rng.normal(size=150).astype(np.float32), (rng.normal(size=90) + 0.4).astype(np.float32)
    statistic = c_t(made, train, held, own, other, 0)
    p = mannwhitneyu(own, other, use_continuity=False, method="asymptotic", alternative="less").pvalue
    from scipy.stats import norm

    assert statistic == pytest.approx(norm.ppf(p), rel=1e-6)
    assert c_t(made, train, held, np.ones(150, np.float32), np.ones(90, np.float32), 0) == 0.0


def test_wilson_s_lower_end_is_that_of_his_formula() -> None:
    # z² = 3.8415: (p + z²/2n − z √(p(1−p)/n + z²/4n²)) / (1 + z²/n) with p = 0.1, n = 100.
    assert wilson_low(10, 100) == pytest.approx(0.0552, abs=1e-4)


def test_without_held_out_images_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(InputError, match="one held-out"):
        memorised(replace(seen_by(0.0, 0), held_out=np.empty((0, WIDTH), np.float32)), 0, 0)
