"""What is measured of the synthetic images of an experiment: everything, or one clear line why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gtl_core.config import Experiment
from gtl_core.data.draws import Draw, make_draws
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.metrics import features
from gtl_core.metrics.distribution import METRICS
from gtl_core.metrics.quality import measure
from gtl_core.progress import silent
from gtl_core.synthesis.sampling import synthesise
from gtl_core.training.classifier import train_source_classifier
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.pretrain import pretrain_source
from gtl_core.transfer.strategies import transfer

CLASSES = tuple("0123456789")
STRATEGIES = ("finetune", "translate")
LABELLED, PER_CLASS = 5, 20
PARTS = {"overall", "per_class", "memorisation", "shares", "trajectory"}
STRATEGY_PICTURES = {"neighbours", "neighbour_distances", "distances_train", "distances_held_out", "examples", "walk"}


def experiment_with(labelled: int) -> Experiment:
    arms = ["real", "best_plus_gan"] if labelled else ["source_only", "self_trained", "best_plus_gan"]
    return Experiment.model_validate(
        {
            "name": "small",
            "source": {"dataset": "source"},
            "target": {
                "dataset": "target",
                "labelled_per_class": labelled,
                "validation_per_class": 5,
                "use_unlabelled": not labelled,
            },
            "image": {"size": 16, "channels": 1},
            "gan": {"width": 4, "latent": 8, "steps": 4, "batch": 16},
            "transfer": {
                "strategies": [
                    *(["finetune"] if labelled else []),
                    {"name": "translate", "width": 8, "latent": 4, "batch": 8, "steps": 8, "bank_per_class": 7},
                ],
                "steps": 8,
            },
            "synthesis": {"per_class": PER_CLASS},
            "classifier": {"width": 8, "batch": 16, "source_steps": 20, "steps": 20},
            "evaluation": {"arms": arms, "draws": 2},
        }
    )


class Study:
    """What the stages before the measurement leave, really made, for a few steps each."""

    def __init__(self, root: Path, digits: Path, labelled: int) -> None:
        self.root, self.experiment = root, experiment_with(labelled)
        self.source, self.target = root / "source", root / "target"
        shutil.copytree(digits, self.target)
        found = ImageSet.load(self.target)
        train = found.indices("train")
        with ImageSetWriter(self.source, classes=CLASSES) as writer:
            for row in train:
                writer.add(255 - found.images[row], label=int(found.labels[row]), split="train", source_file=f"{row}")
        self._group()
        self.draws = make_draws(
            ImageSet.load(self.target),
            labelled_per_class=labelled,
            validation_per_class=5,
            test_fraction=0.3,
            draws=2,
            seed=0,
        )
        source = ImageSet.load(self.source)
        images = np.array(source.images)
        self.source_classifier = train_source_classifier(
            images, source.labels, CLASSES, self.experiment.classifier, 0, root / "classifier"
        )
        gan = pretrain_source(images, source.labels, CLASSES, self.experiment.gan, 0, root / "gan", silent)
        self.gans: dict[str, list[Path]] = {}
        self.synthetic: dict[str, list[Path]] = {}
        for strategy in self.experiment.transfer.strategies:
            for index, draw in enumerate(self.draws):
                folder = root / strategy.label / str(index)
                pool = draw.unlabelled if not labelled else draw.unlabelled[:0]
                inputs = TransferInputs(
                    images=np.array(found.images[draw.labelled]),
                    labels=found.labels[draw.labelled],
                    classes=CLASSES,
                    unlabelled=np.array(found.images[pool]),
                    source_images=images,
                    source_labels=source.labels,
                    source_classes=CLASSES,
                    source_gan=gan,
                    source_classifier=self.source_classifier,
                    seed=draw.seed,
                )
                path = transfer(strategy, inputs, self.experiment.gan, self.experiment.transfer, folder, silent)
                self.gans.setdefault(strategy.label, []).append(path)
                made = synthesise(path, PER_CLASS, draw.seed, folder / "images")
                self.synthetic.setdefault(strategy.label, []).append(made.folder)

    def _group(self) -> None:
        """Gives every training image one of sixty lots."""
        path = self.target / "manifest.parquet"
        manifest = pd.read_parquet(path)
        train = (manifest["split"] == "train").to_numpy()
        manifest.loc[train, "group"] = [f"lot-{number % 60}" for number in range(int(train.sum()))]
        manifest.to_parquet(path)

    def measured(self, folder: Path, **changed: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The numbers and the pictures."""
        given = {
            "source": self.source,
            "target": self.target,
            "draws": self.draws,
            "source_classifier": self.source_classifier,
            "synthetic": self.synthetic,
            "gans": self.gans,
            "failures": {},
        }
        measure(self.experiment, **{**given, **changed}, folder=folder)
        numbers = json.loads((folder / "quality.json").read_text(), parse_constant=pytest.fail)
        with np.load(folder / "quality.npz", allow_pickle=False) as pictures:
            return numbers, dict(pictures)


