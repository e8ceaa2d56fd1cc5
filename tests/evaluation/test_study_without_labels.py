"""A whole small study of a target without labels: nothing is chosen by a label, and every file says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import ARMS, Study, copied, prepared

from gtl_core.data.draws import make_draws
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.evaluation.held_out import Predictions
from gtl_core.evaluation.scores import mutual_information
from gtl_core.files import file_sha256
from pipelines.reporting import verdict_sentence


@pytest.fixture(scope="module")
def study(tiny_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A finished study of a target without labels."""
    arms = (*ARMS, "info_max", "adapted")
    ready = prepared(tiny_digits, tmp_path_factory.mktemp("unlabelled"), tuple("0123456789"), arms, labelled=0)
    ready.run()
    return ready


def test_no_label_of_the_training_part_moves_a_choice_or_a_classifier(study: Study, tmp_path: Path):
    digits = ImageSet.load(study.target)

    def unknown_in_training(row: int, split: str) -> tuple[np.ndarray, int]:
        return digits.images[row], int(digits.labels[row]) if split == "test" else 0

    blind = copied(digits, tmp_path / "tiny-digits", unknown_in_training)
    draws = make_draws(ImageSet.load(blind), 0, 10, 0.3, 2, 0)
    replace(study, target=blind, draws=draws, folder=tmp_path / "evaluation").run()
    files = sorted(path.relative_to(study.folder) for path in study.folder.rglob("*") if path.is_file())
    assert len(files) == 7 + 3 * 2 * 6
    for name in files:
        assert file_sha256(tmp_path / "evaluation" / name) == file_sha256(study.folder / name), name


def test_every_choice_is_by_mutual_information_on_the_validation_images(study: Study):
    rows, choices = study.read("arms.json"), study.read("test_opened.json")["choices"]
    cells = {
        row["arm"]: [
            mutual_information(np.load(study.folder / "cells" / row["arm"] / str(draw) / "validation.npy")[0])
            for draw in range(2)
        ]
        for row in rows
    }
    mean = {arm: np.mean(values) for arm, values in cells.items()}
    assert {row["arm"]: row["validation_mean"] for row in rows} == pytest.approx(mean)
    plain = ["source_only", "self_trained", "info_max"]
    assert mean[choices["baseline_arm"]] == max(mean[arm] for arm in plain)
    assert mean[choices["gan_arm"]] == max(mean[arm] for arm in ("best_plus_gan/translate", "adapted/translate"))
    assert mean[choices["best_arm"]] == max(mean.values())
    assert cells[choices["best_arm"]][choices["best_draw"]] == max(cells[choices["best_arm"]])
    assert study.read("best/best.json")["validation"] == pytest.approx(max(cells[choices["best_arm"]]))


def test_what_choices_were_made_by_is_named_and_never_called_an_accuracy(study: Study):
    rule = "mutual information on unlabelled validation images"
    verdict = study.read("verdict.json")
    assert verdict["chosen_by"] == rule
    assert "with no labelled target images, over 2 draws" in verdict["scope"]
    assert f"chosen without labels, by {rule}" in verdict["scope"]
    assert f"{verdict['baseline_arm']}, the best without a GAN by {rule}" in verdict_sentence(verdict)
    assert {row["validation_measure"] for row in study.read("arms.json")} == {"mutual_information"}
    assert study.read("best/best.json")["validation_measure"] == "mutual_information"
    records = [json.loads(path.read_text()) for path in (study.folder / "cells").rglob("cell.json")]
    assert {record["chosen_by"] for record in records} == {rule}


def test_arms_that_need_labels_are_left_out_with_the_reason(study: Study):
    left_out = study.read("verdict.json")["left_out"]
    assert left_out.keys() == {"real_augmented", "joint", "transferred_gan"}
    assert left_out["joint"] == "there are no labelled target images"
    assert left_out["transferred_gan"] == "without labelled target images it is the same as synthetic_only"
    arms = [row["arm"] for row in study.read("arms.json")]
    plain, with_gan = arms[:3], arms[3:]
    assert plain == ["source_only", "self_trained", "info_max"]
    assert with_gan == ["best_plus_gan/translate", "synthetic_only/translate", "adapted/translate"]


def test_the_classifier_that_learned_beside_the_generator_is_judged_as_it_is(study: Study):
    predictions = Predictions.load(study.folder)
    # In this study it is the source classifier itself.
    assert np.array_equal(predictions.predicted("adapted/translate"), predictions.predicted("source_only"))
    cell = json.loads((study.folder / "cells" / "adapted" / "translate" / "0" / "cell.json").read_text())
    assert cell["trials"] == 1


def test_a_source_that_lacks_a_class_is_refused(study: Study, tmp_path: Path):
    digits = ImageSet.load(study.target)
    classes = ("zero", *digits.classes[1:])
    renamed = copied(
        digits, tmp_path / "tiny-digits", lambda row, _: (digits.images[row], int(digits.labels[row])), classes
    )
    with pytest.raises(InputError, match=r"the source has no class zero.*label some target images"):
        replace(study, target=renamed, folder=tmp_path / "evaluation").run()
