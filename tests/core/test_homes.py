"""Which project a command works on, and that it is none where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from gtl_core.errors import InputError
from gtl_core.homes import Homes


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a folder with no project above it, and no variable that names one."""
    for variable in ("ROOT", "DATA", "MLRUNS", "ARTIFACTS", "DAGSTER", "EXPERIMENTS"):
        monkeypatch.delenv(f"GTL_{variable}", raising=False)
    here = tmp_path / "some" / "folder"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    return here


def test_without_a_project_around_it_none_is_found(folder: Path) -> None:
    with pytest.raises(InputError, match=f"no project at or above {folder} .*; cd to one, or set GTL_ROOT"):
        Homes.locate()


def test_the_nearest_project_above_is_found(folder: Path) -> None:
    for name in ("dagster.yaml", "pyproject.toml"):
        (folder.parent / name).touch()
    (folder / "pyproject.toml").touch()
    found = Homes.locate()
    assert (found.root, found.data) == (folder.parent, folder.parent / "data")


def test_a_named_project_is_found_from_anywhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTL_ROOT", str(folder.parent))
    assert Homes.locate().artifacts == folder.parent / "artifacts"
