"""Arms: which recipes stand behind a name, and that the best one without a GAN is what a GAN is added to."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from gtl_core.config import ArmName
from gtl_core.evaluation.arms import (
    JUDGED_ARMS,
    PLAIN_ARMS,
    SCRATCH,
    Arm,
    ArmRecipe,
    gan_arms,
    joint_source_weight,
    plain_arms,
)

UNTUNED = ("source_only", "adapted")


def every_arm(trials: int, labelled: bool = True) -> list[Arm]:
    """All arms there are, on one draw, beside a baseline that learned from source and target together."""
    best = ArmRecipe(initial="source", real=labelled, source_weight=1.0)
    names = get_args(ArmName)
    plain = plain_arms(names, 1, trials, labelled=labelled)
    return plain + gan_arms(names, ["translate", SCRATCH], ["translate"], [best], trials)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("trials", [2, 3, 4])
def test_every_arm_that_has_something_to_tune_tries_as_many_settings_as_any_other(trials: int, labelled: bool):
    arms = every_arm(trials, labelled)
    assert {arm.kind for arm in arms} == set(get_args(ArmName))
    for arm in arms:
        tried = arm.trials[0]
        assert len(set(tried)) == len(tried) == (1 if arm.kind in UNTUNED else trials), arm.name


@pytest.mark.parametrize("trials", [3, 4])
def test_more_trials_go_on_from_where_fewer_have_ended(trials: int):
    for more, fewer in zip(every_arm(trials), every_arm(2), strict=True):
        assert more.trials[0][:2] == fewer.trials[0], more.name


@pytest.mark.parametrize("labelled", [True, False])
def test_with_four_trials_synthetic_images_count_from_a_quarter_to_four_times_what_the_others_do(labelled: bool):
    arms = {arm.kind: arm.trials[0] for arm in every_arm(4, labelled)}
    tried = {kind: sorted({trial.synthetic_weight for trial in arms[kind]}) for kind in ("best_plus_gan", SCRATCH)}
    assert tried["best_plus_gan"] == [0.25, 0.5, 1.0, 4.0] == tried[SCRATCH]
    shares = sorted(1 / (1 + trial.source_weight) for trial in arms["joint"])
    assert shares == pytest.approx([0.2, 0.5, 0.8, 0.95])


def test_what_the_baseline_has_tuned_is_not_tuned_again_for_the_arms_that_build_on_it():
    best = ArmRecipe(initial="source", source_weight=0.25, learning_rate=1 / 3)
    for arm in gan_arms(["best_plus_gan", "filtered_plus_gan"], ["translate"], [], [best], trials=4):
        for trial in arm.trials[0]:
            assert replace(trial, synthetic_weight=None, filtered=False) == best


def test_a_bag_of_augmented_copies_stands_in_the_place_of_the_gan_s_images_and_nothing_else_differs():
    (bag,) = plain_arms(["real_oversampled"], 1, 4, labelled=True)
    (gan,) = gan_arms(["transferred_gan"], ["finetune"], [], [ArmRecipe(initial="source")], 4)
    assert [
        replace(trial, copies_weight=None, synthetic_weight=trial.copies_weight) for trial in bag.trials[0]
    ] == list(gan.trials[0])


def test_two_stages_are_fine_tuning_from_the_source_with_synthetic_images_before_it():
    (fine_tuned,) = plain_arms(["source_finetuned"], 1, 3, labelled=True)
    (staged,) = gan_arms(["two_stage"], ["finetune"], [], [ArmRecipe()], 3)
    assert all(trial.synthetic_first and trial.synthetic_weight for trial in staged.trials[0])
    assert (
        tuple(replace(t, synthetic_first=False, synthetic_weight=None) for t in staged.trials[0])
        == (fine_tuned.trials[0])
    )


def test_a_gan_of_the_target_alone_is_used_as_a_transferred_one_and_is_neither_baseline_nor_judged():
    scratch, transferred = gan_arms([SCRATCH, "transferred_gan"], ["ewc", SCRATCH], [], [ArmRecipe()], 2)
    assert (scratch.name, scratch.gan) == ("scratch_gan", "scratch_gan")
    assert (transferred.name, transferred.gan) == ("transferred_gan/ewc", "ewc")
    assert scratch.trials == transferred.trials
    assert SCRATCH not in (*PLAIN_ARMS, *JUDGED_ARMS)


def test_only_the_arm_that_is_named_after_it_learns_from_selected_images_alone():
    names = get_args(ArmName)
    arms = gan_arms(names, ["ewc", SCRATCH], ["ewc"], [ArmRecipe()], 2)
    filtered = {arm.kind for arm in arms if all(trial.filtered for trial in arm.trials[0])}
    assert filtered == {"filtered_plus_gan"}
    (chosen,) = gan_arms(["filtered_plus_gan"], ["ewc"], [], [ArmRecipe(initial="source", real=False)], 2)
    assert all(trial.filtered and trial.trained for trial in chosen.trials[0])


def test_no_arm_without_a_gan_sees_synthetic_images():
    arms = plain_arms(PLAIN_ARMS, draws=3, trials=2, labelled=True)
    assert [arm.name for arm in arms] == list(PLAIN_ARMS)
    assert all(recipe.synthetic_weight is None for arm in arms for trials in arm.trials for recipe in trials)
    assert all(len(arm.trials) == 3 and arm.gan is None for arm in arms)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_joint_loss_gives_the_target_the_share_that_was_asked_for(share: float):
    assert 1 / (1 + joint_source_weight(share)) == pytest.approx(share)


def test_the_best_arm_without_a_gan_plus_images_differs_from_it_in_nothing_else():
    best = [ArmRecipe(initial="source", source_weight=0.25), ArmRecipe(initial="source", learning_rate=0.5)]
    (arm,) = gan_arms(["real", "best_plus_gan"], ["freeze_d"], [], best, trials=2)
    assert (arm.name, arm.kind, arm.gan) == ("best_plus_gan/freeze_d", "best_plus_gan", "freeze_d")
    for recipe, trials in zip(best, arm.trials, strict=True):
        assert [replace(trial, synthetic_weight=None) for trial in trials] == [recipe, recipe]
        assert len({trial.synthetic_weight for trial in trials}) == 2


def test_each_strategy_gets_an_arm_of_its_own_and_samples_alone_see_no_real_image():
    arms = gan_arms(["transferred_gan", "synthetic_only"], ["finetune", "freeze_d"], [], [ArmRecipe()], trials=2)
    assert [arm.name for arm in arms] == [
        "transferred_gan/finetune",
        "transferred_gan/freeze_d",
        "synthetic_only/finetune",
        "synthetic_only/freeze_d",
    ]
    assert all(not recipe.real for arm in arms[2:] for trials in arm.trials for recipe in trials)


def test_where_the_untouched_source_classifier_is_best_it_learns_from_samples_alone():
    untouched = ArmRecipe("source", real=False)
    (arm,) = gan_arms(["best_plus_gan"], ["finetune"], [], [untouched], trials=2)
    assert not untouched.trained
    assert all(trial.trained and not trial.real and trial.initial == "source" for trial in arm.trials[0])
    assert len(set(arm.trials[0])) == 2


def test_without_labels_the_source_is_learned_from_beside_the_own_labels_of_the_target():
    (arm,) = plain_arms(["self_trained"], draws=1, trials=2, labelled=False)
    assert all(trial.trained and not trial.real and trial.initial == "source" for trial in arm.trials[0])
    assert all(trial.source_weight == 1.0 and trial.pseudo_threshold for trial in arm.trials[0])
    assert len(set(arm.trials[0])) == 2


def test_without_labels_synthetic_images_may_count_as_much_as_pseudo_labels_and_with_labels_less():
    (unlabelled,) = plain_arms(["self_trained"], draws=1, trials=2, labelled=False)
    best = unlabelled.trials[0][0]
    (without,) = gan_arms(["best_plus_gan"], ["translate"], [], [best], trials=2)
    assert [trial.synthetic_weight for trial in without.trials[0]] == [1.0, 4.0]
    assert [replace(trial, synthetic_weight=None) for trial in without.trials[0]] == [best, best]
    (with_labels,) = gan_arms(["best_plus_gan"], ["translate"], [], [replace(best, real=True)], trials=2)
    assert [trial.synthetic_weight for trial in with_labels.trials[0]] == [0.5, 1.0]


@pytest.mark.parametrize("labelled", [True, False])
def test_information_maximisation_is_self_training_that_is_told_to_be_sure_and_even(labelled):
    names = ["self_trained", "info_max"]
    self_trained, informed = plain_arms(names, draws=1, trials=2, labelled=labelled)
    assert all(trial.information == 0.0 for trial in self_trained.trials[0])
    assert all(trial.information > 0.0 for trial in informed.trials[0])
    as_self_trained = {replace(trial, information=0.0, pseudo_threshold=None) for trial in informed.trials[0]}
    assert as_self_trained == {replace(trial, pseudo_threshold=None) for trial in self_trained.trials[0]}
    assert len(set(informed.trials[0])) == 2
