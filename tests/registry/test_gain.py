"""The interval of one model's gain over another on the same test images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtl_core.config import Metric
from gtl_core.evaluation.scores import image_weights
from gtl_core.registry.gain import Gain, paired_gain

ALONE = np.full(400, "")


def gain(
    first: list[int],
    second: list[int],
    labels: list[int] | None = None,
    groups: np.ndarray | None = None,
    metric: Metric = "accuracy",
    level: float = 0.95,
) -> Gain:
    """The gain of two models that recognised these images."""
    return paired_gain(
        np.array(first, bool),
        np.array(second, bool),
        np.array(labels or [0] * len(first)),
        ALONE[: len(first)] if groups is None else groups,
        metric,
        level,
    )


def test_the_interval_of_an_accuracy_is_that_of_bonett_and_price():
    # 161 images, recognised by both, by the first or the second alone, and by neither (Cavo et al. 2012, an example of
    # Fagerland, Lydersen and Laake 2014); the R package contingencytables gives −0.1195 to −0.0032.
    both, only_first, only_second, neither = 59, 6, 16, 80
    found = gain(
        [1] * both + [1] * only_first + [0] * only_second + [0] * neither,
        [1] * both + [0] * only_first + [1] * only_second + [0] * neither,
    )
    assert (round(found.value, 4), round(found.low, 4), round(found.high, 4)) == (-0.0621, -0.1195, -0.0032)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_any_level_can_be_asked_for(level: float):
    from scipy.stats import norm

    found = gain([1] * 30 + [0] * 10, [1] * 22 + [0] * 8 + [1] * 4 + [0] * 6, level=level)
    only_first, only_second = (8 + 1) / 42, (4 + 1) / 42
    centre = only_first - only_second
    reach = norm.ppf((1 + level) / 2) * np.sqrt((only_first + only_second - centre**2) / 42)
    assert (found.low, found.high) == (pytest.approx(centre - reach), pytest.approx(centre + reach))


def test_two_models_that_agree_on_few_images_may_still_differ_and_on_many_hardly():
    few, many = gain([1] * 20, [1] * 20), gain([1] * 400, [1] * 400)
    assert few.value == many.value == 0
    assert few.low == pytest.approx(-0.126, abs=1e-3)
    assert many.low == pytest.approx(-0.007, abs=1e-3)
    assert few.high == -few.low


def test_classes_of_one_size_make_balanced_accuracy_the_accuracy():
    rng = np.random.default_rng(0)
    first, second = (rng.random(200) < share for share in (0.9, 0.8))
    labels = np.arange(200) % 2
    balanced, plain = (
        paired_gain(first, second, labels, ALONE[:200], m, 0.95) for m in ("balanced_accuracy", "accuracy")
    )
    assert balanced.value == pytest.approx(plain.value)
    assert balanced.low == pytest.approx(plain.low, abs=2e-3)  # classes have means of their own


def test_a_rare_class_makes_the_interval_of_balanced_accuracy_wide():
    labels = [0] * 190 + [1] * 10
    first, second = [1] * 200, [1] * 195 + [0] * 5
    plain, balanced = gain(first, second, labels), gain(first, second, labels, metric="balanced_accuracy")
    assert (plain.value, balanced.value) == (pytest.approx(0.025), pytest.approx(0.25))
    assert balanced.high - balanced.low > 5 * (plain.high - plain.low)


def test_images_of_one_patient_count_for_less_than_as_many_of_many_patients():
    patients = np.repeat([f"patient {number}" for number in range(10)], 20)
    first, second = [1] * 200, [0] * 20 + [1] * 180  # all that is gained is gained on one patient
    assert gain(first, second).low > 0
    assert gain(first, second, groups=patients).low < 0


@pytest.mark.parametrize("names", [["device"] * 200, [f"image {number}" for number in range(200)]])
def test_one_group_of_all_images_and_a_group_an_image_say_nothing_of_likeness(names: list[str]):
    first, second = [1] * 150 + [0] * 50, [1] * 140 + [0] * 60
    assert gain(first, second, groups=np.array(names)) == gain(first, second)
    assert gain(first, second).units == 200


@given(
    first=st.lists(st.integers(0, 1), min_size=12, max_size=12),
    second=st.lists(st.integers(0, 1), min_size=12, max_size=12),
    labels=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    groups=st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=12, max_size=12),
    metric=st.sampled_from(["accuracy", "balanced_accuracy"]),
)
def test_the_gain_of_one_is_the_loss_of_the_other(
    first: list[int], second: list[int], labels: list[int], groups: list[str], metric: Metric
):
    one = gain(first, second, labels, np.array(groups), metric)
    other = gain(second, first, labels, np.array(groups), metric)
    assert one.value == pytest.approx(-other.value)
    assert (one.low, one.high) == (pytest.approx(-other.high), pytest.approx(-other.low))
    assert -1 <= one.low <= one.value + 1e-12
    assert one.value - 1e-12 <= one.high <= 1


@pytest.mark.parametrize(("groups", "alike"), [(0, 0.0), (40, 1.0)], ids=["alone", "groups"])
@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_lower_ends_lie_above_the_truth_in_few_of_a_thousand_studies(metric: Metric, groups: int, alike: float):
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(4), [40, 60, 100, 200])
    number = rng.permutation(400) % groups if groups else np.arange(400)
    names = np.array([f"group {n}" for n in number]) if groups else ALONE
    difference = np.array([0.02, 0.05, 0.04, 0.0])[labels]  # of the chances of two models on an image of each class
    truth = float(image_weights(labels, metric) @ difference)
    above = below = 0
    for _ in range(1000):
        # What a group is gained by moves chance from one model to the other, and is nothing over many groups.
        tilt = alike * rng.choice([-0.1, 0.1], len(np.unique(number)))[number]
        chance = rng.random(400)
        first = chance < 0.84 + difference / 2 + tilt / 2
        second = np.where(rng.random(400) < 0.5, chance, rng.random(400)) < 0.84 - difference / 2 - tilt / 2
        found = paired_gain(first, second, labels, names, metric, 0.95)
        above += found.low > truth
        below += found.high < truth
    assert above <= 35  # 25 are expected, 35 is two standard errors more
    assert below <= 45
    assert above + below >= 10  # intervals that always hold would be too wide
