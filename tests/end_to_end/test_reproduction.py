"""A registered model is made again: by the code, the data and the settings of its record, beside the user's work."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from project_copy import Project

pytestmark = pytest.mark.end_to_end

EXPERIMENT = """\
name: again
source: {dataset: typeset-digits}
target: {dataset: mine, labelled_per_class: 5, validation_per_class: 5}
image: {size: 16, channels: 1}
gan: {width: 8, latent: 16, steps: 20, batch: 32}
transfer: {strategies: [finetune], steps: 10}
synthesis: {per_class: 10}
classifier: {width: 8, steps: 20, source_steps: 40, batch: 32}
evaluation: {arms: [real_augmented, best_plus_gan], draws: 2, bootstrap: 100}
"""


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def import_digits(project: Project, scratch: Path, first: int) -> None:
    """Imports handwritten digits as `mine`, those from number `first` on."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * 255 / 16).astype(np.uint8)[first : first + 900]
    labels = bunch.target[first : first + 900]
    file = scratch / f"{first}.npz"
    np.savez(
        file,
        train_images=images[:600],
        train_labels=labels[:600],
        test_images=images[600:],
        test_labels=labels[600:],
    )
    project.gtl("data", "import", "mine", str(file), *(["--replace"] if first else []))


@pytest.fixture(scope="module")
def registered(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has moved on since its model was registered: other code, other data, the experiment gone."""
    scratch = tmp_path_factory.mktemp("digits")
    # A clone, because its code gets broken.
    git(scratch, "clone", "-q", str(project.root), "clone")
    project = Project(scratch / "clone")
    project.gtl("data", "pull")
    import_digits(project, scratch, 0)
    project.gtl("data", "commit")
    file = project.root / "experiments" / "again.yaml"
    file.write_text(EXPERIMENT)
    git(project.root, "add", "-A")
    git(project.root, "commit", "-q", "-m", "an experiment")
    project.json("run", "again")
    file.unlink()
    code = project.root / "gtl_core" / "training" / "classifier.py"
    code.write_text(code.read_text() + "\nraise RuntimeError('this code was never registered')\n")
    git(project.root, "commit", "-q", "-a", "-m", "other code")
    code.write_text(code.read_text() + "\n# and a change that is not committed\n")
    import_digits(project, scratch, 500)
    return project


@pytest.fixture(scope="module")
def again(registered: Project) -> Any:
    return registered.json("reproduce", "gtl-again-classifier/1", "--keep", str(registered.root.parent / "kept"))


def test_the_same_weights_come_out_of_the_recorded_commit_data_and_settings(again: Any) -> None:
    assert again["outcome"] == "same weights"
    assert [weights["stage"] for weights in again["weights"]] == [
        "source_gan",
        "source_classifier",
        "transferred_gan/finetune",
        "classifier",
        "synthetic manifest",
    ]
    assert all(weights["same"] for weights in again["weights"])
    assert {arm["arm"] for arm in again["arms"]} == {"real_augmented", "best_plus_gan/finetune"}
    assert all(arm["found"] == arm["recorded"] and arm["within"] for arm in again["arms"])


def test_nothing_of_the_users_was_touched(registered: Project, again: Any) -> None:
    assert "# and a change that is not committed" in (registered.root / "gtl_core/training/classifier.py").read_text()
    assert (
        git(registered.root, "status", "--porcelain", "--untracked-files=no") == " M gtl_core/training/classifier.py\n"
    )
    assert len(git(registered.root, "worktree", "list").splitlines()) == 1
    assert [model["version"] for model in registered.json("models") if model["name"] == "gtl-again-classifier"] == ["1"]
    assert not (registered.root / "experiments" / "again.yaml").exists()


def test_what_the_run_made_is_kept_where_that_was_asked_for(registered: Project, again: Any) -> None:
    kept = registered.root.parent / "kept"
    assert list((kept / "artifacts" / "again" / "report").glob("*/report.html"))
    assert not (kept / "checkout").exists()


def test_where_the_recorded_data_are_lost_it_says_so_before_anything_runs(registered: Project) -> None:
    shutil.rmtree(registered.root / ".dvc" / "cache")
    told = registered.gtl("reproduce", "gtl-again-classifier/1", code=2)
    assert "of mine is neither in" in told
    assert len(told.strip().splitlines()) == 1
    assert len(git(registered.root, "worktree", "list").splitlines()) == 1
    assert json.loads(registered.gtl("models", "--json"))
