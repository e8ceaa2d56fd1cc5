"""`gtl doctor`: what it finds, and what it mends."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gtl_core.data import versions
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.homes import Homes
from gtl_core.registry.relocation import find_moved, mend_moved
from gtl_core.registry.tracking import open_store
from pipelines import checkup
from pipelines.checkup import check_up


def _found(homes: Homes, **options: bool) -> dict[str, tuple[str, str]]:
    return {check.name: (check.state, check.message) for check in check_up(homes, **options)}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow home with a run, an artifact and a model version; its tables take seconds, so it is made once."""
    root = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GTL_ROOT", str(root))
        for variable in ("GTL_MLRUNS", "MLFLOW_TRACKING_URI"):
            patch.delenv(variable, raising=False)
        store = open_store(Homes.locate())
        run = store.start_run("study of two words", "first")
        (root / "note.txt").write_text("kept")
        store.log_artifact(run, root / "note.txt")
        store.finish(run)
        store.client.create_registered_model("a-model")
        store.client.create_model_version("a-model", source=store.client.get_run(run).info.artifact_uri, run_id=run)
    return root / "mlruns"


def _read_note(homes: Homes, scratch: Path) -> str:
    client = open_store(homes).client
    run = client.search_runs([client.get_experiment_by_name("study of two words").experiment_id])[0]
    return Path(client.download_artifacts(run.info.run_id, "note.txt", str(scratch))).read_text()


def test_a_sound_project_has_no_failed_check_on_what_the_installation_decides(homes: Homes):
    found = _found(homes)
    for name in ("python", "packages", "selections", "dagster", "mlflow", "artifact paths", "device", "disk"):
        assert found[name][0] != "failed", found[name]
    assert not homes.mlruns.exists()  # looking makes no store


def test_a_folder_without_git_fails(homes: Homes):
    state, message = _found(homes)["git"]
    assert state == "failed"
    assert "git" in message


def test_a_commit_is_named_and_uncommitted_changes_are_a_warning(homes: Homes):
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *command], cwd=homes.root, check=True
        )
    assert _found(homes)["git"][0] == "ok"
    (homes.root / "dagster.yaml").write_text((homes.root / "dagster.yaml").read_text() + "# edited\n")
    assert _found(homes)["git"][0] == "warning"


def test_dependencies_that_do_not_fit_are_named(homes: Homes, monkeypatch):
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["torch==1.0", "no-such-package>=2", "numpy>=2"])
    state, message = _found(homes)["packages"]
    assert state == "failed"
    assert "torch" in message and "needed ==1.0" in message and "no-such-package is missing" in message
    assert "numpy" not in message


def test_the_antlr_trap_is_found(homes: Homes, monkeypatch):
    def broken(_text):
        raise TypeError("ord() expected string of length 1")

    monkeypatch.setattr("dagster.AssetSelection.from_string", broken)
    state, message = _found(homes)["selections"]
    assert state == "failed"
    assert "antlr4-python3-runtime" in message


def test_dagster_reads_selections_beside_dvc():
    import dagster as dg
    import dvc.utils.hydra  # noqa: F401

    @dg.asset
    def a() -> None: ...

    @dg.asset(deps=[a])
    def b() -> None: ...

    @dg.asset
    def c() -> None: ...

    assert dg.AssetSelection.from_string('key:"a"+').resolve([a, b, c]) == {a.key, b.key}


def test_a_home_that_is_a_file_is_told_with_the_variable_that_moves_it(homes: Homes):
    homes.artifacts.write_text("")
    state, message = _found(homes)["home artifacts"]
    assert state == "failed"
    assert "GTL_ARTIFACTS" in message


def test_a_full_disk_fails(homes: Homes, monkeypatch):
    usage = shutil.disk_usage(homes.root)
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda _path: usage._replace(free=1_000_000))
    assert _found(homes)["disk"][0] == "failed"


def test_a_wrong_experiment_file_is_named(homes: Homes):
    homes.experiments.mkdir()
    (homes.experiments / "odd.yaml").write_text("name: odd\nunheard_of: 1\n")
    state, message = _found(homes)["experiments"]
    assert state == "failed"
    assert "odd.yaml" in message and "unheard_of" in message


def test_a_store_in_its_place_has_nothing_to_mend(homes: Homes, template: Path):
    here = replace(homes, mlruns=template)
    assert find_moved(here) == []
    assert mend_moved(here) == 0


def test_a_moved_project_is_found_and_mended(homes: Homes, template: Path, tmp_path: Path):
    before = tmp_path / "before" / "mlruns"
    shutil.copytree(template, homes.mlruns)
    assert [place.folder for place in find_moved(homes)] == [template / "artifacts"]
    state, message = _found(homes)["artifact paths"]
    assert state == "failed"
    assert "--mend" in message

    assert _found(homes, mend=True)["artifact paths"][0] == "ok"
    assert find_moved(homes) == []
    with closing(sqlite3.connect(homes.mlruns / "mlflow.db")) as connection:
        assert str(template) not in "\n".join(connection.iterdump())
    shutil.move(template, before)  # the copy must not read the original any more
    try:
        assert _read_note(homes, tmp_path) == "kept"
        assert _found(homes)["mlflow"][0] == "ok"
    finally:
        shutil.move(before, template)


