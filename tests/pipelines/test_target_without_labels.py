"""Images that nobody has labelled, from their folder to a verdict: the chain of stages without Dagster."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import grey_dilation
from sklearn.datasets import load_digits

from gtl_core.config import Experiment
from gtl_core.data.image_set import UNLABELLED, ImageSetWriter, fitted
from gtl_core.data.importing import import_images
from gtl_core.evaluation.held_out import Predictions
from gtl_core.files import read_json
from gtl_core.homes import Homes
from pipelines.defs.data import _describe
from pipelines.stages import Chain

SOURCE, TRAIN, TEST = slice(0, 600), slice(600, 800), slice(997, 1097)
"""Which of the handwritten digits are made thick for the source, are new and unlabelled, and are labelled to judge."""

EXPERIMENT = Experiment.model_validate(
    {
        "name": "new-scanner",
        "source": {"dataset": "thick"},
        "target": {"dataset": "scans", "labelled_per_class": 0, "validation_per_class": 5, "use_unlabelled": True},
        "image": {"size": 16, "channels": 1},
        "transfer": {"strategies": [{"name": "translate", "width": 8, "batch": 16, "steps": 8, "bank_per_class": 20}]},
        "synthesis": {"per_class": 5},
        "classifier": {"width": 8, "steps": 20, "source_steps": 40, "batch": 32},
        "evaluation": {"arms": ["source_only", "info_max", "best_plus_gan", "adapted"], "draws": 2, "bootstrap": 200},
    }
)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """All stages up to the evaluation, over a folder of PNG files: train/unlabelled/ and test/CLASS/."""
    root = tmp_path_factory.mktemp("project")
    homes = Homes(root, *(root / name for name in ("data", "mlruns", "artifacts", ".dagster", "experiments")))
    bunch = load_digits()
    images, labels = np.round(bunch.images * 255 / 16).astype(np.uint8), bunch.target
    for part in (TRAIN, TEST):
        for index in range(part.start, part.stop):
            place = "train/unlabelled" if part is TRAIN else f"test/{labels[index]}"
            path = root / "files" / place / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[index]).save(path)
    import_images("scans", root / "files", homes.data)
    with ImageSetWriter(homes.data / "thick", tuple("0123456789")) as writer:
        for image, label in zip(fitted(images[SOURCE, None], 16), labels[SOURCE], strict=True):
            writer.add(grey_dilation(image, size=(1, 2, 2)), label=int(label))

    made = Chain(EXPERIMENT, homes)
    made.data_validation()
    made.require_valid()
    made.draws()
    made.source_classifier()
    made.transferred_gans()
    made.synthetic_images()
    made.evaluation()
    return made


def test_every_image_without_label_is_learned_from_or_chosen_on_and_none_is_judged_on(chain: Chain) -> None:
    target = chain.sets[1]
    unlabelled = np.flatnonzero(target.labels == UNLABELLED)
    assert Counter(target.manifest["split"].iloc[unlabelled]) == {"train": 200}
    for draw in chain.load_draws():
        assert not len(draw.labelled)
        assert np.array_equal(np.sort(np.concatenate([draw.unlabelled, draw.validation])), unlabelled)
        assert len(draw.validation) == 50
        assert np.array_equal(draw.test, target.indices("test"))


def test_the_evaluation_ends_with_a_verdict_over_the_few_labelled_test_images(chain: Chain) -> None:
    folder: Path = chain.require("evaluation").path
    assert read_json(folder / "verdict.json")["label"] in ("helps", "harms", "inconclusive")
    assert [row["arm"] for row in read_json(folder / "arms.json")] == [
        "source_only",
        "info_max",
        "best_plus_gan/translate",
        "adapted/translate",
    ]
    expected = np.bincount(load_digits().target[TEST])
    assert np.array_equal(np.bincount(Predictions.load(folder).labels), expected)


def test_synthetic_images_are_measured_without_a_label_of_the_target(chain: Chain) -> None:
    quality = read_json(chain.synthetic_quality().path / "quality.json")
    assert set(quality["missing"].values()) == {
        "there are no labelled target images",
        "no image of the target says which group it belongs to",
    }
    assert quality["strategies"]["translate"]["memorisation"]["exact_copies"] == 0


def test_the_domain_gap_is_measured_by_looks_alone(chain: Chain) -> None:
    gap = read_json(chain.domain_gap().path / "gap.json")
    assert gap["light"] in ("green", "amber", "red")
    assert gap["parts"]["labels"] is None
    assert set(gap["missing"]) == {"leep", "logme", "h_score", "nearest_class"}
    assert gap["what"] == "500 images of the source and 200 of the target's training part; no test image"


def test_dagster_counts_images_without_label_in_a_row_of_their_own(chain: Chain) -> None:
    shown: Any = _describe(chain.sets[1]).metadata["images per class"]
    rows = {record.data["class"]: (record.data["train"], record.data["test"]) for record in shown.records}
    assert rows["no label"] == (200, 0)
    assert rows["9"] == (0, np.count_nonzero(load_digits().target[TEST] == 9))
    assert len(rows) == 11


def test_sets_are_validated_anew_where_labels_may_no_longer_be_looked_at(tiny_digits: Path, tmp_path: Path) -> None:
    homes = Homes(tmp_path, *(tmp_path / name for name in ("data", "mlruns", "artifacts", ".dagster", "experiments")))
    for name in ("thick", "scans"):
        shutil.copytree(tiny_digits, homes.data / name)
    keys = {
        Chain(
            EXPERIMENT.model_copy(
                update={"target": EXPERIMENT.target.model_copy(update={"labelled_per_class": labelled})}
            ),
            homes,
        ).validation_key
        for labelled in (0, 1, 5)
    }
    assert len(keys) == 2
