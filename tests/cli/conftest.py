"""A project of its own for each test: the shipped dagster.yaml and pyproject.toml in an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gtl_core.homes import Homes

ROOT = Path(__file__).resolve().parents[2]
GTL = Path(sys.executable).with_name("gtl")
Gtl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    """Homes of an empty project; this process and its children are pointed to them until the test ends."""
    root = tmp_path / "project"
    root.mkdir()
    for name in ("dagster.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    for variable in (
        "GTL_DATA",
        "GTL_MLRUNS",
        "GTL_ARTIFACTS",
        "GTL_DAGSTER",
        "GTL_EXPERIMENTS",
        "MLFLOW_TRACKING_URI",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GTL_ROOT", str(root))
    found = Homes.locate()
    for variable, value in found.environment().items():
        monkeypatch.setenv(variable, value)
    return found


@pytest.fixture
def gtl(homes: Homes) -> Gtl:
    """Runs the installed command in that project."""

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [GTL, *arguments],
            cwd=homes.root,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return call