@pytest.fixture(scope="module", autouse=True)
def short() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "STEPS", 5)
        patch.setattr("gtl_core.metrics.trajectory.STEPS", 2)
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, tiny_digits: Path) -> Study:
    return Study(tmp_path_factory.mktemp("study"), tiny_digits, LABELLED)


@pytest.fixture(scope="module")
def measured(study: Study) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return study.measured(study.root / "quality")


def test_every_strategy_has_every_part_and_nothing_is_missing(measured) -> None:
    numbers, _ = measured
    assert numbers["missing"] == {}
    assert set(numbers["strategies"]) == set(STRATEGIES)
    assert [metric["name"] for metric in numbers["metrics"]] == [metric.name for metric in METRICS]
    for found in numbers["strategies"].values():
        assert set(found) == PARTS
        assert all(len(value["draws"]) == 2 for value in found["overall"].values())
        assert set(found["per_class"]) == set(CLASSES)
        assert set(found["shares"]) == {"class", "group"}
        assert found["memorisation"]["synthetic"] == 2 * PER_CLASS * len(CLASSES)
    assert numbers["extractor"]["learned_from"] == "the source and 50 held-out images of the target"


def test_every_metric_stands_between_its_floor_and_beyond(measured) -> None:
    metrics = {metric["name"]: metric for metric in measured[0]["metrics"]}
    assert metrics["frechet"]["floor"] < metrics["frechet"]["ceiling"]
    assert metrics["coverage"]["floor"] > metrics["coverage"]["ceiling"]
    # Generators of eight steps draw nothing that looks like a digit.
    finetune = measured[0]["strategies"]["finetune"]["overall"]
    assert finetune["frechet"]["mean"] > 5 * metrics["frechet"]["floor"]


def test_the_trajectory_goes_from_the_start_to_the_last_step(measured) -> None:
    for found in measured[0]["strategies"].values():
        assert [row["step"] for row in found["trajectory"]] == [0, 2, 4, 6, 8]
        assert all(0.0 <= row["usefulness"] <= 1.0 and row["frechet"] > 0 for row in found["trajectory"])


def test_the_pictures_have_the_shapes_that_the_report_reads(measured) -> None:
    pictures = measured[1]
    wanted = {f"{part}/{label}" for part in STRATEGY_PICTURES for label in STRATEGIES}
    assert set(pictures) == wanted | {"pca/source", "pca/target"} | {f"pca/synthetic/{label}" for label in STRATEGIES}
    for label in STRATEGIES:
        shown = len(pictures[f"neighbours/{label}"])
        assert pictures[f"neighbours/{label}"].shape == (shown, 3, 1, 16, 16)
        assert pictures[f"neighbour_distances/{label}"].shape == (shown, 2)
        assert pictures[f"examples/{label}"].shape == (10, 3, 8, 1, 16, 16)
        assert pictures[f"walk/{label}"].shape == (5, 9, 1, 16, 16)
        assert pictures[f"distances_train/{label}"].shape == (PER_CLASS * 10,)
        assert pictures[f"pca/synthetic/{label}"].shape[1] == 2
        assert {array.dtype for name, array in pictures.items() if label in name} <= {
            np.dtype(np.uint8),
            np.dtype(np.float32),
        }


def test_no_test_image_is_looked_at_and_the_rest_is_measured_the_same_again(
    study: Study, measured, tmp_path: Path
) -> None:
    found = ImageSet.load(study.target)
    images = np.array(found.images)
    images[study.draws[0].test] = 0
    changed = shutil.copytree(study.target, tmp_path / "target")
    np.save(changed / "images.npy", images, allow_pickle=False)
    again, pictures = study.measured(tmp_path, target=changed)
    assert again == measured[0]
    assert all(np.array_equal(pictures[name], array) for name, array in measured[1].items())


