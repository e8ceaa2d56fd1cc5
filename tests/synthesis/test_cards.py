"""The cards of an exported set: valid to those who read them by machine, plain to people, deaf to hostile names."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from gtl_core.synthesis.dataset_card import dataset_card
from gtl_core.synthesis.description import ExportedSet
from gtl_core.synthesis.export import export_images
from gtl_core.synthesis.markdown import plain, table
from gtl_core.synthesis.synthetic_set import SyntheticSet
from tests.synthesis.exported_sets import CLASSES, GENERATOR, KEY, lineage_record, synthetic_set

PROV = "http://www.w3.org/ns/prov#"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported set, with the set that it was made of beside it."""
    root = tmp_path_factory.mktemp("cards")
    folder = synthetic_set(root / "set")
    export_images(folder, root / "out", lineage_record(folder), KEY, "CC-BY-4.0")
    return root / "out"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("something asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_network")
def test_mlcroissant_validates_the_croissant_card_without_an_error_or_a_warning(exported: Path):
    import mlcroissant

    metadata = mlcroissant.Dataset(jsonld=str(exported / "croissant.json")).metadata
    assert metadata.ctx.issues.errors == set()
    assert metadata.ctx.issues.warnings == set()
    assert metadata.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.1"
    assert metadata.name == "gtl-scans-generator-3"
    assert metadata.license == ["https://spdx.org/licenses/CC-BY-4.0.html"]
    assert "Holds for these scans only." in metadata.data_limitations


@pytest.mark.usefixtures("no_network")
def test_mlcroissant_loads_every_image_with_its_label_by_the_card_alone(exported: Path):
    import mlcroissant

    dataset = mlcroissant.Dataset(jsonld=str(exported / "croissant.json"))
    names = {row["classes/folder"]: row["classes/name"] for row in _texts(dataset.records("classes"))}
    assert set(names.values()) == set(CLASSES)
    made = SyntheticSet.load(exported.parent / "set")
    rows = {row["source_file"]: index for index, row in enumerate(made.manifest.to_dict("records"))}
    records = _texts(dataset.records("images"))
    assert len(records) == 6
    for record in records:
        row = rows[record["images/path"]]
        assert np.array_equal(np.asarray(record["images/image"].convert("L")), made.images[row, 0])
        assert names[record["images/label"]] == made.manifest["class"][row]


def _texts(records: Any) -> list[dict[str, Any]]:
    """Records, their texts decoded: mlcroissant gives bytes."""
    return [
        {key: value.decode() if isinstance(value, bytes) else value for key, value in row.items()} for row in records
    ]


@pytest.mark.usefixtures("no_network")
def test_a_graph_program_reads_from_what_the_set_was_derived_and_by_what_it_was_generated(exported: Path):
    import rdflib

    graph = rdflib.Graph().parse(exported / "croissant.json", format="json-ld")
    prov = rdflib.Namespace(PROV)
    (dataset,) = graph.subjects(rdflib.RDF.type, rdflib.URIRef("https://schema.org/Dataset"))
    origins = {str(origin) for origin in graph.objects(dataset, prov.wasDerivedFrom)}
    assert origins == {"urn:gtl:data:aa.dir", "urn:gtl:data:bb.dir"}
    (activity,) = graph.objects(dataset, prov.wasGeneratedBy)
    assert (activity, rdflib.RDF.type, prov.Activity) in graph
    (generator,) = graph.objects(activity, prov.used)
    assert str(generator) == f"urn:sha256:{GENERATOR}"
    assert [str(origin) for origin in graph.objects(generator, prov.wasDerivedFrom)] == [f"urn:sha256:{'cd' * 32}"]
    kind = graph.value(dataset, rdflib.URIRef("https://schema.org/digitalSourceType"))
    assert str(kind) == "https://schema.org/TrainedAlgorithmicMediaDigitalSource"


