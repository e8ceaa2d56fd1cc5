"""Arms: which recipes stand behind a name, and that the best one without a GAN is what a GAN is added to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gtl_core.evaluation.arms import PLAIN_ARMS, ArmRecipe, gan_arms, joint_source_weight, plain_arms


def test_no_arm_without_a_gan_sees_synthetic_images():
    arms = plain_arms(PLAIN_ARMS, draws=3)
    assert [arm.name for arm in arms] == list(PLAIN_ARMS)
    assert all(recipe.synthetic_weight is None for arm in arms for trials in arm.trials for recipe in trials)
    assert all(len(arm.trials) == 3 and arm.strategy is None for arm in arms)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_joint_loss_gives_the_target_the_share_that_was_asked_for(share: float):
    assert 1 / (1 + joint_source_weight(share)) == pytest.approx(share)


def test_the_best_arm_without_a_gan_plus_images_differs_from_it_in_nothing_else():
    best = [ArmRecipe(initial="source", source_weight=0.25), ArmRecipe(initial="source", learning_rate=0.5)]
    (arm,) = gan_arms(["real", "best_plus_gan"], ["freeze_d"], best)
    assert (arm.name, arm.kind, arm.strategy) == ("best_plus_gan/freeze_d", "best_plus_gan", "freeze_d")
    for recipe, trials in zip(best, arm.trials, strict=True):
        assert [replace(trial, synthetic_weight=None) for trial in trials] == [recipe, recipe]
        assert len({trial.synthetic_weight for trial in trials}) == 2


def test_each_strategy_gets_an_arm_of_its_own_and_samples_alone_see_no_real_image():
    arms = gan_arms(["transferred_gan", "synthetic_only"], ["finetune", "freeze_d"], [ArmRecipe()])
    assert [arm.name for arm in arms] == [
        "transferred_gan/finetune",
        "transferred_gan/freeze_d",
        "synthetic_only/finetune",
        "synthetic_only/freeze_d",
    ]
    assert all(not recipe.real for arm in arms[2:] for trials in arm.trials for recipe in trials)


def test_where_the_untouched_source_classifier_is_best_it_learns_from_samples_alone():
    untouched = ArmRecipe("source", real=False)
    (arm,) = gan_arms(["best_plus_gan"], ["finetune"], [untouched])
    assert not untouched.trained
    assert all(trial.trained and not trial.real and trial.initial == "source" for trial in arm.trials[0])
    assert len(set(arm.trials[0])) == 2
