"""Two registrations of one experiment: aliases, the gate's word, lineage, and what is found when files change."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from gtl_core.config import Experiment
from gtl_core.data.draws import make_draws
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.files import file_sha256, write_json
from gtl_core.homes import Homes
from gtl_core.registry.history import entries
from gtl_core.registry.lineage import HashCheck, list_models, read_lineage, synthetic_folder, verify_lineage
from gtl_core.registry.register import register_experiment
from gtl_core.registry.relocation import mend_moved
from gtl_core.registry.seen import write_seen
from gtl_core.registry.standing import aliases, problems
from gtl_core.registry.tracking import TrackingStore, open_store
from pipelines.cli.main import invoke

CLASSIFIER, GENERATOR = "gtl-digits-classifier", "gtl-digits-generator"
COPIES = "40 of 300 synthetic images (13.3 %) are near copies of training images; of fresh real images about 1 % are."
DATA_VERSION = "0123456789abcdef0123456789abcdef.dir"


@dataclass(frozen=True)
class Registered:
    """A project with two versions of each model, and what their registrations returned."""

    homes: Homes
    run_id: str
    first: list[dict[str, Any]]
    second: list[dict[str, Any]]
    seconds: float


@pytest.fixture(scope="module")
def registered(
    tmp_path_factory: pytest.TempPathFactory,
    new_project: Callable[[Path], Homes],
    experiment: Experiment,
    tiny_digits: Path,
    gan: Path,
    synthetic: Path,
    evaluation: Path,
) -> Registered:
    """The same models registered twice: freely, then where the GAN copies and a gain of one half is asked for."""
    homes = new_project(tmp_path_factory.mktemp("registered") / "project")
    for origin, name in ((evaluation, "evaluation"), (synthetic, "synthetic"), (gan.parent, "gan")):
        shutil.copytree(origin, homes.artifacts / "digits" / name)
    shutil.copytree(tiny_digits, homes.data / "tiny-digits")
    target = ImageSet.load(homes.data / "tiny-digits")
    checkpoint = homes.artifacts / "digits" / "gan" / "gan.safetensors"
    draws = make_draws(target, 5, 5, 0.3, 2, 0)
    seen, validation = homes.artifacts / "digits" / "seen.parquet", homes.artifacts / "digits" / "validation.json"
    write_seen(seen, target, target, draws, 0, pool=False, transferred=True)
    write_json(validation, {"passed": True, "findings": []})
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        run_id = open_store(homes).start_run("gtl-digits", "digits")

        def register(what: Experiment, memorisation: dict[str, Any] | None = None) -> list[dict[str, Any]]:
            return register_experiment(
                what,
                homes,
                parent_run_id=run_id,
                dagster_run_id="a-dagster-run",
                evaluation=homes.artifacts / "digits" / "evaluation",
                generator=checkpoint,
                synthetic=homes.artifacts / "digits" / "synthetic",
                target=target,
                draw=draws[0],
                checkpoints=[("source_gan", checkpoint)],
                datasets=[{"name": target.name, "role": "target", "version": target.version, "images": len(target)}],
                seen=seen,
                documents={"validation/validation.json": validation},
                data_version=DATA_VERSION,
                registration=f"with a gain of {what.promotion.min_gain}",
                memorisation=memorisation,
            )

        started = time.monotonic()
        first = register(experiment)
        seconds = time.monotonic() - started
        strict = experiment.promotion.model_copy(update={"min_gain": 0.5, "memorisation": "screen"})
        screened = {"screen": "copies", "sentence": COPIES}
        second = register(experiment.model_copy(update={"promotion": strict}), screened)
    return Registered(homes, run_id, first, second, seconds)


@pytest.fixture
def project(registered: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    """A copy of that project to break, whose store still names the first one's folder of artifacts."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "copy"
    shutil.copytree(registered.homes.root, root)
    old = str(registered.homes.root)
    return Homes(**{field: Path(str(path).replace(old, str(root))) for field, path in vars(registered.homes).items()})


