"""The arms that adapt features, dann and adda: with labels and without, and where they cannot take part."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from small_study import prepared

from gtl_core.config import Experiment
from gtl_core.evaluation.arms import gan_arms, plain_arms
from gtl_core.evaluation.held_out import Predictions
from gtl_core.training.classifier import load_classifier

DIGITS = tuple("0123456789")


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    """One core, on which cells are trained in this process: no time is spent on starting others."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.parametrize("labelled", [0, 5])
def test_both_arms_take_part_beside_the_others_and_give_one_plain_classifier_for_each_draw(
    tiny_digits: Path, tmp_path: Path, labelled: int
):
    arms = ("source_only", "dann", "adda", "best_plus_gan")
    study = prepared(tiny_digits, tmp_path, DIGITS, arms, labelled=labelled)
    study.run()
    rows = {row["arm"]: row for row in study.read("arms.json")}
    assert {"dann", "adda"} < set(rows)
    predictions = Predictions.load(study.folder)
    for arm in ("dann", "adda"):
        assert len(rows[arm]["draws"]) == 2
        assert (predictions.predicted(arm) != predictions.predicted("source_only")).any()
        for draw in range(2):
            cell = study.folder / "cells" / arm / str(draw)
            record = json.loads((cell / "cell.json").read_text())
            assert record["trials"] == 2
            assert (record["recipe"]["reversal"] > 0) == (arm == "dann")
            assert record["recipe"]["target_encoder"] == (arm == "adda")
            assert load_classifier(cell / "classifier-0.safetensors")[1] == DIGITS


def test_an_encoder_for_classes_that_the_source_cannot_name_is_left_out_with_the_reason(
    tiny_digits: Path, tmp_path: Path
):
    arms = ("real_augmented", "adda", "dann", "transferred_gan")
    study = prepared(tiny_digits, tmp_path, (*DIGITS[:8], "x", "y"), arms)
    study.run()
    left_out = study.read("verdict.json")["left_out"]
    assert "the source has no class 8, 9" in left_out["adda"]
    assert "dann" not in left_out


@pytest.mark.parametrize("labelled", [True, False])
def test_dann_is_source_and_target_together_with_reversed_gradients_and_adda_sees_the_source_by_its_encoder(
    labelled: bool,
):
    dann, adda = plain_arms(["dann", "adda"], 1, 4, labelled=labelled)
    for trial in dann.trials[0]:
        assert replace(trial, reversal=0.0) == replace(dann.trials[0][0], reversal=0.0)
        assert (trial.real, trial.source_weight, trial.pseudo_threshold) == (labelled, 1.0, None)
    for trial in adda.trials[0]:
        assert trial.target_encoder
        assert trial.trained
        assert (trial.real, trial.initial, trial.reversal) == (labelled, "source", 0.0)


def test_a_gan_s_images_are_added_to_either_where_it_is_the_best_without_one():
    for arm in plain_arms(["dann", "adda"], 1, 2, labelled=False):
        best = arm.trials[0][0]
        (with_gan,) = gan_arms(["best_plus_gan"], ["translate"], [], [best], 2)
        assert [replace(trial, synthetic_weight=None) for trial in with_gan.trials[0]] == [best, best]


@pytest.mark.parametrize("arm", ["dann", "adda"])
def test_an_experiment_with_either_needs_the_pool(arm: str):
    content = {
        "name": "small",
        "source": {"dataset": "many"},
        "target": {"dataset": "few", "labelled_per_class": 3},
        "image": {"size": 16, "channels": 1},
        "transfer": {"strategies": ["finetune"]},
        "evaluation": {"arms": [arm, "transferred_gan"]},
    }
    with pytest.raises(ValueError, match=rf"{arm} needs target\.use_unlabelled: true"):
        Experiment.model_validate(content)
    target = {"dataset": "few", "labelled_per_class": 0, "use_unlabelled": True}
    without = {"transfer": {"strategies": ["translate"]}, "evaluation": {"arms": [arm, "best_plus_gan"]}}
    assert not Experiment.model_validate(content | without | {"target": target}).target.has_labels
