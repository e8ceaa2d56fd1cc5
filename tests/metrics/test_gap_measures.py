"""Intervals of the measures that need labels: as wide as the measures spread from one small sample to the next."""

from __future__ import annotations

import numpy as np
import pytest

from gtl_core.metrics.gap_measures import label_measures
from gtl_core.metrics.transferability import h_score, leep, logme

CLASSES, WIDTH = 4, 50


def sample(seed: int, per_class: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a source classifier could say of a few labelled images: probabilities, features, labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), per_class)
    features = rng.normal(size=(len(labels), WIDTH)).astype(np.float32)
    features[np.arange(len(labels)), labels] += 3.0
    scores = np.exp(features[:, :CLASSES])
    return scores / scores.sum(axis=1, keepdims=True), features, labels


@pytest.mark.parametrize("per_class", [6, 20])
def test_intervals_are_as_wide_as_fresh_samples_spread(per_class: int) -> None:
    fresh = [sample(100 + seed, per_class) for seed in range(40)]
    spread = {
        "leep": np.std([leep(scores, labels) for scores, _, labels in fresh]),
        "logme": np.std([logme(features, labels) for _, features, labels in fresh]),
        "h_score": np.std([h_score(features, labels) for _, features, labels in fresh]),
    }
    found = [label_measures(*sample(seed, per_class), seed, {}) for seed in range(4)]
    for index, name in enumerate(spread):
        assert found[0][index].name == name
        estimated = np.mean([(rows[index].high - rows[index].low) / (2 * 1.96) for rows in found])
        assert 0.5 < estimated / spread[name] < 1.7, name


def test_labels_dealt_at_random_are_explained_worse_and_labels_without_meaning_no_better() -> None:
    scores, features, labels = sample(0, 12)
    for measure in label_measures(scores, features, labels, 0, {}):
        assert measure.reference is not None
        assert measure.reference < measure.low
    dealt = np.random.default_rng(1).permutation(labels)
    for measure in label_measures(scores, features, dealt, 0, {}):
        assert measure.reference is not None
        assert measure.low < measure.reference < measure.high


def test_a_measure_that_cannot_be_taken_is_missing_with_its_reason_and_the_others_are_there() -> None:
    scores, features, labels = sample(0, 5)
    missing: dict[str, str] = {}
    found = label_measures(scores, np.zeros_like(features), labels, 0, missing)
    assert [measure.name for measure in found] == ["leep"]
    assert set(missing) == {"logme", "h_score"}
    assert all("differ" in reason for reason in missing.values())