def test_the_first_version_that_passes_the_gate_becomes_champion_and_the_generator_with_it(registered: Registered):
    classifier, generator = registered.first
    assert (classifier["name"], classifier["version"], classifier["alias"]) == (CLASSIFIER, "1", "champion")
    assert (generator["name"], generator["version"], generator["alias"]) == (GENERATOR, "1", "champion")
    assert classifier["gate"]["passed"]
    assert 0.2 < classifier["gate"]["challenger_score"] <= 1.0


def test_a_versions_page_says_which_arm_it_is_and_by_what_it_was_chosen(registered: Registered):
    name, version = registered.first[0]["name"], registered.first[0]["version"]
    description = open_store(registered.homes).client.get_model_version(name, version).description
    assert "arm real_augmented, chosen by balanced accuracy on the labelled validation part;" in description


def test_a_version_that_misses_the_gain_gets_no_alias_and_the_champion_stays(registered: Registered):
    assert [model["alias"] for model in registered.second] == [None, None]
    gate = registered.second[0]["gate"]
    assert not gate["passed"]
    assert gate["champion_score"] == gate["challenger_score"] == registered.first[0]["gate"]["challenger_score"]
    assert (gate["improved"], gate["worsened"]) == (0, 0)
    assert "+0.5000" in gate["reasons"][-1]
    store = open_store(registered.homes)
    assert aliases(store, CLASSIFIER) == aliases(store, GENERATOR) == {"champion": "1"}
    assert json.loads(store.client.get_model_version(CLASSIFIER, "2").tags["gtl.gate"]) == gate


def test_a_generator_that_is_said_to_copy_is_refused_with_the_number_that_says_so(registered: Registered):
    assert (
        registered.second[1]["gate"]["reasons"][0] == f"challenger {GENERATOR}/2 copies its training images: {COPIES}"
    )


def test_registering_and_judging_two_models_takes_seconds(registered: Registered):
    assert registered.seconds < 40  # 8 on a quiet machine; a fresh process imports torch and mlflow


def test_lineage_leads_from_the_model_to_the_pixels(registered: Registered):
    record = read_lineage(registered.homes, f"{CLASSIFIER}@champion")
    synthetic = registered.homes.artifacts / "digits" / "synthetic"
    assert (record["model"]["name"], record["model"]["version"]) == (CLASSIFIER, "1")
    assert record["model"]["aliases"] == ["champion"]
    assert datetime.fromisoformat(record["model"]["created"]).tzinfo is not None
    assert record["mlflow_run_id"] == registered.run_id
    assert record["dagster_run_id"] == "a-dagster-run"
    assert len(record["git_commit"]) == 40
    assert record["data_version"] == DATA_VERSION
    assert [(data["name"], data["role"], data["images"]) for data in record["datasets"]] == [
        ("tiny-digits", "target", 600)
    ]
    checkpoints = {checkpoint["stage"]: checkpoint for checkpoint in record["checkpoints"]}
    assert set(checkpoints) == {"source_gan", "classifier"}
    gan = registered.homes.artifacts / checkpoints["source_gan"]["path"]
    assert file_sha256(gan) == checkpoints["source_gan"]["sha256"]
    assert record["synthetic"]["manifest_sha256"] == file_sha256(synthetic / "manifest.parquet")
    assert record["synthetic"]["images"] == 300
    assert synthetic_folder(registered.homes, record) == synthetic
    assert record["verdict"]["label"] == "inconclusive"
    assert record["environment"]["lock_sha256"] == file_sha256(registered.homes.root / "requirements.lock")
    assert record["environment"]["python"]
    assert record["environment"]["torch"]


@pytest.mark.parametrize(("reference", "version"), [("", "1"), ("@champion", "1"), ("/2", "2"), ("/1", "1")])
def test_a_model_is_found_by_name_alias_or_version(registered: Registered, reference: str, version: str):
    assert read_lineage(registered.homes, GENERATOR + reference)["model"]["version"] == version


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("gtl-digit-classifier", f"did you mean {CLASSIFIER}"),
        (f"{CLASSIFIER}@production", "it has champion"),
        (f"{CLASSIFIER}/9", "1, 2"),
        ("wholly-different", "gtl models"),
    ],
)
def test_what_is_not_registered_is_answered_with_what_is(registered: Registered, reference: str, hint: str):
    with pytest.raises(InputError, match=hint):
        read_lineage(registered.homes, reference)


