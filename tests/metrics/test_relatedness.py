"""The domain gap: what it says of near and far sets, what it never looks at, and how it bears missing parts."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtl_core.config import ClassifierConfig
from gtl_core.data.decoding import decoded, prepared
from gtl_core.data.draws import Draw, make_draws
from gtl_core.data.image_set import ImageSet, ImageSetWriter, fitted
from gtl_core.data.readers.layouts import open_reader
from gtl_core.errors import InputError
from gtl_core.homes import Homes
from gtl_core.metrics.light import domain_gap, light, sentence
from gtl_core.metrics.relatedness import gap_of_draw
from gtl_core.progress import silent
from gtl_core.training.classifier import train_source_classifier
from pipelines.candidates import rank_sources

CONFIG = ClassifierConfig(width=8, source_steps=200)


@pytest.fixture(scope="module")
def source(tiny_digits: Path) -> ImageSet:
    return ImageSet.load(tiny_digits)


@pytest.fixture(scope="module")
def classifier(source: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = source.training_rows()
    folder = tmp_path_factory.mktemp("classifier")
    return train_source_classifier(source.images[rows], source.labels[rows], source.classes, CONFIG, 0, folder)


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Other digits of the same collection: 40 a class, and ten a class to test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = fitted(np.round(bunch.images * 255 / 16).astype(np.uint8)[:, None], 16)
    rows = {label: np.flatnonzero(bunch.target == label)[60:110] for label in range(10)}
    return written(
        tmp_path_factory.mktemp("near") / "near", tuple("0123456789"), {k: images[v] for k, v in rows.items()}
    )


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Noise of three mean brightnesses under names that no digit has."""
    rng = np.random.default_rng(0)
    images = {label: rng.integers(60 * label, 60 * label + 136, (50, 1, 16, 16)).astype(np.uint8) for label in range(3)}
    return written(tmp_path_factory.mktemp("far") / "far", ("dark", "grey", "bright"), images)


def written(folder: Path, classes: tuple[str, ...], images: dict[int, np.ndarray]) -> ImageSet:
    with ImageSetWriter(folder, classes=classes) as writer:
        for label, of_class in images.items():
            for rank, image in enumerate(of_class):
                writer.add(image, label=label, split="train" if rank < 40 else "test", source_file=f"{label}/{rank}")
    return ImageSet.load(folder)


def one_draw(target: ImageSet, labelled: int = 10) -> Draw:
    return make_draws(target, labelled, 5, 0.3, 1, 0)[0]


def gap(
    source: ImageSet, target: ImageSet, classifier: Path, draw: Draw | None = None, use_labels: bool = True
) -> dict[str, Any]:
    found = gap_of_draw(source, target, draw or one_draw(target), classifier, size=16, use_labels=use_labels, seed=0)
    json.dumps(found, allow_nan=False)
    return found


@pytest.fixture(scope="module")
def close(source: ImageSet, near: ImageSet, classifier: Path) -> dict[str, Any]:
    return gap(source, near, classifier)


@pytest.fixture(scope="module")
def distant(source: ImageSet, far: ImageSet, classifier: Path) -> dict[str, Any]:
    return gap(source, far, classifier)


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {measure["name"]: measure for measure in found["measures"]}


def test_other_images_of_the_same_kind_are_green_and_noise_is_red(
    close: dict[str, Any], distant: dict[str, Any]
) -> None:
    assert (close["light"], distant["light"]) == ("green", "red")
    assert close["parts"]["looks"] < 0.05 < 0.4 < distant["parts"]["looks"]
    assert close["sentence"].startswith("Green: ")
    assert "never a decision" in close["sentence"]
    for name in ("mmd", "kernel_distance", "a_distance"):
        assert by_name(close)[name]["value"] < by_name(distant)[name]["value"]


def test_every_measure_has_its_interval_its_meaning_and_what_it_is_where_the_answer_is_known(
    close: dict[str, Any],
) -> None:
    measures = by_name(close)
    assert list(measures) == [
        "mmd",
        "kernel_distance",
        "a_distance",
        "leep",
        "logme",
        "h_score",
        "nearest_class_agrees",
    ]
    assert close["missing"] == {}
    for measure in measures.values():
        assert measure["low"] <= measure["value"] <= measure["high"]
        assert measure["meaning"].endswith(".")
        assert measure["reference_is"]
    assert measures["kernel_distance"]["p"] is not None
    # Two halves of one set are at distance 0; labels dealt at random are explained worse than the true ones.
    assert abs(measures["mmd"]["reference"]) < 0.02
    for name in ("leep", "logme", "h_score"):
        assert measures[name]["reference"] < measures[name]["low"]


def test_each_class_is_nearest_to_its_namesake_in_a_set_of_the_same_kind(
    close: dict[str, Any],
) -> None:
    right = [name for name, row in close["nearest_class"].items() if row["source_class"] == name]
    assert len(right) >= 9
    assert by_name(close)["nearest_class_agrees"]["value"] == len(right) / 10
    for row in close["nearest_class"].values():
        assert row["margin"] >= 0
        assert 0 <= row["stability"] <= 1


def test_sets_without_a_common_class_name_are_compared_all_the_same(distant: dict[str, Any]) -> None:
    assert set(distant["nearest_class"]) == {"dark", "grey", "bright"}
    assert distant["missing"] == {"nearest_class_agrees": "source and target share no class name"}


def test_a_set_against_other_draws_of_itself_is_at_distance_zero(source: ImageSet, classifier: Path) -> None:
    found = by_name(gap(source, source, classifier))
    assert abs(found["mmd"]["value"]) < 0.02
    assert found["mmd"]["p"] > 0.05


