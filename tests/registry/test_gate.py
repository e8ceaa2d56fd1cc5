"""What the gate decides from two sets of predictions on the same images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtl_core.registry.gate import GateResult, Prediction, decide, why_it_copies

CLASSES = ("a", "b")
LABELS = np.array([0] * 8 + [1] * 2)


def predicted(choices: list[int], columns: tuple[str, ...] = ("p(a)", "p(b)")) -> Prediction:
    """A prediction that chose these columns."""
    return Prediction(np.eye(2, dtype=np.float32)[choices], columns)


def gate(new: list[int], old: list[int] | None, min_gain: float = 0.0, metric: str = "balanced_accuracy") -> GateResult:
    return decide(predicted(new), predicted(old) if old is not None else None, [], LABELS, CLASSES, metric, min_gain)


def test_the_first_model_passes_with_its_score_and_no_bar():
    result = gate([0] * 10, None)
    assert result.passed
    assert (result.challenger_score, result.champion_score) == (0.5, None)
    assert "no champion yet" in result.reasons[0]


def test_a_better_model_passes_and_the_changed_images_are_counted():
    result = gate([0] * 8 + [1, 0], [0] * 7 + [1, 0, 0])
    assert result.passed
    assert (result.improved, result.worsened) == (2, 0)
    assert result.challenger_score == pytest.approx(0.75)
    assert result.champion_score == pytest.approx(7 / 16)


def test_a_worse_model_is_refused_with_both_scores_and_the_rule():
    result = gate([0] * 10, [0] * 8 + [1, 0])
    assert not result.passed
    (reason,) = result.reasons
    assert "0.5000" in reason
    assert "0.7500" in reason
    assert "-0.2500" in reason


@pytest.mark.parametrize(("min_gain", "passed"), [(0.1, True), (0.11, False), (-0.5, True)])
def test_the_gain_must_reach_the_minimum_that_is_asked_for(min_gain: float, passed: bool):
    # Accuracy 0.3 against 0.2: a gain that is a hair less than 0.1 in floating point.
    assert gate([0] * 3 + [1] * 5 + [0, 0], [0] * 2 + [1] * 6 + [0, 0], min_gain, "accuracy").passed is passed


def test_the_metric_decides_which_of_two_models_is_better():
    many, rare = [0] * 10, [1] * 3 + [0] * 5 + [1, 1]
    assert gate(many, rare, metric="accuracy").passed
    assert not gate(many, rare, metric="balanced_accuracy").passed


def test_classes_are_matched_by_name_whatever_the_order_of_the_columns():
    swapped = Prediction(np.eye(2, dtype=np.float32)[[1] * 8 + [0] * 2], ("p(b)", "p(a)"))
    result = decide(swapped, predicted([0] * 10), [], LABELS, CLASSES, "accuracy", 0.0)
    assert (result.challenger_score, result.champion_score) == (1.0, 0.8)


def test_a_model_that_did_not_predict_is_refused_whatever_the_champion_does():
    result = decide(
        Prediction(error="boom"), predicted([1] * 10), ["it fails: boom"], LABELS, CLASSES, "accuracy", -1.0
    )
    assert not result.passed
    assert result.reasons == ("it fails: boom",)
    assert result.challenger_score is None


@pytest.mark.parametrize("screen", ["clear", "look"])
def test_a_generator_that_does_not_copy_may_pass(screen: str):
    assert why_it_copies({"screen": screen, "sentence": "membership AUC 0.69"}) == ""


def test_a_generator_that_was_not_screened_may_not_pass_where_screening_is_asked_for():
    assert "was not screened for copies, and promotion.memorisation is screen" in why_it_copies({})


@given(
    new=st.lists(st.integers(0, 1), min_size=10, max_size=10),
    old=st.lists(st.integers(0, 1), min_size=10, max_size=10),
    min_gain=st.floats(0, 0.5),
)
def test_two_models_never_both_beat_each_other(new: list[int], old: list[int], min_gain: float):
    one, other = gate(new, old, min_gain), gate(old, new, min_gain)
    if one.passed and other.passed:
        assert one.challenger_score == pytest.approx(other.challenger_score, abs=1e-6)
    assert (one.improved, one.worsened) == (other.worsened, other.improved)
