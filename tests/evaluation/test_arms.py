"""Arms: which recipes stand behind a name, and that the best one without a GAN is what a GAN is added to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gtl_core.evaluation.arms import PLAIN_ARMS, ArmRecipe, gan_arms, joint_source_weight, plain_arms


def test_no_arm_without_a_gan_sees_synthetic_images():
    arms = plain_arms(PLAIN_ARMS, draws=3, labelled=True)
    assert [arm.name for arm in arms] == list(PLAIN_ARMS)
    assert all(recipe.synthetic_weight is None for arm in arms for trials in arm.trials for recipe in trials)
    assert all(len(arm.trials) == 3 and arm.strategy is None for arm in arms)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_joint_loss_gives_the_target_the_share_that_was_asked_for(share: float):
    assert 1 / (1 + joint_source_weight(share)) == pytest.approx(share)


def test_the_best_arm_without_a_gan_plus_images_differs_from_it_in_nothing_else():
    best = [ArmRecipe(initial="source", source_weight=0.25), ArmRecipe(initial="source", learning_rate=0.5)]
    (arm,) = gan_arms(["real", "best_plus_gan"], ["freeze_d"], [], best)
    assert (arm.name, arm.kind, arm.strategy) == ("best_plus_gan/freeze_d", "best_plus_gan", "freeze_d")
    for recipe, trials in zip(best, arm.trials, strict=True):
        assert [replace(trial, synthetic_weight=None) for trial in trials] == [recipe, recipe]
        assert len({trial.synthetic_weight for trial in trials}) == 2


def test_each_strategy_gets_an_arm_of_its_own_and_samples_alone_see_no_real_image():
    arms = gan_arms(["transferred_gan", "synthetic_only"], ["finetune", "freeze_d"], [], [ArmRecipe()])
    assert [arm.name for arm in arms] == [
        "transferred_gan/finetune",
        "transferred_gan/freeze_d",
        "synthetic_only/finetune",
        "synthetic_only/freeze_d",
    ]
    assert all(not recipe.real for arm in arms[2:] for trials in arm.trials for recipe in trials)


def test_where_the_untouched_source_classifier_is_best_it_learns_from_samples_alone():
    untouched = ArmRecipe("source", real=False)
    (arm,) = gan_arms(["best_plus_gan"], ["finetune"], [], [untouched])
    assert not untouched.trained
    assert all(trial.trained and not trial.real and trial.initial == "source" for trial in arm.trials[0])
    assert len(set(arm.trials[0])) == 2


def test_without_labels_the_source_is_learned_from_beside_the_own_labels_of_the_target():
    (arm,) = plain_arms(["self_trained"], draws=1, labelled=False)
    assert all(trial.trained and not trial.real and trial.initial == "source" for trial in arm.trials[0])
    assert all(trial.source_weight == 1.0 and trial.pseudo_threshold for trial in arm.trials[0])
    assert len(set(arm.trials[0])) == 2


def test_without_labels_synthetic_images_may_count_as_much_as_pseudo_labels_and_with_labels_less():
    (unlabelled,) = plain_arms(["self_trained"], draws=1, labelled=False)
    best = unlabelled.trials[0][0]
    (without,) = gan_arms(["best_plus_gan"], ["translate"], [], [best])
    assert [trial.synthetic_weight for trial in without.trials[0]] == [1.0, 4.0]
    assert [replace(trial, synthetic_weight=None) for trial in without.trials[0]] == [best, best]
    (with_labels,) = gan_arms(["best_plus_gan"], ["translate"], [], [replace(best, real=True)])
    assert [trial.synthetic_weight for trial in with_labels.trials[0]] == [0.5, 1.0]


@pytest.mark.parametrize("labelled", [True, False])
def test_information_maximisation_is_self_training_that_is_told_to_be_sure_and_even(labelled):
    names = ["self_trained", "info_max"]
    self_trained, informed = plain_arms(names, draws=1, labelled=labelled)
    assert all(trial.information == 0.0 for trial in self_trained.trials[0])
    assert all(trial.information > 0.0 for trial in informed.trials[0])
    as_self_trained = {replace(trial, information=0.0, pseudo_threshold=None) for trial in informed.trials[0]}
    assert as_self_trained == {replace(trial, pseudo_threshold=None) for trial in self_trained.trials[0]}
    assert len(set(informed.trials[0])) == 2
