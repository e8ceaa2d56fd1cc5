"""The learning curve over label counts: how many real labels a GAN is worth, and when that cannot be told."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtl_core.config import Experiment
from gtl_core.evaluation.budgets import Budget, Worth, crossing, worth, worth_in_words, write_budgets
from gtl_core.evaluation.held_out import Predictions

GAN, PLAIN = "best_plus_gan/finetune", "joint"


def experiment(labelled: int = 5) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "small",
            "source": {"dataset": "a"},
            "target": {"dataset": "b", "labelled_per_class": labelled},
            "image": {"size": 16, "channels": 1},
            "transfer": {"strategies": ["finetune"]},
            "evaluation": {"draws": 4, "bootstrap": 200},
        }
    )


def budget(count: int, plain: float, gan: float, images: int = 4000, spread: float = 0.002) -> Budget:
    """A label count whose arms recognise these shares of the images, the same ones first."""
    labels = np.arange(images) % 4
    ease = np.random.default_rng(0).permutation(images) / images

    def said(share: float, stream: int) -> np.ndarray:
        luck = np.random.default_rng([count, stream]).normal(0, spread, (4, 1))
        predicted = np.where(ease < share + luck, labels, (labels + 1) % 4)
        return (0.1 + 0.6 * np.eye(4)[predicted]).astype(np.float16)[:, None]

    predictions = Predictions(labels, np.full(images, ""), {PLAIN: said(plain, 0), GAN: said(gan, 1)})
    rows = {arm: {"mean": predictions.hits(arm).mean(), "low": 0.0, "high": 1.0} for arm in (PLAIN, GAN)}
    verdict = {"label": "helps", "difference": gan - plain, "low": 0.0, "high": 0.1}
    return Budget(count, PLAIN, GAN, rows, verdict, predictions)


@given(st.floats(1.05, 9.5))
def test_a_curve_crosses_zero_where_its_line_over_the_logarithm_does(place: float):
    counts = [1, 10, 100]
    values = [math.log(place / count) for count in counts]
    assert crossing(counts, values) == pytest.approx(place)


def test_a_curve_that_does_not_reach_zero_crosses_it_beyond_what_was_measured():
    assert crossing([1, 3], [0.2, 0.1]) == math.inf
    assert crossing([1, 3], [-0.1, -0.2]) == -math.inf
    assert crossing([1, 3], [0.2, 0.0]) == 3
    assert crossing([1, 3, 9], [0.0, 0.0, -0.1]) <= 3


def test_a_gan_is_worth_the_labels_with_which_the_best_without_one_comes_as_far():
    curve = {1: 0.60, 3: 0.70, 10: 0.80, 30: 0.90}
    budgets = [budget(count, score, score + (0.10 if count == 3 else 0.0)) for count, score in curve.items()]
    found = worth(experiment(), budgets, 1)
    assert found.value == pytest.approx(7, abs=1.0)
    assert 0 < found.low < found.value < found.high
    assert worth_in_words(found, 30).startswith("With 3 labelled images a class, GAN images are worth ")
    nothing = worth(experiment(), budgets, 2)
    assert nothing.low < 0 < nothing.high
    assert "cannot be told" in worth_in_words(nothing, 30)


def test_a_gan_that_does_harm_is_worth_no_label():
    budgets = [budget(1, 0.6, 0.5), budget(3, 0.7, 0.65), budget(10, 0.8, 0.79)]
    found = worth(experiment(), budgets, 1)
    assert found.high < 0
    assert worth_in_words(found, 10).endswith("the best without a GAN does better with the same labels.")
    assert worth(experiment(), budgets, 0).high == -math.inf


def test_beyond_the_largest_count_the_worth_is_not_guessed():
    budgets = [budget(1, 0.6, 0.9), budget(3, 0.7, 0.9)]
    found = worth(experiment(), budgets, 0)
    assert (found.value, found.high) == (math.inf, math.inf)
    assert found.to_json() == {"labelled_per_class": 1, "value": None, "low": None, "high": None}
    assert "worth more than 2 more real labels a class" in worth_in_words(found, 3)


def test_a_dip_in_the_curve_by_chance_does_not_turn_it_round():
    budgets = [budget(1, 0.60, 0.6), budget(3, 0.75, 0.78), budget(10, 0.74, 0.7), budget(30, 0.9, 0.9)]
    found = worth(experiment(), budgets, 1)
    assert found.low <= found.value <= found.high
    assert 7 < found.value < 27


def test_the_interval_of_the_worth_holds_the_true_number_as_often_as_it_says():
    truth = {1: 0.60, 3: 0.70, 10: 0.80, 30: 0.90}
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(60):
        ease = rng.normal(0, 1, 600)
        labels = np.zeros(600, np.int64)

        def said(share: float, ease: np.ndarray = ease) -> np.ndarray:
            cut = 1.4 * float(np.sqrt(2)) * _quantile(share)
            luck = rng.normal(0, 0.05, (4, 1))
            right = 1.4 * ease + luck + rng.normal(0, 1.4, (4, 600)) < cut
            return np.where(right[..., None], [0.8, 0.2], [0.2, 0.8]).astype(np.float16)[:, None]

        budgets = [
            Budget(count, PLAIN, GAN, {}, {}, Predictions(labels, labels.astype(str), {PLAIN: said(s), GAN: said(0.8)}))
            for count, s in truth.items()
        ]
        found = worth(experiment(), budgets, 1)
        held += found.low <= 7 <= found.high
    assert held / 60 >= 0.87


def _quantile(share: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf(share))


def test_label_counts_with_other_test_parts_are_not_compared():
    with pytest.raises(ValueError, match="one test part"):
        worth(experiment(), [budget(1, 0.6, 0.6), budget(3, 0.7, 0.7, images=2000)], 0)


def test_the_curve_is_written_with_one_arm_of_each_kind_a_count(tmp_path: Path):
    budgets = [budget(1, 0.6, 0.62), budget(5, 0.7, 0.71)]
    content = write_budgets(experiment(), budgets, tmp_path)
    assert json.loads((tmp_path / "budgets.json").read_text()) == content
    assert [(row["labelled_per_class"], row["arm"], row["kind"]) for row in content["budgets"]] == [
        (1, PLAIN, "plain"),
        (1, GAN, "gan"),
        (5, PLAIN, "plain"),
        (5, GAN, "gan"),
    ]
    assert content["worth"].startswith("With 5 labelled images a class")
    assert [row["labelled_per_class"] for row in content["worths"]] == [1, 5]
    assert (tmp_path / "budgets.png").stat().st_size > 5000
    assert write_budgets(experiment(20), budgets, tmp_path)["worth"].startswith("With 1 labelled images a class")


def test_an_open_worth_is_told_with_what_it_is_at_most():
    assert worth_in_words(Worth(5, 1.0, -2.0, 4.0), 50).endswith("worth any real label; if so, at most 4.0 a class.")
    endless = worth_in_words(Worth(5, 1.0, -math.inf, math.inf), 50)
    assert endless.endswith("worth any real label; if so, it may be more than 45 a class.")