def test_models_are_listed_with_aliases_and_scores_newest_first(registered: Registered):
    rows = list_models(registered.homes)
    assert [(row["name"], row["version"], row["aliases"]) for row in rows] == [
        (CLASSIFIER, "2", []),
        (CLASSIFIER, "1", ["champion"]),
        (GENERATOR, "2", []),
        (GENERATOR, "1", ["champion"]),
    ]
    assert rows[0]["score"] == registered.second[0]["gate"]["challenger_score"]
    assert rows[2]["score"] is None
    assert {row["verdict"] for row in rows} == {"inconclusive"}


def test_the_example_that_goes_with_a_model_is_synthetic(registered: Registered):
    store = open_store(registered.homes)
    folder = store.model_folder(CLASSIFIER, "1", registered.homes.root)
    sent = json.loads((folder / "input_example.json").read_text())
    made = ImageSet.load(registered.homes.artifacts / "digits" / "synthetic").images
    assert any((image == sent[0]).all() for image in made)


def test_each_models_card_tells_what_was_found_its_limits_its_data_and_its_hashes(registered: Registered):
    store = open_store(registered.homes)
    for name, task in ((CLASSIFIER, "image-classification"), (GENERATOR, "unconditional-image-generation")):
        folder = store.model_folder(name, "1", registered.homes.root)
        _, head, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
        values = yaml.safe_load(head)
        assert values["pipeline_tag"] == task
        for said in ("Inconclusive whether GAN transfer helps.", "Holds for tiny digits only.", "tiny-digits"):
            assert said in body
        record = read_lineage(registered.homes, f"{name}/1")
        model_files = {file: sha256 for file, sha256 in record["files"].items() if file != "README.md"}
        assert set(model_files) == {f"artifacts/{task_file(name)}", f"{name.rsplit('-', 1)[1]}.py"}
        assert all(sha256 in body for sha256 in model_files.values())
        assert all(checkpoint["sha256"] in body for checkpoint in record["checkpoints"])
        assert record["files"]["README.md"] == file_sha256(folder / "README.md")
        if name == CLASSIFIER:
            (result,) = values["model-index"][0]["results"]
            assert (result["metrics"][0]["type"], result["metrics"][0]["value"]) == ("balanced_accuracy", 0.85)
            assert "balanced accuracy of 85.0 % (95 % interval 80.0 to 90.0) over 2 draws" in body
            assert "Its backbone is cnn of width 32." in body


def task_file(name: str) -> str:
    return f"{name.rsplit('-', 1)[1]}.safetensors"


def by_name(checks: list[HashCheck]) -> dict[str, str]:
    return {check.what: check.state for check in checks}


def test_every_hash_of_an_untouched_project_is_found_again(registered: Registered):
    states = by_name(verify_lineage(registered.homes, f"{CLASSIFIER}/1"))
    assert set(states) == {
        "model artifacts/classifier.safetensors",
        "model classifier.py",
        "model README.md",
        "checkpoint source_gan",
        "checkpoint classifier",
        "synthetic manifest",
        "data set tiny-digits",
        "requirements.lock",
        "seen images",
    }
    assert set(states.values()) == {"same"}


def test_verification_names_each_file_that_was_changed_or_removed(project: Homes):
    with (project.artifacts / "digits" / "gan" / "gan.safetensors").open("ab") as stream:
        stream.write(b"!")
    shutil.rmtree(project.artifacts / "digits" / "synthetic")
    (project.data / "tiny-digits" / "card.json").write_text(json.dumps({"classes": list("0123456789")}))
    (project.root / "requirements.lock").write_text("torch==1.0\n")
    states = by_name(verify_lineage(project, f"{CLASSIFIER}/1"))
    assert states["checkpoint source_gan"] == "changed"
    assert states["synthetic manifest"] == "missing"
    assert states["data set tiny-digits"] == "changed"
    assert states["requirements.lock"] == "changed"
    assert states["checkpoint classifier"] == "same"


