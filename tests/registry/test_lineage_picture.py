"""The picture of a lineage: all of the record is in it, nothing lies over anything else, old records are drawn."""

from __future__ import annotations

import copy
import itertools
from typing import Any
from xml.etree import ElementTree

import pytest

from gtl_core.registry.lineage_picture import lineage_svg

SVG = "{http://www.w3.org/2000/svg}"
RECORD: dict[str, Any] = {
    "model": {
        "name": "gtl-scans-classifier",
        "version": "12",
        "aliases": ["champion"],
        "created": "2026-03-01T03:04:05+00:00",
        "collected": None,
    },
    "experiment": {"name": "scans"},
    "mlflow_run_id": "0f" * 16,
    "dagster_run_id": "6a0f2b2e-8a55-4be6-9d66-0a4a8f9f2c11",
    "git_commit": f"{'50' * 20}-dirty",
    "data_version": f"{'cc' * 16}.dir",
    "datasets": [
        {"name": "scans-old", "role": "source", "version": f"{'aa' * 16}.dir", "images": 900},
        {"name": "scans-new", "role": "target", "version": f"{'bb' * 16}.dir", "images": 90},
    ],
    "seen": {
        "sha256": "ab" * 32,
        "images": [
            {"dataset": "scans-old", "role": "source", "images": 900},
            {"dataset": "scans-new", "role": "labelled", "images": 20},
            {"dataset": "scans-new", "role": "test", "images": 30},
        ],
    },
    "checkpoints": [
        {"stage": "source_gan", "sha256": "12" * 32},
        {"stage": "source_classifier", "sha256": "34" * 32},
        {"stage": "transferred_gan/finetune", "sha256": "56" * 32},
        {"stage": "classifier", "sha256": "78" * 32},
    ],
    "synthetic": {"manifest_sha256": "9a" * 32, "images": 500},
    "verdict": {"label": "helps"},
    "best": {
        "arm": "best_plus_gan/finetune",
        "strategy": "finetune",
        "recipe": {"initial": "source", "source_weight": 0.25},
    },
    "environment": {"lock_sha256": "de" * 32, "python": "3.11.7", "torch": "2.13.0"},
}


def changed(**values: Any) -> dict[str, Any]:
    """The record with other values; None takes one out, as an old record has none."""
    record = copy.deepcopy(RECORD) | values
    return {name: value for name, value in record.items() if value is not None}


def drawn(record: dict[str, Any]) -> ElementTree.Element:
    """The picture of a record."""
    return ElementTree.fromstring(lineage_svg(record))  # noqa: S314 - our own text


def edges(record: dict[str, Any]) -> list[str | None]:
    """What sort of arrow each is."""
    return [path.get("class") for path in drawn(record).iter(f"{SVG}path") if path.get("class") != "head"]


def boxes(root: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of every box."""
    found = []
    for box in root.iter(f"{SVG}rect"):
        if box.get("class") == "box":
            left, top, width, height = (float(str(box.get(name))) for name in ("x", "y", "width", "height"))
            found.append((left, top, left + width, top + height))
    return found


GENERATOR = {**RECORD["model"], "name": "gtl-scans-generator", "aliases": []}
TRANSLATED = [{**made, "stage": made["stage"].replace("finetune", "translate")} for made in RECORD["checkpoints"][1:]]
AUGMENTED = [
    {**made, "stage": made["stage"].replace("source_gan", "source_dagan/dagan")} for made in RECORD["checkpoints"]
]
PLAIN = {"arm": "real", "strategy": None, "recipe": {"initial": "scratch", "source_weight": None}}
LONG = {**RECORD["model"], "name": f"gtl-{'a-very-long-name-' * 4}classifier"}


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        changed(model=GENERATOR),
        changed(checkpoints=TRANSLATED),
        changed(checkpoints=AUGMENTED),
        changed(best=PLAIN),
        changed(model=LONG),
        changed(experiment=None, seen=None, best=None, dagster_run_id=None),
    ],
    ids=["whole", "generator", "translation", "learned augmentation", "without a GAN", "long name", "old"],
)
def test_no_box_lies_over_another_and_all_is_inside(record: dict[str, Any]):
    record = {"dagster_run_id": None} | record
    root = drawn(record)
    width, height = float(str(root.get("width"))), float(str(root.get("height")))
    for left, top, right, bottom in boxes(root):
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    for one, other in itertools.combinations(boxes(root), 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for text in root.iter(f"{SVG}text"):
        assert float(str(text.get("y"))) < height


def test_every_hash_is_in_the_picture_as_a_whole():
    text = " ".join(drawn(RECORD).itertext())
    hashes = [made["sha256"] for made in RECORD["checkpoints"]] + [data["version"] for data in RECORD["datasets"]]
    for value in [*hashes, RECORD["data_version"], "50" * 20, "9a" * 32, "de" * 32, "20 labelled", "30 test"]:
        assert value in text
    assert "with changes that were not committed" in text


def test_a_model_without_a_gan_is_only_compared_with_the_images():
    assert edges(changed(best=PLAIN)).count("edge compared") == 1
    assert set(edges(RECORD)) == {"edge"}


def test_what_learned_augmentation_learned_on_the_source_stands_where_a_source_gan_does():
    paths = [path.get("d") for path in drawn(RECORD).iter(f"{SVG}path")]
    assert [path.get("d") for path in drawn(changed(checkpoints=AUGMENTED)).iter(f"{SVG}path")] == paths


def test_a_generator_stands_on_nothing_of_the_classifiers():
    text = " ".join(drawn(changed(model=GENERATOR)).itertext())
    assert "78" * 32 not in text
    assert "56" * 32 in text


def test_names_of_others_stay_names_and_nothing_is_asked_for_from_anywhere():
    odd = {**RECORD["model"], "aliases": ["<script>alert(1)</script>", "bell\x07"]}
    text = lineage_svg(changed(model=odd))
    assert "<script>" not in text
    assert "\x07" not in text
    assert "&lt;script&gt;" in text
    for asked in ("href", "@import", "url(h"):
        assert asked not in text