def test_a_set_that_holds_training_images_is_found_and_what_the_generator_really_drew_is_not(
    study: Study, measured, tmp_path: Path
) -> None:
    found = ImageSet.load(study.target)
    folders = []
    for index, draw in enumerate(study.draws):
        with ImageSetWriter(tmp_path / str(index), classes=CLASSES) as writer:
            for row in np.resize(draw.labelled, PER_CLASS * 10):
                writer.add(found.images[row], label=int(found.labels[row]), split="", source_file=f"{row}")
        folders.append(tmp_path / str(index))
    copies = {"finetune": folders}
    numbers, _ = study.measured(tmp_path, synthetic=copies, gans={"finetune": study.gans["finetune"]})
    memorisation = numbers["strategies"]["finetune"]["memorisation"]
    assert memorisation["screen"] == "copies"
    assert memorisation["exact_copies"] == 2 * PER_CLASS * 10
    assert memorisation["distance_ratio"] == 0.0
    assert measured[0]["strategies"]["finetune"]["memorisation"]["screen"] != "copies"


def test_without_labels_what_needs_them_is_missing_with_its_reason_and_the_rest_is_made(
    tmp_path: Path, tiny_digits: Path
) -> None:
    numbers, pictures = Study(tmp_path, tiny_digits, 0).measured(tmp_path / "quality")
    (found,) = numbers["strategies"].values()
    assert found["overall"]["coverage"]["mean"] >= 0.0
    assert found["per_class"] == {}
    assert set(found["shares"]) == {"group"}
    assert [row["usefulness"] for row in found["trajectory"]] == [None] * 5
    assert numbers["missing"] == dict.fromkeys(
        ("metrics of each class", "shares of classes", "usefulness along the training"),
        "there are no labelled target images",
    )
    assert numbers["extractor"]["learned_from"] == "the source"
    assert "walk/translate" in pictures


def test_a_failed_strategy_a_short_set_a_damaged_one_and_a_lost_milestone_are_one_line_each(
    study: Study, tmp_path: Path
) -> None:
    short = tmp_path / "short"
    made = ImageSet.load(study.synthetic["finetune"][0])
    with ImageSetWriter(short, classes=CLASSES) as writer:
        for row in range(0, len(made), 2):
            writer.add(made.images[row], label=int(made.labels[row]), split="", source_file=f"{row}")
    bare = tmp_path / "gan.safetensors"
    shutil.copy(study.gans["finetune"][0], bare)
    numbers, pictures = study.measured(
        tmp_path / "quality",
        synthetic={"finetune": [short, study.synthetic["finetune"][1]], "translate": [tmp_path, tmp_path]},
        gans={"finetune": [bare, study.gans["finetune"][1]], "translate": study.gans["translate"]},
        failures={"mine": "it diverged"},
    )
    missing = numbers["missing"]
    assert missing["mine"] == "it made no images: it diverged"
    assert missing["finetune: images of draw 0"].startswith("100 of 200 synthetic images that were asked for")
    assert "is no image set" in missing["translate: synthetic images"]
    assert missing["finetune: trajectory"].startswith("its training kept no milestones")
    assert all("\n" not in reason for reason in missing.values())
    # An even comparison takes as many images as the smallest set has.
    assert numbers["reference"]["compared"] == 100
    assert numbers["strategies"]["finetune"]["overall"]["coverage"]["mean"] >= 0.0
    assert numbers["strategies"]["translate"]["overall"] == {}
    assert pictures["walk/finetune"].shape[0] == 1


def test_a_class_without_reference_image_is_named_and_the_other_classes_are_measured(
    study: Study, tmp_path: Path
) -> None:
    labels = ImageSet.load(study.target).labels
    draws = [
        Draw(
            draw.seed,
            draw.labelled,
            draw.unlabelled[labels[draw.unlabelled] != 3],
            draw.validation[labels[draw.validation] != 3],
            draw.test,
        )
        for draw in study.draws
    ]
    numbers, pictures = study.measured(tmp_path, draws=draws)
    assert numbers["missing"]["finetune: class 3"].startswith("0 real and 20 synthetic images")
    assert set(numbers["strategies"]["finetune"]["per_class"]) == set(CLASSES) - {"3"}
    assert len(pictures["examples/finetune"]) == 10


def test_a_source_classifier_of_another_size_leaves_one_line_and_an_empty_measurement(
    study: Study, tmp_path: Path
) -> None:
    images = np.zeros((20, 1, 20, 20), np.uint8)
    other = train_source_classifier(
        images, np.arange(20) % 10, CLASSES, study.experiment.classifier, 0, tmp_path / "classifier"
    )
    numbers, pictures = study.measured(tmp_path, source_classifier=other)
    assert list(numbers["missing"]) == ["everything"]
    assert "trained for 1×20×20 images" in numbers["missing"]["everything"]
    assert (numbers["strategies"], pictures) == ({}, {})
