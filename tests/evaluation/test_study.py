"""A whole small study on real digits: choices on validation, one look at the test part, and a verdict on that."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import ARMS, Study, copied, experiment, prepared

from gtl_core.data.image_set import ImageSet
from gtl_core.errors import GtlError, InputError
from gtl_core.evaluation import held_out
from gtl_core.evaluation.held_out import Predictions
from gtl_core.evaluation.scores import score
from gtl_core.files import file_sha256
from gtl_core.training.classifier import load_classifier, predict


@pytest.fixture(scope="module")
def studied(tiny_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A finished study."""
    study = prepared(tiny_digits, tmp_path_factory.mktemp("study"), tuple("0123456789"), ARMS)
    study.run()
    return study


def test_every_arm_has_a_score_inside_its_interval_that_follows_from_the_predictions(studied: Study):
    predictions = Predictions.load(studied.folder)
    rows = studied.read("arms.json")
    expected = {*ARMS[:4], *(f"{arm}/finetune" for arm in ARMS[4:])}
    assert {row["arm"] for row in rows} == expected == set(predictions.arms)
    for row in rows:
        of_draws = [
            score(predictions.labels, predicted, "balanced_accuracy")
            for predicted in predictions.predicted(row["arm"])[:, 0]
        ]
        assert row["draws"] == pytest.approx(of_draws)
        assert row["mean"] == pytest.approx(np.mean(of_draws))
        assert row["low"] <= row["mean"] <= row["high"]
        assert np.mean(list(row["per_class_recall"].values())) == pytest.approx(row["mean"])


def test_the_predictions_are_those_of_the_saved_classifiers_on_the_test_part(studied: Study):
    digits, predictions = ImageSet.load(studied.target), Predictions.load(studied.folder)
    test = studied.draws[0].test
    np.testing.assert_array_equal(predictions.labels, digits.labels[test])
    model, classes = load_classifier(studied.folder / "cells" / "joint" / "1" / "classifier-0.safetensors")
    assert classes == digits.classes
    expected = predict(model, digits.images[test]).astype(np.float16)
    np.testing.assert_array_equal(predictions.of("joint")[1, 0], expected)


def test_the_verdict_compares_the_arms_that_validation_likes_best(studied: Study):
    verdict, rows = studied.read("verdict.json"), studied.read("arms.json")
    validation = {row["arm"]: row["validation_mean"] for row in rows}
    mean = {row["arm"]: row["mean"] for row in rows}
    plain = {arm: value for arm, value in validation.items() if "/" not in arm}
    judged = {arm: value for arm, value in validation.items() if "/" in arm and not arm.startswith("synthetic_only")}
    assert plain[verdict["baseline_arm"]] == max(plain.values())
    assert judged[verdict["arm"]] == max(judged.values())
    assert verdict["difference"] == pytest.approx(mean[verdict["arm"]] - mean[verdict["baseline_arm"]])
    assert verdict["label"] == ("helps" if verdict["low"] > 0 else "harms" if verdict["high"] < 0 else "inconclusive")
    assert verdict["detectable"] > 0
    assert {row["arm"] for row in verdict["comparisons"]} == set(judged)
    assert verdict["chosen_by"] == "balanced accuracy on the labelled validation part"
    assert {row["validation_measure"] for row in rows} == {"balanced_accuracy"}
    assert "tiny-digits with 5 labelled images a class, over 2 draws and 200 test images" in verdict["scope"]


def test_the_kept_classifier_is_the_best_of_all_by_validation(studied: Study):
    best, rows = studied.read("best/best.json"), studied.read("arms.json")
    validation = {row["arm"]: row["validation_mean"] for row in rows}
    assert validation[best["arm"]] == max(validation.values())
    cell = studied.folder / "cells" / best["arm"] / str(best["draw"]) / "classifier-0.safetensors"
    assert file_sha256(studied.folder / "best" / "classifier.safetensors") == file_sha256(cell)


def test_every_arm_has_as_many_trials_as_any_other(studied: Study):
    cells = [json.loads(path.read_text()) for path in (studied.folder / "cells").rglob("cell.json")]
    assert len(cells) == 14
    untuned = [cell for cell in cells if not cell["recipe"]["real"] and cell["recipe"]["synthetic_weight"] is None]
    assert [cell["trials"] for cell in untuned] == [1, 1]
    assert {cell["trials"] for cell in cells if cell not in untuned} == {2}


def test_the_test_part_is_opened_once_and_that_is_on_record(studied: Study):
    opened = studied.read("test_opened.json")
    verdict = studied.read("verdict.json")
    assert opened["images"] == 200
    assert opened["choices"]["baseline_arm"] == verdict["baseline_arm"]
    assert opened["choices"]["gan_arm"] == verdict["arm"]
    for arm, hashes in opened["classifiers"].items():
        files = [studied.folder / "cells" / arm / str(index) / "classifier-0.safetensors" for index in range(2)]
        assert hashes == [[file_sha256(file)] for file in files]


