"""What the gate decides from two sets of predictions on the same images."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtl_core.config import Metric, PromotionConfig
from gtl_core.registry.gate import GateResult, Prediction, decide
from gtl_core.registry.rules import KINDS, Rule

LABELS = np.array([0] * 8 + [1] * 2)
FINE = Rule("classifier_loads", True, None, None, "it loads")


def gate(
    new: list[int] | None,
    old: list[int] | None,
    min_gain: float = 0.0,
    metric: Metric = "balanced_accuracy",
    *,
    interval: float | None = None,
    unlike: str = "",
    groups: int = 0,
    rules: tuple[Rule, ...] = (FINE,),
    repeated: int = 1,
) -> GateResult:
    """The decision about two models that chose these classes, on as many times the images."""
    sure = np.eye(2, dtype=np.float32)
    return decide(
        None if new is None else np.tile(sure[new], (repeated, 1)),
        None if old is None else np.tile(sure[old], (repeated, 1)),
        unlike,
        rules,
        np.tile(LABELS, repeated),
        (np.arange(10 * repeated) % groups).astype(str) if groups else np.full(10 * repeated, ""),
        PromotionConfig(metric=metric, min_gain=min_gain, interval=interval),
    )


def test_the_first_model_passes_with_its_score_and_no_bar():
    result = gate([0] * 10, None, min_gain=0.5, interval=0.95)
    assert result.passed
    assert (result.challenger_score, result.champion_score) == (0.5, None)
    assert "no champion yet" in result.reasons[0]


def test_a_better_model_passes_and_the_changed_images_are_counted():
    result = gate([0] * 8 + [1, 0], [0] * 7 + [1, 0, 0])
    assert result.passed
    assert (result.improved, result.worsened) == (2, 0)
    assert result.challenger_score == pytest.approx(0.75)
    assert result.champion_score == pytest.approx(7 / 16)
    assert result.gain_low is result.gain_high is None


def test_a_worse_model_is_refused_with_both_scores_the_rule_and_what_is_missing():
    result = gate([0] * 10, [0] * 8 + [1, 0], min_gain=0.1)
    assert not result.passed
    assert result.reasons == (
        "balanced_accuracy 0.5000 against the champion's 0.7500: a gain of -0.2500 where at least +0.1000 is asked "
        "for; 0.3500 is missing",
    )
    (rule,) = (rule for rule in result.rules if not rule.passed)
    assert (rule.name, rule.value, rule.limit) == ("gain", pytest.approx(-0.25), 0.1)


@pytest.mark.parametrize(("min_gain", "passed"), [(0.1, True), (0.11, False), (-0.5, True)])
def test_the_gain_must_reach_the_minimum_that_is_asked_for(min_gain: float, passed: bool):
    # Accuracy 0.3 against 0.2: a gain that is a hair less than 0.1 in floating point.
    assert gate([0] * 3 + [1] * 5 + [0, 0], [0] * 2 + [1] * 6 + [0, 0], min_gain, "accuracy").passed is passed


def test_a_gain_on_few_images_passes_without_an_interval_and_not_with_one():
    better, worse = [0] * 8 + [1, 1], [0] * 8 + [1, 0]
    assert gate(better, worse).passed
    result = gate(better, worse, interval=0.95)
    assert not result.passed
    assert result.gain_low is not None
    assert result.gain_high is not None
    assert result.gain_low < 0 < result.gain_high
    (reason,) = result.reasons
    assert "a gain of +0.2500 (95 % interval -" in reason
    assert f"whose lower end must reach +0.0000; {-result.gain_low:.4f} is missing" in reason


def test_the_same_gain_on_many_images_passes_with_an_interval():
    result = gate([0] * 8 + [1, 1], [0] * 8 + [1, 0], 0.1, interval=0.95, repeated=40)
    assert result.passed
    assert result.gain_low is not None
    assert result.rules[-1].value == result.gain_low > 0.1
    assert "a gain of +0.2500 (95 % interval +" in result.reasons[0]


def test_an_interval_over_groups_of_images_says_so():
    result = gate([0] * 8 + [1, 1], [0] * 8 + [1, 0], interval=0.95, repeated=40, groups=7)
    assert "the 400 images being of 7 groups)" in result.reasons[0]


def test_a_model_that_is_the_champion_again_passes_without_an_interval_and_not_with_one():
    same = [0] * 9 + [1]
    assert gate(same, same).passed
    assert not gate(same, same, interval=0.5, repeated=100).passed
    assert gate(same, same, -0.01, interval=0.95, repeated=100).passed


def test_the_metric_decides_which_of_two_models_is_better():
    many, rare = [0] * 10, [1] * 3 + [0] * 5 + [1, 1]
    assert gate(many, rare, metric="accuracy").passed
    assert not gate(many, rare, metric="balanced_accuracy").passed


def test_classes_are_matched_by_name_whatever_the_order_of_the_columns():
    values = np.eye(2, dtype=np.float32)[[1] * 8 + [0] * 2]
    in_order = Prediction(values, ("p(b)", "p(a)")).of(("a", "b"))
    assert in_order is not None
    assert (in_order.argmax(axis=1) == LABELS).all()
    assert Prediction(error="boom").of(("a", "b")) is None


def test_a_model_that_did_not_predict_is_refused_whatever_the_champion_does():
    broken = Rule("classifier_loads", False, None, None, "it fails: boom")
    result = gate(None, [1] * 10, -1.0, rules=(broken,))
    assert not result.passed
    assert result.reasons == ("it fails: boom", "the gain was not measured, because there is no prediction")
    assert result.challenger_score is None


def test_a_champion_that_cannot_be_compared_refuses_the_challenger_with_the_reason():
    result = gate([0] * 10, None, unlike="champion m/1 takes 3 channels and today's images have 1")
    assert not result.passed
    assert result.reasons == ("champion m/1 takes 3 channels and today's images have 1",)
    assert result.challenger_score == 0.5


def test_every_broken_rule_is_a_reason_and_a_better_score_does_not_help():
    broken = Rule("ece", False, 0.2, 0.1, "ece 0.2 where at most 0.1 is asked for: 0.1 too much")
    result = gate([0] * 8 + [1, 1], [0] * 10, rules=(FINE, broken))
    assert not result.passed
    assert result.reasons == (broken.sentence,)
    assert [rule.name for rule in result.rules] == ["classifier_loads", "ece", "gain"]


def test_the_result_is_json_with_its_rules_and_every_rule_is_of_a_known_kind():
    result = gate([0] * 8 + [1, 1], [0] * 10, interval=0.9)
    told = json.loads(json.dumps(result.to_json()))
    assert told == result.to_json()
    assert [set(rule) for rule in told["rules"]] == [{"name", "passed", "value", "limit", "sentence"}] * 2
    assert {rule["name"] for rule in told["rules"]} <= {name for names in KINDS.values() for name in names}


@given(
    new=st.lists(st.integers(0, 1), min_size=10, max_size=10),
    old=st.lists(st.integers(0, 1), min_size=10, max_size=10),
    min_gain=st.floats(0, 0.5),
    interval=st.sampled_from([None, 0.5, 0.95]),
)
def test_two_models_never_both_beat_each_other(new: list[int], old: list[int], min_gain: float, interval: float | None):
    one, other = (gate(first, second, min_gain, interval=interval) for first, second in ((new, old), (old, new)))
    if one.passed and other.passed:
        assert one.challenger_score == pytest.approx(other.challenger_score, abs=1e-6)
    assert (one.improved, one.worsened) == (other.worsened, other.improved)
