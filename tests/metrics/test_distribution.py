"""All distances at once: beside floor and ceiling, by class, over draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gtl_core.errors import InputError
from gtl_core.metrics.distribution import METRICS, Halves, compare, per_class, summary

LOWER = [metric.name for metric in METRICS if metric.better == "lower"]
HIGHER = [metric.name for metric in METRICS if metric.better == "higher"]


def cloud(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, 8)) + shift).astype(np.float32)


def test_every_metric_has_a_value_and_they_agree_on_which_of_two_sets_is_nearer() -> None:
    real = cloud(300, 0)
    near, far = compare(real, cloud(300, 1, 0.1), 0), compare(real, cloud(300, 1, 2.0), 0)
    assert list(near) == [metric.name for metric in METRICS]
    assert all(near[name] < far[name] for name in LOWER)
    assert all(near[name] > far[name] for name in HIGHER)


def test_a_set_of_the_same_law_stands_at_the_floor_because_as_many_images_are_compared() -> None:
    studies = [(Halves.of(cloud(400, seed), 2500, seed), cloud(2000, 100 + seed)) for seed in range(12)]
    assert {(len(halves.first), len(halves.second)) for halves, _ in studies} == {(200, 200)}
    floor, same = (
        {name: np.mean([values[name] for values in table]) for name in table[0]}
        for table in ([halves.floor() for halves, _ in studies], [halves.against(other) for halves, other in studies])
    )
    assert same["frechet"] == pytest.approx(floor["frechet"], rel=0.15)
    assert same["coverage"] == pytest.approx(floor["coverage"], abs=0.02)
    assert abs(same["kernel"]) < 0.01
    # With all 2,000 images the biased Fréchet distance is far less than between the halves.
    unequal = np.mean([compare(halves.first, other, 0)["frechet"] for halves, other in studies])
    assert unequal < 0.75 * floor["frechet"]


def test_halves_share_no_image_and_too_few_images_make_none() -> None:
    real = cloud(101, 0)
    halves = Halves.of(real, 30, 0)
    assert len(np.unique(np.concatenate([halves.first, halves.second]), axis=0)) == 60
    with pytest.raises(InputError, match="two halves of more than 5 images"):
        Halves.of(real[:11], 2500, 0)
    with pytest.raises(InputError, match="30 images are needed"):
        halves.against(cloud(29, 1))


def test_classes_are_compared_by_themselves_and_one_without_real_images_is_named() -> None:
    real, labels = cloud(150, 0), np.repeat([0, 1, 2], [70, 78, 2])
    synthetic, made = cloud(180, 1), np.repeat([0, 1, 2], 60)
    synthetic[made == 1] += 5
    values, missing = per_class(real, labels, synthetic, made, ("good", "bad", "rare"), 0)
    assert values["good"]["frechet"] < values["bad"]["frechet"]
    assert list(missing) == ["rare"]
    assert missing["rare"].startswith("2 real and 60 synthetic images")


def test_the_interval_over_draws_is_student_s_and_stays_within_what_is_possible() -> None:
    draws = [dict.fromkeys((metric.name for metric in METRICS), value) for value in (0.97, 0.99, 1.0)]
    found = summary(draws)
    low, high = stats.t.interval(0.95, 2, loc=np.mean([0.97, 0.99, 1.0]), scale=stats.sem([0.97, 0.99, 1.0]))
    assert (found["frechet"]["low"], found["frechet"]["high"]) == pytest.approx((low, high))
    assert (found["coverage"]["low"], found["coverage"]["high"]) == pytest.approx((low, 1.0))
    assert found["coverage"]["draws"] == [0.97, 0.99, 1.0]
    assert (summary(draws[:1])["kernel"]["low"], summary(draws[:1])["kernel"]["high"]) == (None, None)


def test_a_constant_feature_does_no_harm() -> None:
    real, synthetic = cloud(100, 0), cloud(100, 1)
    real[:, 2] = synthetic[:, 2] = 3.0
    assert all(np.isfinite(value) for value in compare(real, synthetic, 0).values())
