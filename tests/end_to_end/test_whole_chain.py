"""The main job through the installed command: real Dagster, MLflow and DVC, real images, tiny networks."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from project_copy import Project

from gtl_core.data.directory_hash import directory_md5
from gtl_core.files import file_sha256
from gtl_core.training.checkpoint import GanCheckpoint

pytestmark = pytest.mark.end_to_end

STAGES = [
    "source_images",
    "target_images",
    "data_validation",
    "draws",
    "source_gan",
    "source_classifier",
    "domain_gap",
    "pilot",
    "transferred_gans",
    "synthetic_images",
    "synthetic_quality",
    "evaluation",
    "registered_models",
    "report",
]


@pytest.fixture(scope="module")
def first_run(project: Project) -> Any:
    project.experiment("tiny")
    return project.json("run", "tiny")


def test_a_run_ends_with_a_verdict_and_registered_models(first_run: Any) -> None:
    assert sorted(stage["name"] for stage in first_run["stages"]) == sorted(STAGES)
    verdict = first_run["verdict"]
    assert verdict["label"] in ("helps", "harms", "inconclusive")
    assert verdict["low"] <= verdict["difference"] <= verdict["high"]
    assert verdict["detectable"] > 0
    assert verdict["strategy"] in ("finetune", "freeze_d", "freeze_g_then_partial")
    assert {"real", "source_finetuned", "best_plus_gan/finetune", "synthetic_only/freeze_d"} <= {
        arm["arm"] for arm in first_run["arms"]
    }
    assert [(model["name"], model["alias"]) for model in first_run["models"]] == [
        ("gtl-tiny-classifier", "champion"),
        ("gtl-tiny-generator", "champion"),
    ]


def test_the_report_lies_on_disk_and_beside_the_models(project: Project, first_run: Any) -> None:
    page = Path(first_run["report"])
    assert page.is_relative_to(project.root / "artifacts" / "tiny" / "report")
    assert "<h2" in page.read_text()
    sections = json.loads(page.with_suffix(".json").read_text())["sections"]
    missing = {name for name, section in sections.items() if "missing" in section}
    assert missing <= {"budgets", "groups"}
    assert sections["verdict"]["numbers"]["difference"] == first_run["verdict"]["difference"]
    logged = list((project.root / "mlruns" / "artifacts").rglob(f"{first_run['mlflow_run_id']}/artifacts/report.html"))
    assert [path.read_bytes() for path in logged] == [page.read_bytes()]
    told = project.json("report", "tiny")
    assert told["report"] == str(page)


def test_an_unchanged_experiment_reuses_every_stage(project: Project, first_run: Any) -> None:
    again = project.json("run", "tiny")
    assert all(stage["reused"] for stage in again["stages"])
    for same in ("verdict", "arms", "models", "mlflow_run_id", "data_version"):
        assert again[same] == first_run[same]
    assert again["dagster_run_id"] != first_run["dagster_run_id"]


def test_a_target_without_labels_gets_a_verdict_and_a_translator_that_is_registered(project: Project) -> None:
    project.unlabelled_experiment("blind")
    run = project.json("run", "blind")
    stages = {stage["name"]: stage for stage in run["stages"]}
    assert sorted(stages) == sorted(STAGES)
    assert not (project.root / "artifacts" / "blind" / "source_gan").exists()
    arms = {arm["arm"] for arm in run["arms"]}
    assert arms == {
        "source_only",
        "self_trained",
        "info_max",
        "best_plus_gan/translate",
        "adapted/translate",
        "synthetic_only/translate",
    }
    assert run["verdict"]["left_out"] == {"real": "there are no labelled target images"}
    assert [(model["name"], model["alias"]) for model in run["models"]] == [
        ("gtl-blind-classifier", "champion"),
        ("gtl-blind-generator", "champion"),
    ]
    checked = project.json("lineage", "gtl-blind-generator@champion", "--verify")
    assert {check["state"] for check in checked["checks"]} == {"same"}


def test_a_changed_evaluation_reuses_the_gans(project: Project, first_run: Any) -> None:
    path = project.root / "experiments" / "tiny.yaml"
    original = path.read_text()
    try:
        path.write_text(original.replace("bootstrap: 200", "bootstrap: 300"))
        stages = {stage["name"]: stage["reused"] for stage in project.json("run", "tiny")["stages"]}
    finally:
        path.write_text(original)
    assert stages["source_gan"]
    assert stages["transferred_gans"]
    assert stages["synthetic_images"]
    assert not stages["evaluation"]
    assert not stages["registered_models"]


def test_another_experiment_takes_over_what_was_trained_and_has_it_in_its_own_records(
    project: Project, first_run: Any
) -> None:
    project.experiment("twin")
    try:
        twin = project.json("run", "twin")
    finally:
        (project.root / "experiments" / "twin.yaml").unlink()
    reused = {stage["name"] for stage in twin["stages"] if stage["reused"]}
    assert {"source_gan", "source_classifier", "transferred_gans", "synthetic_images"} <= reused
    assert not {"evaluation", "registered_models", "report"} & reused
    same = ("label", "difference", "low", "high")
    assert [twin["verdict"][key] for key in same] == [first_run["verdict"][key] for key in same]
    record = project.json("lineage", "gtl-twin-classifier/1")
    assert {file["path"].split("/")[0] for file in record["checkpoints"]} == {"twin"}
    with sqlite3.connect(project.root / "mlruns" / "mlflow.db") as store:
        children = store.execute(
            "select r.name from runs r join tags t on t.run_uuid = r.run_uuid "
            "where t.key = 'mlflow.parentRunId' and t.value = ?",
            [twin["mlflow_run_id"]],
        ).fetchall()
    assert {"source_gan", "transferred_gan/finetune", "evaluation"} <= {name for (name,) in children}


def test_every_hash_of_the_lineage_is_that_of_its_file(project: Project, first_run: Any) -> None:
    record = project.json("lineage", "gtl-tiny-classifier/1")
    assert record["model"]["name"] == "gtl-tiny-classifier"
    assert record["mlflow_run_id"] == first_run["mlflow_run_id"]
    assert record["dagster_run_id"] == first_run["dagster_run_id"]
    assert record["data_version"] == directory_md5(project.root / "data")
    roles = {dataset["role"]: dataset for dataset in record["datasets"]}
    for role in ("source", "target"):
        assert roles[role]["version"] == directory_md5(project.root / "data" / roles[role]["name"])
    assert {"source_gan", "source_classifier"} <= {checkpoint["stage"] for checkpoint in record["checkpoints"]}
    for checkpoint in record["checkpoints"]:
        assert file_sha256(project.root / "artifacts" / checkpoint["path"]) == checkpoint["sha256"]
    manifest = project.root / "artifacts" / record["synthetic"]["path"] / "manifest.parquet"
    assert file_sha256(manifest) == record["synthetic"]["manifest_sha256"]
    assert file_sha256(project.root / "requirements.lock") == record["environment"]["lock_sha256"]
    assert record["verdict"]["label"] == first_run["verdict"]["label"]


def test_the_mlflow_store_holds_a_parent_with_a_child_for_each_stage(project: Project, first_run: Any) -> None:
    with sqlite3.connect(project.root / "mlruns" / "mlflow.db") as store:
        children = store.execute(
            "select r.name, r.status from runs r join tags t on t.run_uuid = r.run_uuid "
            "where t.key = 'mlflow.parentRunId' and t.value = ?",
            [first_run["mlflow_run_id"]],
        ).fetchall()
        parent = store.execute("select status from runs where run_uuid = ?", [first_run["mlflow_run_id"]]).fetchone()
    names = {name for name, _ in children}
    assert {"source_gan", "transferred_gan/finetune", "transferred_gan/freeze_d", "evaluation"} <= names
    assert {status for _, status in children} == {"FINISHED"}
    assert parent == ("FINISHED",)


def test_state_lies_in_its_four_homes_and_nowhere_else(project: Project, first_run: Any) -> None:
    tracked = {"data", "mlruns", "artifacts", ".dagster", ".git"}
    left = subprocess.run(
        ["git", "status", "--porcelain", "--ignored"], cwd=project.root, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    places = {line[3:].split("/")[0] for line in left}
    assert places <= tracked | {"experiments", "data.dvc", ".dvc"}


def test_data_that_leak_into_the_test_part_stop_the_run_before_training(project: Project, tmp_path: Path) -> None:
    import numpy as np
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * 255 / 16).astype(np.uint8)
    train, test = slice(0, 900), slice(890, 1797)
    np.savez(
        tmp_path / "leaky.npz",
        train_images=images[train],
        train_labels=bunch.target[train],
        test_images=images[test],
        test_labels=bunch.target[test],
    )
    project.gtl("data", "import", "leaky", str(tmp_path / "leaky.npz"))
    project.experiment("leaky-run", target="leaky")
    told = project.gtl("run", "leaky-run", code=3)
    assert "test" in told
    assert "quarantine.csv" in told
    assert not (project.root / "artifacts" / "leaky-run" / "source_gan").exists()


def test_an_interrupted_run_goes_on_from_its_checkpoint(project: Project) -> None:
    project.experiment("interrupted", steps=800)
    process = project.start("run", "interrupted")
    stage = project.root / "artifacts" / "interrupted" / "source_gan"
    deadline = time.monotonic() + 120
    while not list(stage.glob(".*.partial/last.safetensors")):
        assert time.monotonic() < deadline, "no checkpoint within two minutes"
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out
    left = list(stage.glob(".*.partial"))
    assert len(left) == 1
    assert not [path for path in stage.iterdir() if not path.name.startswith(".")]
    assert 0 < GanCheckpoint.load(left[0] / "last.safetensors").step < 800
    finished = project.json("run", "interrupted")
    assert finished["verdict"]["label"] in ("helps", "harms", "inconclusive")
    assert GanCheckpoint.load(next(stage.glob("*/gan.safetensors"))).step == 800


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "tinny"), "tiny"),
        (("run", "no-such-set"), "typeset-digits"),
        (("run", "colour"), "channels"),
        (("run", "too-many"), "labelled_per_class"),
        (("run", "too-frozen"), "freeze_d.blocks"),
        (("run", "unknown-key"), "gan.wdith: unknown key"),
        (("lineage", "gtl-none-classifier"), "gtl-none-classifier"),
    ],
)
def test_bad_input_ends_in_one_line_and_exit_code_2(
    project: Project, first_run: Any, arguments: tuple[str, ...], told: str
) -> None:
    folder = project.root / "experiments"
    text = (folder / "tiny.yaml").read_text()
    variants = {
        "no-such-set": text.replace("typeset-digits", "typset-digits"),
        "colour": text.replace("channels: 1", "channels: 3"),
        "too-many": text.replace("labelled_per_class: 5", "labelled_per_class: 500"),
        "too-frozen": text.replace("freeze_d,", "{name: freeze_d, blocks: 99},"),
        "unknown-key": text.replace("gan: {width", "gan: {wdith"),
    }
    for name, content in variants.items():
        (folder / f"{name}.yaml").write_text(content.replace("name: tiny", f"name: {name}"))
    try:
        error = project.gtl(*arguments, code=2)
    finally:
        for name in variants:
            (folder / f"{name}.yaml").unlink()
    lines = [line for line in error.splitlines() if line.strip()]
    assert len(lines) == 1
    assert told in lines[0]


def test_json_output_is_one_object(project: Project, first_run: Any) -> None:
    for arguments in (("models",), ("data", "list"), ("data", "status"), ("doctor",)):
        json.dumps(project.json(*arguments))
