"""An auditor's folder holds all that is on record, says what is missing, and any change of it is found."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gtl_core.files import file_sha256, write_json
from gtl_core.homes import Homes
from gtl_core.registry.pairs import find_pair
from gtl_core.registry.promotion import nominate
from gtl_core.registry.tracking import TrackingStore
from pipelines.cli.main import invoke
from tests.registry.recorded_models import register_version, scans_experiment, write_scans

MODEL, GENERATOR = "gtl-scans-classifier", "gtl-scans-generator"


@pytest.fixture
def project(homes: Homes, store: TrackingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    """A project with a registered pair that waits as challenger, its report and its data validation."""
    for name, value in homes.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GTL_KEY", str(tmp_path / "key.pem"))
    write_scans(homes, "old", seed=1)
    write_scans(homes, "new", seed=2)
    (homes.root / "data.dvc").write_text("outs:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  path: data\n")
    homes.experiments.mkdir()
    (homes.experiments / "scans.yaml").write_text("name: scans\n")
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["add", "data.dvc", "experiments"], [*identity, "commit", "-q", "-m", "data"]):
        subprocess.run(["git", *command], cwd=homes.root, check=True)
    (tmp_path / "scratch").mkdir()
    validation, page = tmp_path / "validation.json", tmp_path / "report.html"
    write_json(validation, {"passed": True})
    page.write_text("<h1>It helps</h1>")
    documents = {"validation/validation.json": validation}
    register_version(
        store, homes, tmp_path / "scratch", scans_experiment(), kinds=("classifier", "generator"), documents=documents
    )
    for name in (MODEL, GENERATOR):
        store.client.set_model_version_tag(name, "1", "gtl.kind", name.rsplit("-", 1)[1])
    pair = find_pair(store, MODEL, "1")
    assert pair.generator == (GENERATOR, "1")
    nominate(store, pair, reason="it passed the gate", details={})
    store.log_artifact(pair.run or "", page)
    return homes


@pytest.fixture
def folder(project: Homes, tmp_path: Path) -> Path:
    """Its audit."""
    assert invoke(["audit", MODEL, "--out", str(tmp_path / "audit")]) == 0
    return tmp_path / "audit"


def test_everything_on_record_lies_in_one_folder(project: Homes, store: TrackingStore, folder: Path):
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    each = {f"{kind}/{name}" for kind in ("classifier", "generator") for name in ("README.md", "lineage.json")}
    each |= {f"{kind}/{name}" for kind in ("classifier", "generator") for name in ("history.json", "registered.json")}
    assert found == each | {
        "README.md",
        "checks.json",
        "data.dvc",
        "data/new.json",
        "data/old.json",
        "experiment.json",
        "experiment.yaml",
        "lineage.svg",
        "manifest.jsonl",
        "manifest.sig",
        "public_key.pem",
        "report.html",
        "requirements.lock",
        "seen.parquet",
        "validation/validation.json",
    }
    tags = store.client.get_model_version(MODEL, "1").tags
    assert file_sha256(folder / "classifier" / "lineage.json") == tags["gtl.lineage_sha256"]
    history = json.loads((folder / "classifier" / "history.json").read_text())
    assert [entry["action"] for entry in history["entries"]] == ["registered"]
    assert history["problems"] == []
    assert json.loads((folder / "experiment.json").read_text()) == scans_experiment().model_dump(mode="json")
    checks = {check["what"]: check["state"] for check in json.loads((folder / "checks.json").read_text())}
    assert set(checks.values()) == {"same"}


def test_the_readme_says_what_each_file_is(folder: Path):
    text = (folder / "README.md").read_text()
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in ("manifest.jsonl", "manifest.sig", "public_key.pem"):
            assert f"| {name.replace('_', chr(92) + '_')} |" in text
    assert "report.json: it is not among the files of the MLflow run any more" in text
    assert "challenger" in text


def test_the_folder_verifies_and_any_change_is_found(folder: Path, capfd: pytest.CaptureFixture[str]):
    arguments = ["verify", str(folder), "--public-key", str(folder / "public_key.pem")]
    assert invoke(arguments) == 0
    assert f"files about {MODEL}/1, as signed" in capfd.readouterr().out
    history = folder / "classifier" / "history.json"
    history.write_text(history.read_text().replace("registered", "approved"))
    (folder / "seen.parquet").unlink()
    (folder / "more.txt").touch()
    assert invoke(arguments) == 3
    out = capfd.readouterr().out
    for start in ("changed  classifier/history.json", "missing  seen.parquet", "foreign  more.txt"):
        assert sum(line.startswith(start) for line in out.splitlines()) == 1


def test_an_audit_holds_no_image_and_no_weights(folder: Path):
    for path in folder.rglob("*"):
        assert path.suffix not in (".npy", ".safetensors", ".png")


def test_where_stages_data_and_files_are_gone_it_says_so_and_goes_on(
    project: Homes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    shutil.rmtree(project.data)
    shutil.rmtree(project.artifacts)
    (project.root / "requirements.lock").write_text("torch==1.0\n")
    for report in project.mlruns.rglob("report.html"):
        report.unlink()
    capfd.readouterr()
    assert invoke(["audit", f"{MODEL}/1", "--out", str(tmp_path / "audit"), "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    missing = {sentence.split(":")[0] for sentence in told["missing"]}
    assert missing == {"report.html", "report.json", "data/old.json", "data/new.json"}
    assert "requirements.lock" in told["files"]
    checks = {check["what"]: check["state"] for check in json.loads((tmp_path / "audit" / "checks.json").read_text())}
    assert checks["data set new"] == checks["checkpoint classifier"] == "missing"
    assert checks["requirements.lock"] == "changed"
    assert invoke(["verify", str(tmp_path / "audit")]) == 0


def test_a_validation_that_was_changed_is_not_passed_on(project: Homes, tmp_path: Path):
    (logged,) = project.mlruns.rglob("validation.json")
    logged.write_text("{}")
    assert invoke(["audit", MODEL, "--out", str(tmp_path / "audit")]) == 0
    assert not (tmp_path / "audit" / "validation").exists()
    assert "validation/validation.json: it was changed" in (tmp_path / "audit" / "README.md").read_text()


@pytest.mark.parametrize(
    ("model", "out", "message"),
    [
        ("gtl-scan-classifier", "audit", f"did you mean {MODEL}"),
        (f"{MODEL}/7", "audit", "no version '7'"),
        (MODEL, "", "is there already"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    project: Homes, tmp_path: Path, model: str, out: str, message: str, capfd: pytest.CaptureFixture[str]
):
    before = sorted(tmp_path.iterdir())
    assert invoke(["audit", model, "--out", str(tmp_path / out)]) == 2
    told = capfd.readouterr().err.strip()
    assert message in told
    assert "\n" not in told
    assert set(tmp_path.iterdir()) <= {*before, tmp_path / "key.pem"}


def test_a_generator_is_audited_alone(project: Homes, tmp_path: Path, new_project: Callable[[Path], Homes]):
    assert invoke(["audit", f"{GENERATOR}@challenger", "--out", str(tmp_path / "audit")]) == 0
    assert not (tmp_path / "audit" / "classifier").exists()
    assert (tmp_path / "audit" / "generator" / "README.md").is_file()
