"""The verdict: what it may say, what it says would have been enough, and in which words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gtl_core.config import Experiment
from gtl_core.evaluation.held_out import Choices, Predictions
from gtl_core.evaluation.judging import Judge
from gtl_core.evaluation.statistics import Estimate, Parts
from gtl_core.evaluation.verdict import Verdict, arm_rows, give_verdict, label_of, sentence_of

GAN, BASELINE = "best_plus_gan/finetune", "joint"


def estimate(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, 0.01, 10.0, 0.5, Parts(0.0, 1e-4, 0.0))


@pytest.mark.parametrize(
    ("low", "high", "detectable", "min_gain", "label"),
    [
        (0.002, 0.010, 0.008, 0.0, "helps"),
        (-0.010, -0.002, 0.008, 0.0, "harms"),
        (-0.004, 0.004, 0.008, 0.0, "inconclusive"),
        # Above zero, but too blunt a study to tell whether the gain that is wanted is there.
        (0.002, 0.030, 0.028, 0.010, "inconclusive"),
        # The gain that is wanted is there.
        (0.012, 0.040, 0.028, 0.010, "helps"),
        # A gain that is surely there, and surely smaller than the one that is wanted.
        (0.002, 0.006, 0.004, 0.010, "helps"),
        # A loss is a loss, whatever was wanted or would be put up with.
        (-0.040, -0.010, 0.030, 0.010, "harms"),
        (-0.030, -0.010, 0.020, -0.020, "harms"),
    ],
)
def test_the_label_follows_from_the_interval_and_from_the_gain_that_is_wanted(
    low: float, high: float, detectable: float, min_gain: float, label: str
):
    assert label_of(estimate(low, high), detectable, min_gain) == label


def experiment(min_gain: float = 0.0, metric: str = "accuracy") -> Experiment:
    return Experiment.model_validate(
        {
            "name": "small",
            "source": {"dataset": "a"},
            "target": {"dataset": "b", "labelled_per_class": 5},
            "image": {"size": 16, "channels": 1},
            "transfer": {"strategies": ["finetune"]},
            "evaluation": {"draws": 4, "bootstrap": 400},
            "promotion": {"metric": metric, "min_gain": min_gain},
        }
    )


def predictions(gain: float, seeds: int = 2, draws: int = 4, images: int = 400) -> Predictions:
    """A baseline and a GAN arm, which recognises a share more of the images that the baseline does not."""
    rng = np.random.default_rng(0)
    labels = np.arange(images) % 4
    easy = rng.random(images) < 0.7

    def said(extra: float) -> np.ndarray:
        right = easy | (rng.random((draws, seeds, images)) < 0.3 + extra)
        predicted = np.where(right, labels, (labels + 1) % 4)
        return (0.1 + 0.6 * np.eye(4)[predicted]).astype(np.float16)

    return Predictions(labels, np.array(["ward", ""] * (images // 2)), {BASELINE: said(0.0), GAN: said(gain)})


CHOICES = Choices(BASELINE, GAN, GAN, 0, 0, 1, 1, 0)


def verdict(found: Predictions, **promotion: Any) -> Verdict:
    settings = experiment(**promotion)
    return give_verdict(settings, found, CHOICES, Judge.of(settings), {})


def test_the_draw_is_the_unit_and_its_seeds_are_averaged():
    found = predictions(0.3)
    given = verdict(found)
    of_seeds = found.hits(GAN).mean() - found.hits(BASELINE).mean()
    assert given.difference == pytest.approx(of_seeds)
    assert (given.draws, given.test_images) == (4, 400)
    twice = Predictions(
        found.labels, found.groups, {arm: np.repeat(found.of(arm), 2, axis=1) for arm in (BASELINE, GAN)}
    )
    again = verdict(twice)
    assert (again.low, again.high, again.p) == pytest.approx((given.low, given.high, given.p))


def test_a_clear_gain_is_told_in_points_with_its_interval():
    given = verdict(predictions(0.5))
    assert given.label == "helps"
    assert given.sentence == (
        f"GAN transfer helps: best_plus_gan/finetune is +{100 * given.difference:.1f} points of accuracy "
        f"(95 % interval +{100 * given.low:.1f} to +{100 * given.high:.1f}) from joint, "
        "the best without a GAN by accuracy on the labelled validation part."
    )


def test_a_gain_smaller_than_the_one_asked_for_is_told_as_such():
    given = verdict(predictions(0.5), min_gain=0.9)
    assert given.label == "helps"
    assert given.sentence.endswith("; that is less than the 90.0 points asked for.")


def test_an_open_question_comes_with_what_would_have_been_enough():
    given = verdict(predictions(0.02))
    assert given.label == "inconclusive"
    assert given.detectable > abs(given.difference) > 0
    assert given.needed_draws is None or given.needed_draws > given.draws
    assert given.needed_images is None or given.needed_images > given.test_images
    assert f"could have shown a difference of {100 * given.detectable:.1f} points." in given.sentence
    enough = replace(given, detectable=0.03, difference=0.004, needed_draws=12, needed_images=2417)
    assert sentence_of(enough).endswith("To show one of 0.4 takes about 12 draws or 2,400 test images.")
    draws_alone = sentence_of(replace(enough, needed_images=None))
    assert draws_alone.endswith("takes about 12 draws; more test images alone would not be enough.")
    neither = sentence_of(replace(enough, needed_images=None, needed_draws=None))
    assert neither.endswith("Neither more draws nor more test images alone would be enough to show one of 0.4.")


def test_a_study_that_could_have_shown_no_difference_at_all_is_said_to_be_too_small():
    given = replace(verdict(predictions(0.02)), detectable=1.0, difference=0.004, needed_draws=12, needed_images=None)
    assert "This study was too small to show any difference. To show one of 0.4 takes about 12" in sentence_of(given)
    assert "100.0 points" not in sentence_of(given)


def test_a_wanted_gain_is_what_the_question_is_about():
    given = verdict(predictions(0.02), min_gain=0.02)
    assert given.label == "inconclusive"
    assert given.sentence.startswith("Inconclusive whether GAN transfer helps by 2.0 points: ")
    assert given.min_gain == 0.02
    ruled_out = verdict(predictions(0.02), min_gain=0.9).sentence
    assert ruled_out.startswith(
        "Inconclusive whether GAN transfer helps at all, but the 90.0 points asked for are ruled"
    )
    assert ruled_out.endswith(f"could have shown a difference of {100 * given.detectable:.1f} points.")


def test_two_arms_that_agree_everywhere_need_no_number_of_draws():
    found = predictions(0.0)
    same = Predictions(found.labels, found.groups, {BASELINE: found.of(BASELINE), GAN: found.of(BASELINE)})
    given = verdict(same)
    assert (given.label, given.difference, given.p) == ("inconclusive", 0.0, 1.0)
    assert given.needed_draws is given.needed_images is None
    assert given.sentence.endswith("points.")


def test_what_groups_do_to_the_interval_is_said_where_there_are_groups():
    found = predictions(0.3)
    assert verdict(found).scope.endswith("so the interval is too narrow where they are much alike.")
    alone = Predictions(found.labels, np.array([f"{n}" for n in range(400)]), found.probabilities)
    assert "of one group" not in verdict(alone).scope


@pytest.mark.parametrize(("trials", "said"), [(None, False), (2, False), (16, True)])
def test_the_scope_says_where_the_gan_was_tuned_with_more_trials_than_its_baseline(trials: int | None, said: bool):
    settings = experiment().model_copy(update={"tuned_trials": trials})
    scope = give_verdict(settings, predictions(0.3), CHOICES, Judge.of(settings), {}).scope
    assert ("the best of 16 trials of gtl tune, where each arm without a GAN had 2 on a draw" in scope) is said


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_the_row_of_an_arm_holds_its_metric_and_every_other_score(metric: str):
    found, settings = predictions(0.3), experiment(metric=metric)
    rows = arm_rows(settings, found, {BASELINE: 0.8, GAN: 0.9}, Judge.of(settings), ["a", "b", "c", "d"])
    for row in rows:
        hits = found.hits(row["arm"])
        assert row["scores"][metric] == {key: row[key] for key in ("mean", "low", "high")}
        assert row["mean"] == pytest.approx(hits.mean())
        assert row["draws"] == pytest.approx(hits.mean(axis=(1, 2)))
        assert row["per_class_recall"] == {name: entry["recall"] for name, entry in row["per_class"].items()}
        assert row["groups"]["ward"]["images"] == 200
        assert row["scores"]["worst_group"] is None
    assert {row["arm"]: row["validation_mean"] for row in rows} == {BASELINE: 0.8, GAN: 0.9}
