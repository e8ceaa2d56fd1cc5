"""Selection of synthetic images: what is wrong, odd or copied is left out with its reason, and the rest is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from gtl_core.config import ClassifierConfig, SynthesisConfig
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.errors import InputError
from gtl_core.files import file_sha256, read_json
from gtl_core.synthesis.filtering import copied, disagreeing, neighbours_for, outcome, sparse
from gtl_core.synthesis.selection import DROPPED, KnownImages, select
from gtl_core.synthesis.synthetic_set import SyntheticSet
from gtl_core.training.classifier import train_source_classifier

CONFIG = ClassifierConfig(width=8, steps=60, source_steps=250, batch=32)
PROVENANCE = {"generator_sha256": str, "seed": int, "class": str}
KINDS = ("good", "wrong class", "junk", "copy")


def test_an_image_that_is_taken_for_another_class_disagrees():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    assert disagreeing(probabilities, np.array([0, 0, 1])).tolist() == [False, True, False]


def test_on_a_line_an_image_is_sparse_beyond_the_usual_gap_and_a_copy_within_a_third_of_it():
    real = np.arange(10.0)[:, None]
    assert sparse(np.array([[4.5], [9.9], [10.1], [20.0]]), real, 1).tolist() == [False, False, True, True]
    assert copied(np.array([[4.0], [4.3], [4.4], [4.5], [9.3]]), real).tolist() == [True, True, False, False, True]


def test_where_training_images_lie_close_together_a_copy_must_be_closer_still():
    training = np.array([[0.0], [0.3], [10.0], [13.0]])
    assert copied(np.array([[0.05], [0.15], [10.9]]), training).tolist() == [True, False, True]
    twins = np.array([[0.0], [0.0], [5.0]])
    assert copied(np.array([[0.0], [0.01]]), twins).tolist() == [True, False]


def test_a_new_sample_of_the_same_law_is_seldom_left_out():
    rng = np.random.default_rng(0)
    lost, copies = [], []
    for _ in range(20):
        real, new = rng.normal(size=(100, 8)), rng.normal(size=(200, 8))
        lost.append(sparse(new, real, neighbours_for(100, 5)).mean())
        copies.append(copied(new, real).mean())
    assert 0.02 < np.mean(lost) < 0.08
    assert np.mean(copies) < 0.002


def test_few_references_are_asked_for_nearer_neighbours():
    assert [neighbours_for(count, 10) for count in (2, 50, 80, 200, 5000)] == [1, 1, 2, 5, 5]


def test_the_gravest_reason_is_told_and_a_class_that_would_lose_all_keeps_all():
    labels = np.array([0, 0, 0, 1, 1])
    flags = {
        "sparse": np.array([True, True, False, True, True]),
        "copy": np.array([True, False, False, False, True]),
    }
    reasons, spared = outcome(flags, labels, 2)
    assert reasons.tolist() == ["copy", "sparse", "", "", ""]
    assert spared == [1]


@pytest.fixture(scope="module")
def source_classifier(tiny_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of the digits' thicker relatives."""
    from scipy.ndimage import grey_dilation

    digits = ImageSet.load(tiny_digits)
    rows = digits.indices("train")
    thick = grey_dilation(np.array(digits.images[rows]), size=(1, 1, 2, 2))
    folder = tmp_path_factory.mktemp("source")
    return train_source_classifier(thick, digits.labels[rows], digits.classes, CONFIG, 0, folder)


@pytest.fixture(scope="module")
def known(tiny_digits: Path) -> KnownImages:
    """Eight labelled digits of each class."""
    digits = ImageSet.load(tiny_digits)
    rows = np.concatenate([np.flatnonzero(digits.labels == label)[:8] for label in range(10)])
    return KnownImages(np.array(digits.images[rows]), digits.labels[rows], np.array(digits.images[:0]))


