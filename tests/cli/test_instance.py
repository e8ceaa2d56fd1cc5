"""The Dagster instance: one history, wherever one stands, and nothing outside its home."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from gtl_core.errors import InputError
from gtl_core.homes import Homes
from pipelines.instance import CONFIG, open_instance, prepare


@dg.asset
def _number() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"value": 1})


def test_a_run_writes_nothing_outside_its_home(homes: Homes, tmp_path: Path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(elsewhere))
    before = {path.name for path in homes.root.iterdir()}
    with open_instance(homes) as instance:
        assert dg.materialize([_number], instance=instance).success
    assert {path.name for path in homes.root.iterdir()} - before == {homes.dagster.name}
    assert list(elsewhere.iterdir()) == []


def test_every_working_directory_sees_the_same_runs(homes: Homes):
    program = (
        "from gtl_core.homes import Homes; from pipelines.instance import open_instance\n"
        "with open_instance(Homes.locate()) as instance: print(instance.get_runs_count())"
    )
    with open_instance(homes) as instance:
        dg.materialize([_number], instance=instance)
    for folder in (homes.root, Path("/")):
        answer = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
        assert answer.stdout.strip() == "1"


def test_the_shipped_settings_are_in_force(homes: Homes):
    with open_instance(homes) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_monitoring_enabled
        assert instance.get_settings("run_monitoring")["free_slots_after_run_end_seconds"] == 60
        assert instance.run_retries_enabled and not instance.run_retries_retry_on_asset_or_op_failure
        settings = instance.get_concurrency_config()
        assert settings.pool_config.default_pool_limit == 1
        assert settings.pool_config.pool_granularity.value == "run"
        assert instance.is_persistent
        assert str(homes.dagster) in instance.storage_directory()


def test_a_moved_project_keeps_its_settings_and_its_history(homes: Homes, tmp_path: Path, monkeypatch):
    with open_instance(homes) as instance:
        dg.materialize([_number], instance=instance)
    moved = tmp_path / "moved"
    shutil.move(homes.root, moved)
    there = replace(homes, root=moved, dagster=moved / homes.dagster.name)
    assert (there.dagster / CONFIG).is_file()
    for variable, value in there.environment().items():
        monkeypatch.setenv(variable, value)
    with open_instance(there) as instance:
        assert instance.get_runs_count() == 1
        assert not instance.telemetry_enabled


def test_preparing_again_changes_nothing(homes: Homes):
    prepare(homes)
    before = (homes.dagster / CONFIG).lstat()
    prepare(homes)
    assert (homes.dagster / CONFIG).lstat() == before


def test_a_link_to_an_older_place_is_renewed(homes: Homes):
    homes.dagster.mkdir()
    (homes.dagster / CONFIG).symlink_to("/nowhere/dagster.yaml")
    prepare(homes)
    assert (homes.dagster / CONFIG).samefile(homes.root / CONFIG)


def test_a_process_that_was_not_told_of_the_home_stops_instead_of_beginning_a_second_history(homes: Homes):
    environment = {name: value for name, value in os.environ.items() if name not in ("GTL_DAGSTER", "DAGSTER_HOME")}
    answer = subprocess.run(
        [Path(sys.executable).with_name("dagster"), "run", "list"],
        cwd=homes.root,
        env=environment | {"DAGSTER_HOME": str(homes.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode != 0
    assert "GTL_DAGSTER" in answer.stderr
    assert not (homes.root / "history").exists()


def test_a_root_without_settings_is_told(homes: Homes):
    (homes.root / CONFIG).unlink()
    with pytest.raises(InputError, match="GTL_ROOT"):
        prepare(homes)


def test_a_file_in_the_place_of_the_home_is_told(homes: Homes):
    homes.dagster.write_text("")
    with pytest.raises(InputError, match="GTL_DAGSTER"):
        prepare(homes)


def test_a_damaged_database_is_told_in_one_line(homes: Homes):
    with open_instance(homes) as instance:
        instance.get_runs_count()
    (homes.dagster / "history" / "runs.db").write_text("no database at all, but long enough to be looked at" * 99)
    with pytest.raises(InputError, match="cannot open the Dagster database"), open_instance(homes):
        pass