def test_the_test_part_is_never_looked_at(
    source: ImageSet, near: ImageSet, classifier: Path, close: dict[str, Any]
) -> None:
    spoiled = np.array(near.images)
    spoiled[near.indices("test")] = 255 - spoiled[near.indices("test")]
    assert gap(source, dataclasses.replace(near, images=spoiled), classifier, draw=one_draw(near)) == close


def test_labels_of_the_unlabelled_part_are_never_looked_at(
    source: ImageSet, near: ImageSet, classifier: Path, close: dict[str, Any]
) -> None:
    draw = one_draw(near)
    manifest = near.manifest.copy()
    manifest.loc[draw.unlabelled, "label"] = 3
    assert gap(source, dataclasses.replace(near, manifest=manifest), classifier, draw=draw) == close


def test_without_labels_the_looks_stand_alone_and_the_rest_is_missing_with_its_reason(
    source: ImageSet, near: ImageSet, classifier: Path
) -> None:
    draw = one_draw(near, labelled=0)
    found = gap(source, near, classifier, draw=draw, use_labels=False)
    assert set(found["missing"]) == {"leep", "logme", "h_score", "nearest_class"}
    assert all("no label of the target" in reason for reason in found["missing"].values())
    assert found["gap"] == found["parts"]["looks"]
    assert found["parts"]["labels"] is None
    assert found["nearest_class"] == {}
    manifest = near.manifest.copy()
    manifest["label"] = 3
    blind = dataclasses.replace(near, manifest=manifest)
    assert gap(source, blind, classifier, draw=draw, use_labels=False) == found


def test_one_label_a_class_says_nothing_about_doubt_and_no_unit_of_distance(
    source: ImageSet, near: ImageSet, classifier: Path
) -> None:
    draw = one_draw(near, labelled=1)
    draw = dataclasses.replace(draw, validation=draw.validation[:0])
    found = gap(source, near, classifier, draw=draw)
    assert set(found["missing"]) == {"doubt", "nearest_class"}
    assert found["gap"] == found["parts"]["looks"]


def test_few_labels_do_not_make_a_source_look_nearer(source: ImageSet, near: ImageSet, classifier: Path) -> None:
    shares = []
    for count in (2, 20):
        draw = one_draw(near, labelled=count)
        draw = dataclasses.replace(draw, validation=draw.validation[:0])
        found = gap(source, near, classifier, draw=draw)
        assert found["missing"] == {}
        shares.append(found["parts"]["labels"])
    assert shares[0] > shares[1] - 0.05


def test_constant_images_leave_the_rest_of_the_measures(source: ImageSet, near: ImageSet, classifier: Path) -> None:
    flat = dataclasses.replace(near, images=np.full_like(near.images, 128))
    found = gap(source, flat, classifier)
    assert {"h_score", "nearest_class"} <= set(found["missing"])
    assert found["light"] == "red"


def test_a_classifier_of_another_size_is_refused_in_one_line(
    source: ImageSet, near: ImageSet, classifier: Path
) -> None:
    with pytest.raises(InputError, match="trained for 1×16×16 images") as error:
        gap_of_draw(source, near, one_draw(near), classifier, size=20, use_labels=True, seed=0)
    assert "\n" not in str(error.value)


def test_the_light_is_the_gap_in_thirds() -> None:
    assert [light(gap) for gap in (0.0, 0.33, 0.34, 0.66, 0.67, 1.0)] == [
        "green",
        "green",
        "amber",
        "amber",
        "red",
        "red",
    ]


def test_the_gap_is_the_mean_of_looks_and_doubt_each_within_zero_and_one() -> None:
    assert domain_gap(0.2, 0.6) == pytest.approx(0.4)
    assert domain_gap(-0.1, 1.3) == pytest.approx(0.5)
    assert domain_gap(0.2, None) == pytest.approx(0.2)


def test_the_sentence_says_the_light_and_both_parts_in_plain_words() -> None:
    assert sentence(0.47, 0.48) == (
        "Amber: the source is related to the target in part; in looks it is 47 % of the way from the target itself to "
        "nothing in common, and a classifier of the source leaves 48 % of the doubt about the target's labels. "
        "A traffic light, never a decision."
    )
    assert "no labels, or too few" in sentence(0.9, None)


def some_of(name: str, path: Path, data: Path, step: int) -> None:
    """Every so many-th image of real files as a set of grey 16×16 images."""
    reader = open_reader(path)
    with ImageSetWriter(data / name, classes=reader.classes) as writer:
        for record in itertools.islice(reader.records(), 0, None, step):
            pixels = decoded(record.content) if isinstance(record.content, bytes) else record.content
            writer.add(prepared(pixels, 16, 1), label=record.label, split=record.split, source_file=record.source_file)


def test_mnist_is_nearer_to_usps_than_grey_photographs_are(shared_data: Path, tmp_path: Path) -> None:
    homes = dataclasses.replace(Homes.locate(), data=tmp_path / "data", artifacts=tmp_path / "artifacts")
    some_of("usps", shared_data / "usps.npz", homes.data, 7)
    some_of("mnist", shared_data / "mnist", homes.data, 5)
    some_of("cifar", shared_data / "cifar10_subset.zip", homes.data, 5)
    ranked = rank_sources(homes, "usps", ["cifar", "mnist"], labelled_per_class=5, size=16, on_progress=silent)
    assert [row["source"] for row in ranked] == ["mnist", "cifar"]
    mnist, cifar = (by_name(row) for row in ranked)
    for name, measure in mnist.items():
        if name in cifar and name != "h_score":
            nearer = measure["value"] < cifar[name]["value"]
            assert nearer == (measure["better"] == "lower"), name
    assert mnist["nearest_class_agrees"]["value"] >= 0.7
    assert ranked[1]["missing"] == {"nearest_class_agrees": "source and target share no class name"}
