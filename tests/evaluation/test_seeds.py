"""A study that repeats its GANs and its classifiers: choices by the mean over seeds, and the draw as the unit."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from scipy.stats import binomtest
from small_study import Study, prepared

from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.evaluation.arms import SCRATCH, ArmRecipe
from gtl_core.evaluation.cells import CellSeed, Materials, train_cell
from gtl_core.evaluation.held_out import Predictions
from gtl_core.evaluation.judging import Judge
from gtl_core.evaluation.scores import score
from gtl_core.files import file_sha256
from gtl_core.progress import silent
from gtl_core.training.classifier import load_classifier, predict

ARMS = ("source_only", "real_augmented", "real_oversampled", "scratch_gan", "best_plus_gan", "two_stage")
SEEDS = {
    "source_only": 1,
    "real_augmented": 2,
    "real_oversampled": 2,
    "best_plus_gan/finetune": 4,
    "two_stage/finetune": 4,
    "scratch_gan": 4,
}


@pytest.fixture(scope="module")
def study(tiny_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A finished study with two GAN seeds and two classifier seeds."""
    folder = tmp_path_factory.mktemp("seeds")
    ready = prepared(tiny_digits, folder, tuple("0123456789"), ARMS, gan_seeds=2, classifier_seeds=2)
    quick = ready.experiment.classifier.model_copy(update={"steps": 12})
    ready = replace(ready, experiment=ready.experiment.model_copy(update={"classifier": quick}))
    # The sets of the other draw stand for those of a GAN without the source: other images, made alike.
    ready.synthetic[SCRATCH] = ready.synthetic["finetune"][::-1]
    with joblib.parallel_config(backend="sequential"):
        ready.run()
    return ready


def cell(study: Study, arm: str, draw: int) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((study.folder / "cells" / arm / str(draw) / "cell.json").read_text())
    return content


def materials(study: Study) -> Materials:
    images = study.source / "images.npy"
    return Materials(study.target, 16, study.source_classifier, images, study.source, copies_per_class=5)


def trained(study: Study, folder: Path, trials: list[ArmRecipe], seeds: list[CellSeed]) -> dict[str, Any]:
    """A cell on the first draw, and its record."""
    result = train_cell(
        folder=folder,
        trials=trials,
        draw=study.draws[0],
        seeds=seeds,
        materials=materials(study),
        config=study.experiment.classifier,
        judge=Judge.of(study.experiment),
        on_progress=silent,
    )
    assert [file.is_file() for file in result.classifiers] == [True] * len(seeds)
    content: dict[str, Any] = json.loads((folder / "cell.json").read_text())
    return content


def test_an_arm_has_as_many_classifiers_as_random_numbers_move_it(study: Study):
    predictions = Predictions.load(study.folder)
    assert {arm: predictions.of(arm).shape for arm in predictions.arms} == {
        arm: (2, seeds, 200, 10) for arm, seeds in SEEDS.items()
    }
    for arm, seeds in SEEDS.items():
        files = [*(study.folder / "cells" / arm / "0").glob("classifier-*.safetensors")]
        assert len({file_sha256(file) for file in files}) == len(files) == seeds, arm


def test_the_seeds_of_a_draw_are_averaged_before_anything_is_compared(study: Study):
    predictions, verdict = Predictions.load(study.folder), study.read("verdict.json")
    means = {}
    for row in study.read("arms.json"):
        predicted = predictions.predicted(row["arm"])
        scores = [[score(predictions.labels, p, "balanced_accuracy") for p in of_draw] for of_draw in predicted]
        assert row["draws"] == pytest.approx(np.mean(scores, axis=1))
        means[row["arm"]] = np.mean(scores)
    assert verdict["draws"] == 2
    assert verdict["difference"] == pytest.approx(means[verdict["arm"]] - means[verdict["baseline_arm"]])


