"""The ways to go on from the source classifier are arms like the others, and differ in nothing but what learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_study import Study, prepared

from gtl_core.evaluation.arms import LABELLED_ARMS, ArmRecipe, gan_arms, joint_source_weight, plain_arms
from gtl_core.evaluation.cells import CellResult, CellSeed, Materials, source_images, train_cell
from gtl_core.evaluation.judging import Judge
from gtl_core.progress import silent
from gtl_core.training.batches import shared_out
from gtl_core.training.classifier import load_classifier

WAYS = ("feature_extraction", "last_stage", "discriminative_rates")


@pytest.fixture(scope="module")
def study(tiny_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """All that comes before an evaluation."""
    arms = ("source_finetuned", *WAYS, "best_plus_gan")
    return prepared(tiny_digits, tmp_path_factory.mktemp("study"), tuple("0123456789"), arms)


def trained(study: Study, trials: Sequence[ArmRecipe], folder: Path) -> CellResult:
    """One cell of the study on its first draw."""
    size = study.experiment.image.size
    folder.mkdir()
    return train_cell(
        folder=folder / "cell",
        trials=trials,
        draw=study.draws[0],
        seeds=[CellSeed(0, synthetic=study.synthetic["finetune"][0][0])],
        materials=Materials(
            study.target, size, study.source_classifier, source_images(study.source, size, folder), study.source, 6
        ),
        config=study.experiment.classifier,
        judge=Judge("accuracy", labelled=True),
        on_progress=silent,
    )


def test_each_way_is_fine_tuning_of_the_source_classifier_but_for_what_learns():
    tuned, *others = plain_arms(["source_finetuned", *WAYS], 1, 4, labelled=True)
    for arm in others:
        assert tuple(replace(trial, learns="all", rate_decay=1.0) for trial in arm.trials[0]) == tuned.trials[0]
    (head,), (last,), (rates,) = ({(trial.learns, trial.rate_decay) for trial in arm.trials[0]} for arm in others)
    assert (head, last, rates) == (("head", 1.0), ("last_stage", 1.0), ("all", 2.6))


def test_they_need_labelled_images():
    assert set(WAYS) <= set(LABELLED_ARMS)


def test_a_gan_s_images_are_added_to_whichever_way_was_best():
    best = plain_arms(["feature_extraction"], 1, 2, labelled=True)[0].trials[0][1]
    (arm,) = gan_arms(["best_plus_gan"], ["finetune"], [], [best], 2)
    assert [replace(trial, synthetic_weight=None) for trial in arm.trials[0]] == [best, best]


@pytest.mark.parametrize(
    ("way", "untouched"), [("feature_extraction", 3), ("last_stage", 2), ("discriminative_rates", 0)]
)
def test_the_classifier_of_an_arm_has_those_stages_of_the_source_s_that_did_not_learn(way, untouched, study, tmp_path):
    (arm,) = plain_arms([way], 1, 2, labelled=True)
    result = trained(study, arm.trials[0], tmp_path / "work")
    source, model = (load_classifier(path)[0] for path in (study.source_classifier, *result.classifiers))
    same = [
        all(torch.equal(old, new) for old, new in zip(*(s.state_dict().values() for s in pair), strict=True))
        for pair in zip(source.stages, model.stages, strict=True)
    ]
    assert same == [stage < untouched for stage in range(3)]
    assert result.recipe in arm.trials[0]
    assert result.validation[0] > 0.3


def test_a_frozen_backbone_learns_from_a_gan_s_images_and_from_the_source_too(study: Study, tmp_path: Path):
    recipe = ArmRecipe(initial="source", learns="head", source_weight=1.0, synthetic_weight=0.5)
    assert trained(study, [recipe], tmp_path / "work").validation[0] > 0.3


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95])
def test_the_joint_loss_is_the_weighted_one_to_the_nearest_whole_image_of_a_batch(share: float):
    of_target, of_source = shared_out(64, [1.0, joint_source_weight(share)])
    # The mean over a batch is the sum of both sets' means by their parts of it: λ · target + (1 − λ) · source.
    losses = torch.rand(64)
    parts = share * losses[:of_target].mean() + (1 - share) * losses[of_target:].mean()
    assert of_target + of_source == 64
    assert abs(of_target / 64 - share) <= 0.5 / 64
    assert losses.mean().item() == pytest.approx(parts.item(), abs=1 / 64)
