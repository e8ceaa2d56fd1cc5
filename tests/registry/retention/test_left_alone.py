"""`gtl gc` leaves alone what is in use, what belongs to nobody that it knows, and what it cannot tell the need of."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from gtl_core.files import write_text
from gtl_core.homes import Homes
from gtl_core.registry.tracking import open_store
from gtl_core.store import RECORD, StageStore
from pipelines.busy import experiment_lock
from pipelines.cli.main import invoke
from pipelines.stage_folders import folder_bytes, stage_folders
from tests.registry.retention.kept_runs import ROOT, RUNS, be_champion, collected, key_of, registration, states


def test_what_belongs_to_no_experiment_of_the_project_is_left_alone(homes: Homes, capfd):
    study = StageStore(homes.artifacts, "study").build(
        "evaluation", key_of(9), lambda folder: write_text(folder / "x", "")
    )
    sheet = homes.artifacts / "contact-sheets" / "digits.png"
    drift = homes.artifacts / "digits" / "drift" / "2026-01-01T00-00-00" / "drift.json"
    for path in (sheet, drift):
        write_text(path, "{}")
    collected(capfd, "--keep", "1")
    assert study.path.is_dir()
    assert sheet.is_file()
    assert drift.is_file()


def test_a_stage_that_two_experiments_share_stays_with_the_other_and_its_room_is_counted_once(homes: Homes):
    def make(folder: Path) -> None:
        write_text(folder / "gan.safetensors", "weights" * 1000)

    first, second = (
        StageStore(homes.artifacts, name).build("source_gan", key_of(9), make, shared=True) for name in ("one", "two")
    )
    of_record = (first.path / RECORD).stat().st_size
    gone: Counter[tuple[int, int]] = Counter()
    assert [folder_bytes(stage.path, gone) for stage in (first, second)] == [0, 7000 + of_record]
    assert folder_bytes(first.path) == folder_bytes(second.path) == 0
    for folder in stage_folders(homes.artifacts / "one"):
        folder.remove()
    assert not first.path.exists()
    assert (second.path / "gan.safetensors").read_text() == "weights" * 1000
    assert folder_bytes(second.path) == 7000 + of_record


def test_an_experiment_that_is_being_run_is_left_alone(homes: Homes, capfd):
    with experiment_lock(homes, "digits", "gtl run"):
        found = collected(capfd, "--keep", "1")
    assert found["removed"] == []
    assert [(row["experiment"], "gtl run" in row["why"]) for row in found["left"]] == [("digits", True)]
    assert states(homes, 1) == {"same"}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda homes: write_text(homes.experiments / "digits.yaml", "name: digits\nsuorce: 1"), "suorce"),
        (lambda homes: shutil.rmtree(homes.data / "turned"), "turned"),
        (lambda homes: registration(homes).write_text("{"), "registration.json is damaged"),
        (lambda homes: next((homes.mlruns / "artifacts").rglob("lineage.json")).unlink(), "lineage record is gone"),
    ],
    ids=["a broken experiment file", "a missing image set", "a damaged registration", "a lost lineage record"],
)
def test_where_nobody_can_tell_what_is_needed_no_stage_goes(homes: Homes, capfd, spoil, told):
    be_champion(open_store(homes), *range(1, RUNS + 1))
    spoil(homes)
    found = collected(capfd, "--keep", "1")
    assert found["removed"] == []
    assert [told in row["why"] for row in found["left"]] == [True]


def test_an_empty_project_has_nothing_to_remove_and_gets_no_store(tmp_path: Path, monkeypatch, capfd):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name in ("dagster.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for variable in ("DATA", "MLRUNS", "ARTIFACTS", "DAGSTER", "EXPERIMENTS"):
        monkeypatch.delenv(f"GTL_{variable}", raising=False)
    monkeypatch.setenv("GTL_ROOT", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert invoke(["gc", "--keep", "3"]) == 0
    assert "nothing to remove" in capfd.readouterr().out
    assert not (tmp_path / "mlruns").exists()
    assert not (tmp_path / ".dagster").exists()


def test_nothing_to_keep_is_no_number_to_keep(capfd):
    assert invoke(["gc", "--keep", "0"]) == 2
    assert invoke(["gc"]) == 2
    assert "--keep" in capfd.readouterr().err