def test_every_choice_is_by_the_mean_over_draws_and_seeds(study: Study):
    labels = ImageSet.load(study.target).labels
    choices, mean, fits = study.read("test_opened.json")["choices"], {}, {}
    for arm in SEEDS:
        for draw in range(2):
            said = np.load(study.folder / "cells" / arm / str(draw) / "validation.npy")
            truth = labels[study.draws[draw].validation]
            scores = [score(truth, p.argmax(axis=1), "balanced_accuracy") for p in said]
            assert [value[0] for value in cell(study, arm, draw)["seeds"]] == pytest.approx(scores)
            assert cell(study, arm, draw)["validation"][0] == pytest.approx(np.mean(scores))
        seeds = [cell(study, arm, draw)["seeds"] for draw in range(2)]
        mean[arm] = tuple(np.mean([np.mean(of_draw, axis=0) for of_draw in seeds], axis=0))
        fits[arm] = {(draw, seed): tuple(value) for draw in range(2) for seed, value in enumerate(seeds[draw])}
    assert choices["baseline_arm"] == max(list(SEEDS)[:3], key=mean.__getitem__)
    assert choices["gan_arm"] == max(list(SEEDS)[3:5], key=mean.__getitem__)
    assert choices["best_arm"] == max(SEEDS, key=mean.__getitem__)
    of_best, of_gan = fits[choices["best_arm"]], fits[choices["gan_arm"]]
    assert of_best[choices["best_draw"], choices["best_seed"]] == max(of_best.values())
    assert of_gan[choices["mcnemar_draw"], choices["mcnemar_seed"]] == max(of_gan.values())


def test_a_trial_is_picked_by_the_mean_over_seeds(study: Study, tmp_path: Path):
    recipes = [ArmRecipe(learning_rate=rate) for rate in (1.0, 0.02)]
    seeds = [CellSeed(seed) for seed in (1, 2, 3)]
    alone = [trained(study, tmp_path / f"{index}", [recipe], seeds) for index, recipe in enumerate(recipes)]
    both = trained(study, tmp_path / "both", recipes, seeds)
    means = [np.mean(record["seeds"], axis=0) for record in alone]
    better = int(tuple(means[1]) > tuple(means[0]))
    assert both["recipe"] == alone[better]["recipe"]
    assert both["validation"] == pytest.approx(means[better])
    for index in range(3):
        name = f"classifier-{index}.safetensors"
        assert file_sha256(tmp_path / "both" / name) == file_sha256(tmp_path / str(better) / name)


def test_the_classifiers_of_one_gan_stand_beside_each_other_and_share_their_seeds_with_other_arms(
    study: Study, tmp_path: Path
):
    recipe = ArmRecipe(**cell(study, "scratch_gan", 0)["recipe"])
    seeds = [study.draws[0].repetition_seed(repetition) for repetition in range(2)]
    grid = [(made, seed) for made in study.synthetic[SCRATCH][0] for seed in seeds]
    made, seed = grid[2]
    trained(study, tmp_path / "gan", [recipe], [CellSeed(seed, made)])
    expected = study.folder / "cells" / "scratch_gan" / "0" / "classifier-2.safetensors"
    assert file_sha256(tmp_path / "gan" / "classifier-0.safetensors") == file_sha256(expected)
    plain = ArmRecipe(**cell(study, "real_augmented", 0)["recipe"])
    trained(study, tmp_path / "plain", [plain], [CellSeed(seeds[1])])
    expected = study.folder / "cells" / "real_augmented" / "0" / "classifier-1.safetensors"
    assert file_sha256(tmp_path / "plain" / "classifier-0.safetensors") == file_sha256(expected)


def test_mcnemar_speaks_of_the_pair_that_validation_likes_most_of_one_draw_and_one_classifier_seed(
    study: Study, tmp_path: Path
):
    folder, chosen = tmp_path / "evaluation", study.read("test_opened.json")["choices"]
    shutil.copytree(study.folder / "cells", folder / "cells")
    record = cell(study, chosen["gan_arm"], 1)
    # The second GAN of the second draw, and its second classifier.
    record["seeds"][3] = [1.0, 0.0]
    (folder / "cells" / chosen["gan_arm"] / "1" / "cell.json").write_text(json.dumps(record))
    with joblib.parallel_config(backend="sequential"):
        study.run(folder)
    choices = json.loads((folder / "test_opened.json").read_text())["choices"]
    assert (choices["gan_arm"], choices["mcnemar_draw"], choices["mcnemar_seed"]) == (chosen["gan_arm"], 1, 3)
    baseline_seed = min(1, SEEDS[choices["baseline_arm"]] - 1)
    assert choices["mcnemar_baseline_seed"] == baseline_seed
    predictions = Predictions.load(folder)
    first = predictions.hits(choices["gan_arm"])[1, 3]
    second = predictions.hits(choices["baseline_arm"])[1, baseline_seed]
    expected = binomtest(int(np.sum(first & ~second)), int(np.sum(first != second))).pvalue
    assert json.loads((folder / "verdict.json").read_text())["p_mcnemar"] == pytest.approx(expected)


