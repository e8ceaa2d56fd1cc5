"""The rules of the gate in an experiment file: what can be asked for, and what could never be kept or broken."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from gtl_core.config import PromotionConfig


def read(text: str) -> PromotionConfig:
    """The rules as a file has them."""
    return PromotionConfig.model_validate(yaml.safe_load(text))


def test_without_a_word_a_model_must_not_be_worse_and_waits_for_approval() -> None:
    rules = PromotionConfig()
    assert (rules.metric, rules.min_gain, rules.interval, rules.approval) == (
        "balanced_accuracy",
        0.0,
        None,
        "manual",
    )
    assert set(rules.limits.model_dump().values()) == {None}


def test_all_rules_can_be_asked_for_at_once() -> None:
    rules = read(
        "{metric: accuracy, min_gain: -0.01, interval: 0.95, approval: automatic, memorisation: screen, "
        "limits: {membership_auc: 0.6, worst_class: 0.7, ece: 0.05, latency_ms: 20, megabytes: 5}}"
    )
    assert rules.limits.latency_ms == 20
    assert rules.interval == 0.95


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{min_gain: 1.5}", "less than or equal to 1"),
        ("{min_gain: .nan}", "finite"),
        ("{interval: 95}", "less than or equal to 0.999"),
        ("{interval: 0.05}", "greater than or equal to 0.5"),
        ("{interval: .nan}", "finite"),
        ("{interval: 0.95, min_gain: 1}", "min_gain: the lower end of an interval never reaches 1"),
        ("{interval: 0.95, min_gain: -1.0}", "min_gain: the lower end of an interval is never below -1"),
        ("{limits: {membership_auc: 0.4}}", "greater than or equal to 0.5"),
        ("{limits: {membership_auc: 1.0}}", "less than 1"),
        ("{limits: {worst_class: 0}}", "greater than 0"),
        ("{limits: {worst_class: 70}}", "less than or equal to 1"),
        ("{limits: {ece: 0}}", "greater than 0"),
        ("{limits: {ece: 1}}", "less than 1"),
        ("{limits: {latency_ms: -3}}", "greater than 0"),
        ("{limits: {latency_ms: .inf}}", "finite"),
        ("{limits: {megabytes: .nan}}", "finite"),
        ("{limits: {latency: 3}}", "Extra inputs are not permitted"),
        ("{approval: by_email}", "'automatic' or 'manual'"),
    ],
)
def test_what_could_never_be_kept_or_never_be_broken_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(text)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "asks"),
    [({}, False), ({"memorisation": "screen"}, True), ({"limits": {"membership_auc": 0.6}}, True)],
)
def test_memorisation_is_looked_at_where_a_rule_asks_for_it(rules: dict[str, Any], asks: bool) -> None:
    assert PromotionConfig.model_validate(rules).asks_for_memorisation is asks
