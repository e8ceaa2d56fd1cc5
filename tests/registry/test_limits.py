"""The limits of the gate on closed forms: what is measured, what is said, and what was not measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gtl_core.config import LimitsConfig
from gtl_core.registry.limits import at_least, at_most, copying, limit_rules, worst_class
from gtl_core.registry.rules import KINDS, Rule

CLASSES = ("cat", "dog", "owl")
LABELS = np.array([0] * 10 + [1] * 4 + [2] * 6)
COPIES = "40 of 300 synthetic images (13.3 %) are near copies of training images."


def sure(chosen: np.ndarray, confidence: float = 1.0) -> np.ndarray:
    """Probabilities of a classifier that is so sure of each of its choices."""
    rest = (1 - confidence) / 2
    return np.where(np.eye(3)[chosen] == 1, confidence, rest)


def looked_at(limits: dict[str, float], **measured: Any) -> dict[str, Rule]:
    """The rules of these limits by name, all else measured and fine."""
    known: dict[str, Any] = {
        "labels": LABELS,
        "probabilities": sure(LABELS),
        "classes": CLASSES,
        "memorisation": {"membership_auc": 0.5},
        "milliseconds": 1.0,
        "machine": "a fast one",
        "size": 1,
    }
    rules = limit_rules(LimitsConfig.model_validate(limits), **(known | measured))
    return {rule.name: rule for rule in rules}


ALL = {"membership_auc": 0.6, "worst_class": 0.8, "ece": 0.05, "latency_ms": 20.0, "megabytes": 2.0}


def test_what_is_not_limited_is_not_looked_at():
    assert looked_at({}) == {}


def test_a_model_within_all_limits_keeps_them():
    rules = looked_at(ALL)
    assert list(rules) == list(ALL)
    assert all(rule.passed for rule in rules.values())
    assert {name: rule.limit for name, rule in rules.items()} == ALL


def test_every_limit_belongs_to_the_limits_that_dagster_shows():
    assert {*ALL, copying("a generator", {}).name} == set(KINDS["limits"])


def test_the_worst_class_is_found_whatever_the_sizes_of_the_classes():
    chosen = LABELS.copy()
    chosen[[0, 1, 10]] = 2  # 8 of 10 cats, 3 of 4 dogs, 6 of 6 owls
    assert worst_class(LABELS, sure(chosen)) == (1, 0.75)
    rule = looked_at(ALL, probabilities=sure(chosen))["worst_class"]
    assert not rule.passed
    assert rule.value == 0.75
    assert rule.sentence == "worst_class 0.75 (class dog) where at least 0.8 is asked for: 0.05 too little"


def test_a_class_without_a_test_image_is_not_the_worst():
    only = np.array([0, 0, 2])
    assert worst_class(only, sure(np.array([0, 2, 2]))) == (0, 0.5)


@pytest.mark.parametrize(("wrong", "confidence", "ece"), [(0, 1.0, 0.0), (5, 1.0, 0.25), (4, 0.9, 0.1), (2, 0.9, 0.0)])
def test_the_calibration_error_is_how_far_sureness_and_share_of_right_answers_lie_apart(
    wrong: int, confidence: float, ece: float
):
    chosen = LABELS.copy()
    chosen[:wrong] = 1
    rule = looked_at(ALL, probabilities=sure(chosen, confidence))["ece"]
    assert rule.value == pytest.approx(ece, abs=1e-9)
    assert rule.passed == (ece <= 0.05)


@pytest.mark.parametrize(
    ("measured", "name", "sentence"),
    [
        (
            {"memorisation": {"membership_auc": 0.72}},
            "membership_auc",
            "membership_auc 0.72 of the generator where at most 0.6 is asked for: 0.12 too much",
        ),
        (
            {"milliseconds": 31.4159, "machine": "a slow one with 1 thread"},
            "latency_ms",
            "latency_ms 31.42 on a slow one with 1 thread where at most 20 is asked for: 11.42 too much",
        ),
        ({"size": 2_500_000}, "megabytes", "megabytes 2.5 where at most 2 is asked for: 0.5 too much"),
        (
            {"memorisation": {}},
            "membership_auc",
            "membership_auc was not measured, where at most 0.6 is asked for",
        ),
        ({"probabilities": None}, "ece", "ece was not measured, where at most 0.05 is asked for"),
        ({"probabilities": None}, "worst_class", "worst_class was not measured, where at least 0.8 is asked for"),
        (
            {"milliseconds": None, "machine": ""},
            "latency_ms",
            "latency_ms was not measured, where at most 20 is asked for",
        ),
    ],
)
def test_a_broken_limit_is_told_with_what_was_found_and_by_how_much(measured: dict[str, Any], name: str, sentence: str):
    rule = looked_at(ALL, **measured)[name]
    assert not rule.passed
    assert rule.sentence == sentence


@pytest.mark.parametrize(("value", "passed"), [(0.3, True), (0.1 + 0.2, True), (0.3001, False)])
def test_a_limit_may_be_reached(value: float, passed: bool):
    assert at_most("ece", value, 0.3).passed is passed
    assert at_least("worst_class", -value, -0.3).passed is passed


@pytest.mark.parametrize("screen", ["clear", "look"])
def test_a_generator_that_does_not_copy_may_pass(screen: str):
    rule = copying("challenger g/2", {"screen": screen, "sentence": "membership AUC 0.69"})
    assert rule.passed


def test_a_generator_that_copies_is_refused_with_the_number_that_says_so():
    rule = copying("challenger g/2", {"screen": "copies", "sentence": COPIES})
    assert not rule.passed
    assert rule.sentence == f"challenger g/2 copies its training images: {COPIES}"


def test_a_generator_that_was_not_screened_may_not_pass_where_screening_is_asked_for():
    rule = copying("challenger g/2", {})
    assert not rule.passed
    assert "was not screened for copies, and promotion.memorisation is screen" in rule.sentence