def test_the_dataset_card_opens_with_what_hugging_face_reads(exported: Path):
    _, head, body = (exported / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    values = yaml.safe_load(head)
    assert values["license"] == "cc-by-4.0"
    assert values["size_categories"] == ["n<1K"]
    assert "synthetic" in values["tags"]
    assert values["configs"][0]["data_files"] == [{"split": "train", "path": "*/*.png"}]
    for said in ("scans-old", "CC0 1.0", GENERATOR, "Inconclusive it is.", "Holds for these scans only.", "| λ |"):
        assert said in body


@pytest.mark.parametrize(("family", "named"), [(None, "GAN"), ("GAN", "GAN"), ("VAE", "VAE"), ("VAE-GAN", "VAE-GAN")])
def test_both_cards_name_the_kind_of_model_that_has_made_the_images_and_no_other(
    family: str | None, named: str, tmp_path: Path
):
    folder = synthetic_set(tmp_path / "set", family=family)
    export_images(folder, tmp_path / "out", lineage_record(folder), KEY)
    card, croissant = ((tmp_path / "out" / name).read_text("utf-8") for name in ("README.md", "croissant.json"))
    assert f"A {named} has made every one of them" in card
    assert f"made by a {named} to look like" in croissant
    assert json.loads(croissant)["keywords"] == ["synthetic", named, "image classification"]
    for text in (card, croissant):
        told = re.findall(r"\b(?:VAE-GAN|VAE|GAN)\b", text, re.IGNORECASE)
        assert {word.upper() for word in told} == {named}


def described(folder: Path, **changes: Any) -> ExportedSet:
    values: dict[str, Any] = {
        "model": "gtl-scans-generator/3",
        "created": "2026-01-02T03:04:05+00:00",
        "classes": CLASSES,
        "folders": dict.fromkeys(CLASSES, "folder"),
        "counts": dict.fromkeys(CLASSES, 2),
        "left_out": 0,
        "size": 8,
        "channels": 3,
        "family": "GAN",
        "generator_sha256": GENERATOR,
        "seed": 7,
        "key": "0" * 64,
        "software": "gtl 0",
        "licence": None,
        "record": lineage_record(folder),
    }
    return ExportedSet(**values | changes)


def test_hostile_names_are_words_in_the_card_and_nothing_else(tmp_path: Path):
    name = "<script>alert(1)</script>|\n# cat *a* [x](y) `z`"
    folder = synthetic_set(tmp_path / "set")
    record = lineage_record(folder)
    record["datasets"][1]["name"] = name
    card = dataset_card(described(folder, classes=(name,), folders={name: "f"}, counts={name: 1}, record=record))
    assert "<script>" not in card
    assert "\n# cat" not in card
    rows = [line for line in card.splitlines() if "script" in line and line.startswith("| \\<")]
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == 4


@pytest.mark.parametrize(
    ("images", "category"), [(999, "n<1K"), (1_000, "1K<n<10K"), (10_000, "10K<n<100K"), (2_000_000, "1M<n<10M")]
)
def test_the_card_names_hugging_faces_category_of_size(images: int, category: str, tmp_path: Path):
    folder = synthetic_set(tmp_path / "set")
    card = dataset_card(described(folder, classes=("a",), folders={"a": "a"}, counts={"a": images}))
    assert yaml.safe_load(card.split("---\n")[1])["size_categories"] == [category]


def test_where_no_licence_is_stated_both_cards_say_so_and_name_those_of_the_data(tmp_path: Path):
    folder = synthetic_set(tmp_path / "set")
    export_images(folder, tmp_path / "out", lineage_record(folder), KEY)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(card.split("---\n")[1])["license"] == "unknown"
    assert "Not stated" in card
    licence = json.loads((tmp_path / "out" / "croissant.json").read_text(encoding="utf-8"))["license"]
    assert "scans-old (CC0 1.0); scans-new (not stated)" in licence


@pytest.mark.parametrize("show", [plain, lambda text: table(["a"], [[text]])])
def test_markdown_shows_every_character_of_a_text_as_it_is(show: Callable[[str], str]):
    assert r"\*a\* \_b\_ \`c\` \[d\] \<e\> f\|g \&amp; \~h \\" in show("*a* _b_ `c` [d] <e> f|g &amp; ~h \\")