def test_artifacts_that_were_put_elsewhere_on_purpose_stay_there(homes: Homes, template: Path):
    homes.mlruns.mkdir()
    shutil.copy(template / "mlflow.db", homes.mlruns)  # the artifacts exist there and not here
    assert find_moved(homes) == []


def write_set(folder: Path, value: int) -> None:
    with ImageSetWriter(folder, ("dark", "bright")) as writer:
        for label in (0, 1):
            writer.add(np.full((1, 8, 8), value + label, np.uint8), label=label)


def make_older(folder: Path, hours: float) -> None:
    then = time.time() - 3600 * hours
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then))


def kill_import(homes: Homes, name: str) -> Path:
    """Ends an import as `kill -9` does, after its first image; the folder that it leaves."""
    program = (
        "import os, numpy as np; from pathlib import Path; from gtl_core.data.image_set import ImageSetWriter\n"
        f"with ImageSetWriter(Path({str(homes.data / name)!r}), ('a', 'b')) as writer:\n"
        "    writer.add(np.zeros((1, 8, 8), np.uint8), label=0); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    (left,) = homes.data.glob(f".{name}.*")
    return left


def test_what_killed_imports_left_is_found_and_removed_and_nothing_else(homes: Homes):
    left, young = kill_import(homes, "mine"), kill_import(homes, "young")
    write_set(homes.data / "mine", 10)
    make_older(left, 25)
    make_older(young, 23)
    strange = [homes.data / ".mine.notes", homes.data / ".mine.abcd1234"]
    for folder in strange:
        folder.mkdir()
        (folder / "notes.txt").touch()
        make_older(folder, 99)
    state, message = _found(homes)["unfinished imports"]
    assert state == "warning"
    assert left.name in message and young.name not in message and "--mend" in message

    state, message = _found(homes, mend=True)["unfinished imports"]
    assert (state, left.name in message) == ("ok", True)
    assert sorted(homes.data.iterdir()) == sorted([homes.data / "mine", young, *strange])
    assert _found(homes)["unfinished imports"] == ("ok", f"killed imports have left nothing in {homes.data}")


def test_a_set_whose_replacement_was_killed_half_way_comes_back(homes: Homes):
    write_set(homes.data / "mine", 10)
    version = ImageSet.load(homes.data / "mine").version
    moved = homes.data / ".mine.abcd1234"
    moved.mkdir()
    (homes.data / "mine").rename(moved / "old")
    make_older(moved, 25)
    assert _found(homes, mend=True)["unfinished imports"][0] == "ok"
    assert [path.name for path in homes.data.iterdir()] == ["mine"]
    assert ImageSet.load(homes.data / "mine").version == version


def test_what_a_pull_does_with_added_sets_is_told_as_it_is(homes: Homes):
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=homes.root, check=True)
    write_set(homes.data / "pinned", 10)
    versions.commit(homes)
    write_set(homes.data / "more", 30)
    state, message = _found(homes)["data"]
    assert state == "warning"
    assert message.startswith("differs from the pin: more; gtl data commit records it")
    assert message.endswith("added sets stay until you remove them")
    assert versions.pull(homes).status.added == ("more",)
    shutil.rmtree(homes.data / "more")
    shutil.rmtree(homes.data / "pinned")
    write_set(homes.data / "pinned", 20)
    assert "stay" not in _found(homes)["data"][1]


def test_of_a_configured_store_the_files_that_are_in_use_are_looked_at(homes: Homes, template: Path, monkeypatch):
    database = homes.root / "elsewhere.db"
    shutil.copy(template / "mlflow.db", database)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    state, message = _found(homes)["artifact paths"]
    assert state == "ok"
    assert "locations were not looked at" in message
    open_store(homes).client.set_registered_model_alias("a-model", "champion", "1")
    state, message = _found(homes)["artifact paths"]  # its folder holds no model
    assert state == "warning"
    assert "the files of a-model version 1 are not where it says" in message


def test_the_command_shows_a_table_or_json_and_exits_1_when_something_failed(gtl):
    import json

    answer = gtl("doctor")
    assert answer.returncode == 1  # the folder is no git checkout
    assert answer.stdout.splitlines()[0].split() == ["check", "state", "found"]
    assert answer.stderr.splitlines()[-1].startswith("gtl: ")
    checks = json.loads(gtl("doctor", "--json").stdout)
    assert {check["state"] for check in checks} <= {"ok", "warning", "failed"}
    assert os.environ["GTL_ROOT"] in " ".join(check["message"] for check in checks)