def test_labels_of_the_test_part_move_no_choice_and_no_classifier(studied: Study, tmp_path: Path):
    digits = ImageSet.load(studied.target)

    def turned_in_test(row: int, split: str) -> tuple[np.ndarray, int]:
        image, label = digits.images[row], int(digits.labels[row])
        return (255 - image, 9 - label) if split == "test" else (image, label)

    turned = copied(digits, tmp_path / "tiny-digits", turned_in_test)
    replace(studied, target=turned, folder=tmp_path / "evaluation").run()
    there, here = (
        json.loads((folder / "test_opened.json").read_text()) for folder in (studied.folder, tmp_path / "evaluation")
    )
    assert there["choices"] == here["choices"]
    assert there["classifiers"] == here["classifiers"]
    assert studied.read("arms.json") != json.loads((tmp_path / "evaluation" / "arms.json").read_text())


def test_a_stopped_evaluation_goes_on_and_ends_with_the_same_files(
    studied: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "evaluation"
    shutil.copytree(studied.folder, folder)
    for name in ("arms.json", "verdict.json", "predictions.npz", "test_opened.json", "arms.png"):
        (folder / name).unlink()
    shutil.rmtree(folder / "cells" / "joint" / "1")
    shutil.rmtree(folder / "best")
    kept = folder / "cells" / "joint" / "0" / "classifier-0.safetensors"
    before = kept.stat().st_mtime_ns
    studied.run(folder)
    assert kept.stat().st_mtime_ns == before
    files = sorted(path.relative_to(studied.folder) for path in studied.folder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    for name in files:
        assert file_sha256(folder / name) == file_sha256(studied.folder / name), name


def test_the_test_part_is_not_opened_again_for_other_classifiers(studied: Study, tmp_path: Path):
    folder = tmp_path / "evaluation"
    shutil.copytree(studied.folder, folder)
    record = json.loads((folder / held_out.OPENED).read_text())
    record["choices"]["baseline_arm"] = "real"
    (folder / held_out.OPENED).write_text(json.dumps(record))
    with pytest.raises(GtlError, match="opened before"):
        studied.run(folder)


def test_a_picture_of_the_arms_is_drawn_the_same_every_time(studied: Study):
    from PIL import Image

    with Image.open(studied.folder / "arms.png") as picture:
        assert picture.width > 600
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 10


def test_with_other_labels_in_the_source_its_trunk_helps_and_its_own_verdict_is_left_out(
    tiny_digits: Path, tmp_path: Path
):
    study = prepared(
        tiny_digits,
        tmp_path,
        ("0", "1", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
        ("source_only", "source_finetuned", "joint", "best_plus_gan"),
    )
    study.run()
    verdict = study.read("verdict.json")
    assert verdict["left_out"].keys() == {"source_only"}
    assert "no class 2, 3" in verdict["left_out"]["source_only"]
    model, classes = load_classifier(study.folder / "cells" / "joint" / "0" / "classifier-0.safetensors")
    assert classes == tuple("0123456789")
    assert model.head.out_features == 10
    chance = 0.1
    assert all(row["mean"] > 3 * chance for row in study.read("arms.json") if row["arm"] != "synthetic_only/finetune")


def test_an_evaluation_without_anything_to_compare_is_refused(studied: Study, tmp_path: Path):
    with pytest.raises(InputError, match="1 synthetic sets for 2 draws"):
        short = {"finetune": studied.synthetic["finetune"][:1]}
        replace(studied, synthetic=short, folder=tmp_path).run()
    draws = [replace(draw, unlabelled=np.array([], np.int64)) for draw in studied.draws]
    lonely = experiment(("self_trained", "best_plus_gan"))
    with pytest.raises(InputError, match="no arm without a GAN can take part"):
        replace(studied, experiment=lonely, draws=draws, folder=tmp_path).run()
    failed = replace(studied, synthetic={}, failures={"finetune": "it diverged"}, folder=tmp_path)
    with pytest.raises(InputError, match=r"no synthetic sets to judge \(finetune: it diverged\)"):
        failed.run()
    assert not list(tmp_path.iterdir())


def test_a_strategy_that_failed_is_left_out_with_its_reason_and_the_others_go_on(studied: Study, tmp_path: Path):
    folder = tmp_path / "evaluation"
    shutil.copytree(studied.folder / "cells", folder / "cells")
    replace(studied, failures={"freeze_d": "it diverged (draw 1)"}, folder=folder).run()
    left_out = json.loads((folder / "verdict.json").read_text())["left_out"]
    assert left_out == {
        f"{arm}/freeze_d": "it diverged (draw 1)" for arm in ("transferred_gan", "best_plus_gan", "synthetic_only")
    }
    assert (folder / "arms.json").read_text() == (studied.folder / "arms.json").read_text()