def test_the_record_of_the_opening_names_the_seeds_and_every_classifier(study: Study):
    opened = study.read("test_opened.json")
    assert opened["seeds"] == SEEDS
    assert opened["draw_seeds"] == [draw.seed for draw in study.draws]
    for arm, of_draws in opened["classifiers"].items():
        folders = [study.folder / "cells" / arm / str(draw) for draw in range(2)]
        assert of_draws == [
            [file_sha256(folder / f"classifier-{seed}.safetensors") for seed in range(SEEDS[arm])] for folder in folders
        ]


def test_the_kept_classifier_says_which_gan_its_images_are_from(study: Study):
    best, choices = study.read("best/best.json"), study.read("test_opened.json")["choices"]
    name = f"classifier-{choices['best_seed']}.safetensors"
    kept = study.folder / "cells" / best["arm"] / str(best["draw"]) / name
    assert file_sha256(study.folder / "best" / "classifier.safetensors") == file_sha256(kept)
    with_gan = SEEDS[best["arm"]] == 4
    assert best["gan_seed"] == (choices["best_seed"] // 2 if with_gan else None)
    expected = {"scratch_gan": "scratch_gan"} | dict.fromkeys(list(SEEDS)[3:5], "finetune")
    assert best["strategy"] == expected.get(best["arm"])


def test_a_stopped_study_goes_on_with_the_seeds_that_it_had(study: Study, tmp_path: Path):
    folder = tmp_path / "evaluation"
    shutil.copytree(study.folder / "cells", folder / "cells")
    shutil.rmtree(folder / "cells" / "two_stage" / "finetune" / "1")
    (folder / "cells" / "scratch_gan" / "0" / "cell.json").unlink()
    kept = folder / "cells" / "real_augmented" / "0" / "classifier-1.safetensors"
    before = kept.stat().st_mtime_ns
    with joblib.parallel_config(backend="sequential"):
        study.run(folder)
    assert kept.stat().st_mtime_ns == before
    files = sorted(path.relative_to(study.folder) for path in study.folder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    for name in files:
        assert file_sha256(folder / name) == file_sha256(study.folder / name), name


def test_no_test_image_is_read_before_every_choice_is_made_and_on_record(study: Study, tmp_path: Path):
    nowhere = [replace(draw, test=np.array([10**6])) for draw in study.draws]
    folder = tmp_path / "evaluation"
    shutil.copytree(study.folder / "cells", folder / "cells")
    shutil.rmtree(folder / "cells" / "real_oversampled")
    with joblib.parallel_config(backend="sequential"), pytest.raises(IndexError):
        replace(study, draws=nowhere, folder=folder).run()
    opened = json.loads((folder / "test_opened.json").read_text())
    assert opened["choices"] == study.read("test_opened.json")["choices"]
    assert opened["classifiers"] == study.read("test_opened.json")["classifiers"]
    assert not (folder / "predictions.npz").exists()


def test_the_groups_of_the_test_images_are_kept_with_the_predictions(study: Study, tmp_path: Path):
    target = tmp_path / "tiny-digits"
    shutil.copytree(study.target, target)
    manifest = ImageSet.load(target).manifest
    manifest["group"] = [f"device {row % 3}" for row in range(len(manifest))]
    manifest.to_parquet(target / "manifest.parquet")
    folder = tmp_path / "evaluation"
    shutil.copytree(study.folder / "cells", folder / "cells")
    with joblib.parallel_config(backend="sequential"):
        replace(study, target=target, folder=folder).run()
    assert Predictions.load(folder).groups.tolist() == [f"device {row % 3}" for row in study.draws[0].test]
    assert set(Predictions.load(study.folder).groups) == {""}


def test_a_two_stage_classifier_ends_where_fine_tuning_from_its_first_stage_does(study: Study, tmp_path: Path):
    """That is, its two halves are two trainings, with the synthetic images in the first alone."""
    recipe = ArmRecipe(initial="source", synthetic_weight=1.0, synthetic_first=True)
    made, seed = study.synthetic["finetune"][0][0], study.draws[0].seed
    half = study.experiment.classifier.model_copy(update={"steps": study.experiment.classifier.steps // 2})
    stages = replace(study, experiment=study.experiment.model_copy(update={"classifier": half}))
    # Judged on no checkpoint but the last, as the first stage is.
    first = train_cell(
        folder=tmp_path / "first",
        trials=[replace(recipe, real=False, synthetic_first=False)],
        draw=study.draws[0],
        seeds=[CellSeed(seed, made)],
        materials=materials(study),
        config=half,
        judge=Judge("balanced_accuracy", labelled=False),
        on_progress=silent,
    )
    second = replace(stages, source_classifier=first.classifiers[0])
    trained(
        second, tmp_path / "second", [replace(recipe, synthetic_weight=None, synthetic_first=False)], [CellSeed(seed)]
    )
    trained(study, tmp_path / "both", [recipe], [CellSeed(seed, made)])
    images = ImageSet.load(study.target).images[study.draws[0].validation]
    said = [
        predict(load_classifier(tmp_path / name / "classifier-0.safetensors")[0], images) for name in ("second", "both")
    ]
    np.testing.assert_array_equal(*said)


def test_images_that_a_selection_leaves_out_are_not_learned_from(study: Study, tmp_path: Path):
    made = study.synthetic["finetune"][0][0]
    recipes = [ArmRecipe(synthetic_weight=1.0, filtered=filtered) for filtered in (True, False)]
    sums: dict[bool, set[str]] = {True: set(), False: set()}
    for junk in (0, 255):
        folder = tmp_path / f"made-{junk}"
        shutil.copytree(made, folder)
        images, manifest = np.load(folder / "images.npy"), ImageSet.load(folder).manifest
        dropped = np.arange(len(images)) % 3 == 0
        images[dropped] = junk
        np.save(folder / "images.npy", images, allow_pickle=False)
        manifest["filter"] = np.where(dropped, "disagrees", "")
        manifest.to_parquet(folder / "manifest.parquet")
        for recipe in recipes:
            place = tmp_path / f"cell-{junk}-{recipe.filtered}"
            trained(study, place, [recipe], [CellSeed(1, folder)])
            sums[recipe.filtered].add(file_sha256(place / "classifier-0.safetensors"))
    assert len(sums[True]) == 1
    assert len(sums[False]) == 2


def with_arms(study: Study, *arms: str) -> Study:
    evaluation = study.experiment.evaluation.model_copy(update={"arms": arms})
    return replace(study, experiment=study.experiment.model_copy(update={"evaluation": evaluation}))


def test_an_arm_whose_images_were_not_made_is_left_out_with_the_reason(study: Study, tmp_path: Path):
    folder = tmp_path / "evaluation"
    shutil.copytree(study.folder / "cells", folder / "cells")
    made = {"finetune": study.synthetic["finetune"]}
    asked = with_arms(study, "real_augmented", "scratch_gan", "best_plus_gan", "filtered_plus_gan")
    # The baseline is another one than in the whole study, so what was built on that one is made anew.
    shutil.rmtree(folder / "cells" / "best_plus_gan")
    with joblib.parallel_config(backend="sequential"):
        replace(asked, synthetic=made, failures={SCRATCH: "it diverged (draw 1)"}, folder=folder).run()
    assert json.loads((folder / "verdict.json").read_text())["left_out"] == {
        "scratch_gan": "it diverged (draw 1)",
        "filtered_plus_gan/finetune": "its synthetic images were not filtered",
    }


def test_what_cannot_be_judged_is_refused_before_any_training(study: Study, tmp_path: Path):
    short = {"finetune": [folders[:1] for folders in study.synthetic["finetune"]]}
    with pytest.raises(InputError, match="1 synthetic sets of draw 0 for 2 GAN seeds"):
        replace(study, synthetic=short, folder=tmp_path / "short").run()
    alone = {SCRATCH: study.synthetic[SCRATCH]}
    with pytest.raises(InputError, match="no synthetic sets to judge"):
        replace(study, synthetic=alone, folder=tmp_path / "alone").run()
    with pytest.raises(InputError, match=r"about can take part \(filtered_plus_gan/finetune: .*not filtered"):
        replace(with_arms(study, "real_augmented", "filtered_plus_gan"), folder=tmp_path / "bare").run()
    assert not [name for name in ("short", "alone", "bare") if (tmp_path / name).exists()]