@pytest.fixture
def poisoned(tiny_digits: Path, known: KnownImages, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A set whose images are real digits, and between them wrong classes, junk and copies; and the kind of each."""
    digits, rng = ImageSet.load(tiny_digits), np.random.default_rng(0)
    kinds = []
    with ImageSetWriter(tmp_path / "set", digits.classes, {"seed": 0}, PROVENANCE) as writer:
        for label in range(10):
            own = np.flatnonzero(digits.labels == label)[8:]
            others = np.flatnonzero(digits.labels == (label + 3) % 10)[8:]
            planted = {
                "good": digits.images[own[:25]],
                "wrong class": digits.images[others[-5:]],
                "junk": rng.integers(0, 256, (5, 1, 16, 16), dtype=np.uint8),
                "copy": _with_noise(known.images[known.labels == label][:5], rng),
            }
            for kind, images in planted.items():
                for image in np.array(images):
                    told = {"generator_sha256": "f" * 64, "seed": 0, "class": digits.classes[label]}
                    writer.add(image, label=label, source_file=f"{len(kinds)}.png", extra=told)
                    kinds.append(kind)
    return tmp_path / "set", np.array(kinds)


def _with_noise(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(images.astype(int) + rng.integers(-3, 4, images.shape), 0, 255).astype(np.uint8)


def test_planted_wrong_classes_junk_and_copies_are_found_and_good_images_stay(
    poisoned: tuple[Path, np.ndarray], known: KnownImages, source_classifier: Path
):
    folder, kinds = poisoned
    made = select(folder, ["agreement", "density", "copies"], known, source_classifier, CONFIG, 1)
    reasons = made.manifest["filter"].to_numpy(dtype=str)
    bad = kinds != "good"
    dropped = reasons != ""
    assert np.mean(dropped[bad]) > 0.9, "recall"
    assert np.mean(bad[dropped]) > 0.85, "precision"
    assert (reasons[kinds == "copy"] == "copy").all()
    assert dropped[kinds == "junk"].all()
    assert np.mean(reasons[kinds == "wrong class"] == "disagrees") > 0.8
    assert np.array_equal(made.kept, np.flatnonzero(~dropped))
    about = read_json(folder / "card.json")["filter"]
    assert about["kept"] == len(made.kept)
    assert sum(about["dropped"].values()) == dropped.sum()
    assert sum(sum(lost.values()) for lost in about["dropped_per_class"].values()) == dropped.sum()
    assert about["reference"] == {"images": 80, "what": "labelled target images"}
    assert (folder / DROPPED).is_file()


def test_each_rule_works_alone_and_leaves_pixels_and_other_columns_as_they_were(
    poisoned: tuple[Path, np.ndarray], known: KnownImages, source_classifier: Path
):
    folder, kinds = poisoned
    before, pixels = SyntheticSet.load(folder).manifest, file_sha256(folder / "images.npy")
    assert not SyntheticSet.load(folder).filtered
    made = select(folder, ["copies"], known, source_classifier, CONFIG, 1)
    assert set(made.manifest["filter"]) == {"", "copy"}
    assert (made.manifest["filter"][kinds == "copy"] == "copy").all()
    assert made.manifest.drop(columns="filter").equals(before)
    assert file_sha256(folder / "images.npy") == pixels
    made = select(folder, ["density"], known, source_classifier, CONFIG, 1)
    assert set(made.manifest["filter"]) == {"", "sparse"}


def test_a_class_of_nothing_but_junk_keeps_its_images_and_the_card_says_so(
    tiny_digits: Path, known: KnownImages, source_classifier: Path, tmp_path: Path
):
    digits, rng = ImageSet.load(tiny_digits), np.random.default_rng(0)
    with ImageSetWriter(tmp_path / "set", digits.classes, {}, PROVENANCE) as writer:
        for label, name in enumerate(digits.classes):
            rows = np.flatnonzero(digits.labels == label)[20:26]
            for row in rows:
                junk = rng.integers(0, 256, (1, 16, 16), dtype=np.uint8)
                image = junk if label == 4 else np.array(digits.images[row])
                writer.add(image, label=label, extra={"generator_sha256": "f" * 64, "seed": 0, "class": name})
    made = select(tmp_path / "set", ["density"], known, source_classifier, CONFIG, 1)
    assert (made.manifest["filter"][made.labels == 4] == "").all()
    assert read_json(tmp_path / "set" / "card.json")["filter"]["kept_whole"] == ["4"]


def test_without_labels_the_source_classifier_as_it_is_must_agree(
    poisoned: tuple[Path, np.ndarray], known: KnownImages, source_classifier: Path
):
    folder, kinds = poisoned
    unlabelled = KnownImages(known.images[:0], known.labels[:0], known.images)
    made = select(folder, ["agreement"], unlabelled, source_classifier, CONFIG, 1)
    dropped = made.manifest["filter"].to_numpy(dtype=str) == "disagrees"
    assert np.mean(dropped[kinds == "wrong class"]) > 0.7
    assert np.mean(dropped[kinds == "good"]) < 0.3
    renamed = folder.parent / "renamed"
    with ImageSetWriter(renamed, [*"abcdefghij"], {}, PROVENANCE) as writer:
        writer.add(known.images[0], label=0, extra={"generator_sha256": "f" * 64, "seed": 0, "class": "a"})
    with pytest.raises(InputError, match="does not know a, b"):
        select(renamed, ["agreement"], unlabelled, source_classifier, CONFIG, 1)


def test_with_nothing_to_compare_with_the_selection_refuses(
    poisoned: tuple[Path, np.ndarray], known: KnownImages, source_classifier: Path
):
    none = KnownImages(known.images[:0], known.labels[:0], known.images[:0])
    with pytest.raises(InputError, match="take it out"):
        select(poisoned[0], ["density"], none, source_classifier, CONFIG, 1)


@pytest.mark.parametrize("rules", [["agreement", "agreement"], ["taste"]])
def test_a_rule_stands_once_and_is_known(rules: list[str]):
    with pytest.raises(ValidationError):
        SynthesisConfig.model_validate({"filter": rules})
