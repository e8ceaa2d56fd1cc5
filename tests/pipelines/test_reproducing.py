"""What cannot be made again is refused before anything runs, and what came out is told apart from what was recorded."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gtl_core.homes import Homes
from gtl_core.registry.tracking import TrackingStore
from pipelines.cli.main import invoke
from pipelines.reproduction import ArmAgain, Reproduction, Weights, differing_libraries
from tests.registry.recorded_models import register_version, scans_experiment, write_scans

MODEL = "gtl-scans-classifier"


@pytest.fixture
def project(homes: Homes, store: TrackingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    """A project with a version that was registered from a clean checkout, and one from a changed one."""
    for name, value in homes.environment().items():
        monkeypatch.setenv(name, value)
    write_scans(homes, "old", seed=1)
    write_scans(homes, "new", seed=2)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        register_version(store, homes, tmp_path / name, scans_experiment())
        (homes.root / "requirements.lock").write_text("torch==0.1\n")
    return homes


def test_what_cannot_be_made_again_is_refused_in_one_line_and_leaves_nothing(
    project: Homes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    import tempfile

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    def told(*arguments: str) -> str:
        capfd.readouterr()
        assert invoke(["reproduce", *arguments]) == 2
        line = capfd.readouterr().err.strip()
        assert "\n" not in line
        return line

    assert "changes that were not committed" in told(f"{MODEL}/2")
    assert "is there already" in told(f"{MODEL}/1", "--keep", str(tmp_path / "first"))
    assert "no version '9'" in told(f"{MODEL}/9")
    write_scans(project, "new", seed=3)
    assert "of new is neither in" in told(f"{MODEL}/1")
    assert "of new is neither in" in told(f"{MODEL}/2", "--force")
    assert list((tmp_path / "temporary").iterdir()) == []
    trees = subprocess.run(["git", "worktree", "list"], cwd=project.root, capture_output=True, text=True, check=True)
    assert len(trees.stdout.splitlines()) == 1
    assert (project.root / "requirements.lock").read_text() == "torch==0.1\n"
    shutil.rmtree(project.root / ".git")
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "another project"]):
        subprocess.run(["git", *command], cwd=project.root, check=True)
    assert "git fetch may bring it" in told(f"{MODEL}/1")


SAME = Reproduction("m/1", "c0ffee", (), (Weights("classifier", "aa", "aa"),), (), 1.0)
ARM = ArmAgain("real", 0.9, 0.85, 0.95, 0.86)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (SAME, "same weights"),
        (replace(SAME, weights=(Weights("classifier", "aa", "bb"),)), "different"),
        (replace(SAME, weights=(Weights("classifier", "aa", None),), arms=(ARM,)), "within the intervals"),
        (replace(SAME, weights=(Weights("gan", "aa", "bb"),), arms=(ARM, replace(ARM, found=0.84))), "different"),
        (replace(SAME, weights=(Weights("gan", "aa", "bb"),), arms=(replace(ARM, found=None),)), "different"),
    ],
)
def test_the_answer_is_the_same_weights_or_scores_within_the_intervals_or_neither(found: Reproduction, outcome: str):
    assert found.outcome == outcome
    assert found.to_json()["outcome"] == outcome


def test_libraries_that_differ_from_the_lock_are_named(tmp_path: Path):
    import numpy

    lock = tmp_path / "requirements.lock"
    lock.write_text(f"# made by pip\nnumpy=={numpy.__version__}\npyyaml==0.1 # the reader\nnot-installed==1.0\n")
    (named,) = differing_libraries(lock)
    assert named.startswith("pyyaml 0.1 → ")
    assert differing_libraries(tmp_path / "absent") == []
