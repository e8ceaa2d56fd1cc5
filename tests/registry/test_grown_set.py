"""A champion is judged again on a set without a test part of its own, whose test part is drawn anew as it grows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtl_core.config import Experiment
from gtl_core.data.draws import Draw, make_draws
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.evaluation.scores import image_weights
from gtl_core.files import write_json
from gtl_core.homes import Homes
from gtl_core.registry.comparison import comparable_images
from gtl_core.registry.gate import Candidate, predict_elsewhere
from gtl_core.registry.register import classifier_name, register_experiment
from gtl_core.registry.seen import write_seen
from gtl_core.registry.tracking import open_store

CLASSES = tuple("0123456789")
Registering = Callable[[int, int], dict[str, Any]]


def write_set(folder: Path, digits: ImageSet, per_class: int) -> ImageSet:
    """The first digits of each class, in no part."""
    shutil.rmtree(folder, ignore_errors=True)
    with ImageSetWriter(folder, CLASSES) as writer:
        for label in range(len(CLASSES)):
            for row in np.flatnonzero(digits.labels == label)[:per_class]:
                writer.add(np.array(digits.images[row]), label=label, source_file=f"{row}.png")
    return ImageSet.load(folder)


def one_draw(images: ImageSet, labelled: int) -> Draw:
    return make_draws(images, labelled, 5, 0.3, 1, 0)[0]


@pytest.fixture
def homes(tmp_path: Path, new_project: Callable[[Path], Homes], monkeypatch: pytest.MonkeyPatch) -> Homes:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return new_project(tmp_path / "project")


@pytest.fixture
def register(
    homes: Homes, tiny_digits: Path, experiment: Experiment, gan: Path, synthetic: Path, evaluation: Path
) -> Registering:
    """Registers the same weights for a set of so many digits a class; gives what became of the classifier."""
    digits = ImageSet.load(tiny_digits)
    stages = homes.artifacts / "digits"
    for origin, name in ((evaluation, "evaluation"), (synthetic, "synthetic"), (gan.parent, "gan")):
        shutil.copytree(origin, stages / name)
    write_json(stages / "validation.json", {"passed": True, "findings": []})

    def one(per_class: int, labelled: int) -> dict[str, Any]:
        target = write_set(homes.data / "digits", digits, per_class)
        draw = one_draw(target, labelled)
        write_seen(stages / "seen.parquet", digits, target, [draw], 0, pool=False, transferred=False)
        return register_experiment(
            experiment,
            homes,
            parent_run_id=open_store(homes).start_run("gtl-digits", "digits"),
            dagster_run_id=None,
            evaluation=stages / "evaluation",
            generator=stages / "gan" / "gan.safetensors",
            synthetic=stages / "synthetic",
            target=target,
            draw=draw,
            checkpoints=[("source_gan", stages / "gan" / "gan.safetensors")],
            datasets=[{"name": target.name, "role": "target", "version": target.version, "images": len(target)}],
            seen=stages / "seen.parquet",
            documents={"validation/validation.json": stages / "validation.json"},
            data_version="0123456789abcdef0123456789abcdef.dir",
            registration=f"of {per_class}",
        )[0]

    return one


def test_champion_and_challenger_are_compared_on_images_that_the_champion_never_learned_from(
    homes: Homes, register: Registering, tiny_digits: Path
):
    register(40, 15)
    digits = ImageSet.load(tiny_digits)
    before = one_draw(first := write_set(homes.data / "digits", digits, 40), 15)
    learned = set(first.manifest["sha256"].iloc[np.concatenate([before.labelled, before.validation])])
    second = register(50, 15)
    grown = ImageSet.load(homes.data / "digits")
    test = one_draw(grown, 15).test
    fresh = np.array([sha256 not in learned for sha256 in grown.manifest["sha256"].iloc[test]])
    assert 0 < (~fresh).sum() < len(test)
    gate = second["gate"]
    assert (gate["test_images"], gate["compared_images"]) == (len(test), fresh.sum())
    assert f"on {fresh.sum()} of {len(test)} test images, which the champion has not learned from" in gate["reasons"][0]
    store = open_store(homes)
    folder = store.model_folder(classifier_name("digits"), "1", homes.root)
    (given,) = predict_elsewhere([Candidate("1", folder, "classifier")], np.array(grown.images[test[fresh]]))
    right = given.of(CLASSES).argmax(axis=1) == (labels := grown.labels[test[fresh]])
    score = image_weights(labels, gate["metric"])[right].sum()
    assert gate["champion_score"] == gate["challenger_score"] == pytest.approx(score)


def test_a_class_of_which_the_champion_knows_every_test_image_refuses_and_says_so(
    homes: Homes, register: Registering, tmp_path: Path
):
    register(24, 12)
    store = open_store(homes)
    folder = store.model_folder(classifier_name("digits"), "1", tmp_path)
    images = ImageSet.load(homes.data / "digits")
    draw = one_draw(images, 12)
    hashes = images.manifest["sha256"].to_numpy(dtype=str)
    rows = np.sort(np.concatenate([draw.test, draw.validation]))
    known = np.flatnonzero((images.labels == 3) & np.isin(np.arange(len(images)), draw.test))
    rows = np.setdiff1d(rows, known)
    found = comparable_images(
        "champion c/1", folder, hashes[rows], np.full(len(rows), ""), images.labels[rows], CLASSES
    )
    assert found.refusal.startswith(
        "champion c/1 has learned from, or was chosen on, all of today's test images of 3: they cannot be compared; "
    )


def test_what_the_champion_has_seen_of_a_patient_leaves_all_of_the_patient_out(tmp_path: Path, tiny_digits: Path):
    digits = ImageSet.load(tiny_digits)
    with ImageSetWriter(tmp_path / "scans", CLASSES[:2]) as writer:
        for label in range(2):
            for rank, row in enumerate(np.flatnonzero(digits.labels == label)[:40]):
                writer.add(np.array(digits.images[row]), label=label, source_file=f"{row}.png", group=f"p{rank // 4}")
    scans = ImageSet.load(tmp_path / "scans")
    draw = make_draws(scans, 4, 4, 0.3, 1, 0)[0]
    write_seen(tmp_path / "seen.parquet", scans, scans, [draw], 0, pool=False, transferred=False)
    groups = scans.manifest["group"].to_numpy(dtype=str)
    others = np.array([f"{number:064x}" for number in range(len(scans))])  # new pictures of the same patients
    found = comparable_images("champion c/1", tmp_path, others, groups, scans.labels, CLASSES[:2])
    seen = np.unique(groups[np.concatenate([draw.labelled, draw.validation])])
    assert (found.rows == ~np.isin(groups, seen)).all()
    assert found.rows[draw.test].all()
    assert not found.rows.all()


def test_a_champion_without_a_list_is_compared_on_all_images_and_that_is_said(
    homes: Homes, register: Registering, tmp_path: Path
):
    register(30, 5)
    store = open_store(homes)
    (store.model_folder(classifier_name("digits"), "1", tmp_path) / "seen.parquet").unlink()
    gate = register(50, 5)["gate"]
    assert gate["compared_images"] == gate["test_images"]
    assert "which of them the champion has learned from is not known" in gate["reasons"][0]


def test_a_damaged_list_refuses_in_one_line(tmp_path: Path):
    (tmp_path / "seen.parquet").write_bytes(b"PAR1")
    found = comparable_images("champion c/1", tmp_path, np.array(["00"]), np.array([""]), np.array([0]), ("a",))
    assert found.refusal == "champion c/1 cannot be scored again: its seen.parquet cannot be read (ArrowInvalid)"