def test_a_lineage_record_that_was_edited_is_not_believed(project: Homes):
    assert mend_moved(project) > 0
    record = open_store(project).model_folder(CLASSIFIER, "1", project.root) / "lineage.json"
    assert record.is_relative_to(project.root)
    record.write_text(record.read_text().replace("inconclusive", "helps"))
    with pytest.raises(InputError, match="changed after"):
        read_lineage(project, f"{CLASSIFIER}/1")
    shutil.rmtree(record.parent)
    with pytest.raises(InputError, match="its files are not at"):
        read_lineage(project, f"{CLASSIFIER}/1")


def test_the_command_exports_the_pictures_of_the_registered_generator(project: Homes, monkeypatch, tmp_path, capfd):
    for name, value in project.environment().items():
        monkeypatch.setenv(name, value)
    mend_moved(project)
    monkeypatch.setenv("GTL_KEY", str(tmp_path / "key.pem"))
    assert invoke(["export", "digits", str(tmp_path / "out")]) == 0
    assert "300 synthetic images" in capfd.readouterr().out
    assert invoke(["verify", str(tmp_path / "out"), "--public-key", str(tmp_path / "out" / "public_key.pem")]) == 0
    assert f"300 images of {GENERATOR}/1, as signed" in capfd.readouterr().out
    with Image.open(tmp_path / "out" / "3" / "000029.png") as picture:
        assert picture.text["Model"] == f"{GENERATOR}/1"
    assert invoke(["export", "digits", str(tmp_path / "out")]) == 2
    assert invoke(["export", "unheard-of", str(tmp_path / "new")]) == 2
    assert not (tmp_path / "new").exists()


def test_a_model_from_elsewhere_has_no_lineage(store: TrackingStore, homes: Homes, tmp_path: Path):
    store.client.create_registered_model("other")
    store.client.create_model_version("other", tmp_path.as_uri())
    with pytest.raises(InputError, match="not registered by gtl"):
        read_lineage(homes, "other")


def test_every_decision_of_a_registration_is_in_the_history_of_both_models(registered: Registered):
    store = open_store(registered.homes)
    for model in (CLASSIFIER, GENERATOR):
        history = entries(store, model)
        assert [(entry.action, entry.version, entry.by) for entry in history] == [
            ("registered", "1", "gate"),
            ("promoted", "1", "gate"),
            ("refused", "2", "gate"),
        ]
        assert {(entry.run, entry.verdict) for entry in history} == {(registered.run_id, "inconclusive")}
        assert "+0.5000" in history[-1].reason
        assert problems(store, model, {}) == []
    assert "gain" in entries(store, CLASSIFIER)[-1].details["rules"]
    assert entries(store, CLASSIFIER)[-1].details["against"] == "1"


def test_a_project_that_is_no_git_checkout_registers_nothing(
    registered: Registered, experiment, tmp_path, store, homes
):
    outside = replace(registered.homes, root=tmp_path / "outside", mlruns=homes.mlruns)
    outside.root.mkdir()
    target = ImageSet.load(registered.homes.data / "tiny-digits")
    with pytest.raises(InputError, match="no git checkout"):
        register_experiment(
            experiment,
            outside,
            parent_run_id="none",
            dagster_run_id=None,
            evaluation=registered.homes.artifacts / "digits" / "evaluation",
            generator=registered.homes.artifacts / "digits" / "gan" / "gan.safetensors",
            synthetic=registered.homes.artifacts / "digits" / "synthetic",
            target=target,
            draw=make_draws(target, 5, 5, 0.3, 2, 0)[0],
            checkpoints=[],
            datasets=[],
            seen=registered.homes.artifacts / "digits" / "seen.parquet",
            documents={},
            data_version=DATA_VERSION,
            registration="none",
        )
    assert store.client.search_registered_models() == []
