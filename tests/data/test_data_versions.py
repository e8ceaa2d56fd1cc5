"""Data versions: what DVC says of the same folder, and a user's own sets that are never lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from gtl_core.data import versions
from gtl_core.data.demo import EMBEDDED
from gtl_core.data.directory_hash import directory_rows
from gtl_core.data.dvc import cached
from gtl_core.data.image_set import ImageSetWriter
from gtl_core.errors import InputError
from gtl_core.homes import Homes


def dvc(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, check=True, capture_output=True)


def homes_of(root: Path) -> Homes:
    return Homes(root, root / "data", root / "mlruns", root / "artifacts", root / ".dagster", root / "experiments")


def write_set(folder: Path, value: int) -> None:
    with ImageSetWriter(folder, ("dark", "bright")) as writer:
        for index in range(4):
            writer.add(np.full((1, 4, 4), value + index, np.uint8), label=index % 2, source_file=f"{index}.png")


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose data.dvc pins the embedded sets and one more, all of it in DVC's cache."""
    root = tmp_path_factory.mktemp("pinned") / "project"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    dvc(root, "init", "--quiet")
    (root / ".dvcignore").write_text("/data/.*\n")
    for name, make in EMBEDDED.items():
        make(root / "data" / name)
    write_set(root / "data" / "mine", 10)
    versions.commit(homes_of(root))
    return root


@pytest.fixture
def project(committed: Path, tmp_path: Path) -> Homes:
    """A copy of that checkout."""
    return homes_of(Path(shutil.copytree(committed, tmp_path / "project")))


def test_the_data_version_is_the_one_that_dvc_writes(project: Homes) -> None:
    pinned = yaml.safe_load((project.root / "data.dvc").read_text())["outs"][0]["md5"]
    assert versions.data_version(project) == pinned == versions.pinned_version(project.root)
    assert versions.status(project).matches


def test_unfinished_imports_are_no_part_of_the_version(project: Homes) -> None:
    (project.data / ".mine.x7").mkdir()
    (project.data / ".mine.x7" / "images.npy").write_bytes(b"half")
    assert versions.status(project).matches
    versions.commit(project)
    assert versions.status(project).matches


def test_status_names_what_was_added_changed_and_is_missing(project: Homes) -> None:
    write_set(project.data / "mine", 20)
    write_set(project.data / "more", 30)
    shutil.rmtree(project.data / "typeset-digits")
    now = versions.status(project)
    assert not now.matches
    assert (now.added, now.changed, now.missing) == (("more",), ("mine",), ("typeset-digits",))


def test_a_file_that_changes_within_the_same_size_changes_the_version(project: Homes) -> None:
    before = versions.data_version(project)
    path = project.data / "mine" / "images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert versions.data_version(project) != before


def test_pull_takes_what_is_missing_from_the_cache(project: Homes) -> None:
    shutil.rmtree(project.data)
    done = versions.pull(project)
    assert sorted(done.fetched) == ["handwritten-digits", "mine", "typeset-digits"]
    assert done.rebuilt == ()
    assert done.status.matches


def test_pull_never_overwrites_a_set_that_the_user_changed_or_added(project: Homes) -> None:
    write_set(project.data / "mine", 20)
    write_set(project.data / "more", 30)
    before = versions.data_version(project)
    done = versions.pull(project)
    assert (done.fetched, done.rebuilt, done.kept) == ((), (), ("mine",))
    assert versions.data_version(project) == before


def test_pull_follows_the_pin_where_the_present_set_can_be_had_back(project: Homes) -> None:
    old_pin = (project.root / "data.dvc").read_text()
    old = versions.data_version(project)
    write_set(project.data / "mine", 20)
    versions.commit(project)
    (project.root / "data.dvc").write_text(old_pin)
    assert versions.pull(project).fetched == ("mine",)
    assert versions.data_version(project) == old


def test_push_sends_to_the_remote_and_pull_fetches_from_it(project: Homes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no remote"):
        versions.push(project)
    dvc(project.root, "remote", "add", "--default", "store", str(tmp_path / "remote"))
    assert versions.push(project) == "store"
    shutil.rmtree(project.data)
    shutil.rmtree(project.root / ".dvc" / "cache")
    done = versions.pull(project)
    assert sorted(done.fetched) == ["handwritten-digits", "mine", "typeset-digits"]
    assert done.trouble == ""
    assert done.status.matches


@pytest.mark.parametrize("level", ["--project", "--local"])
def test_versions_are_found_in_the_cache_that_dvc_is_configured_with(
    project: Homes, tmp_path: Path, level: str
) -> None:
    shutil.move(project.root / ".dvc" / "cache", tmp_path / "cache of many")
    dvc(project.root, "cache", "dir", level, str(tmp_path / "cache of many"))
    dvc(project.root, "remote", "add", "--default", "store", str(tmp_path / "remote"))
    write_set(project.data / "more", 30)
    assert versions.status(project).added == ("more",)
    versions.commit(project)
    versions.push(project)
    shutil.rmtree(project.data)
    done = versions.pull(project)
    assert sorted(done.fetched) == ["handwritten-digits", "mine", "more", "typeset-digits"]
    shutil.rmtree(project.data)
    shutil.rmtree(tmp_path / "cache of many")
    done = versions.pull(project)
    assert sorted(done.fetched) == ["handwritten-digits", "mine", "more", "typeset-digits"]
    assert done.trouble == ""
    assert done.status.matches


def test_a_configuration_that_dvc_cannot_read_is_told(project: Homes) -> None:
    (project.root / ".dvc" / "config.local").write_text("[cache\n")
    with pytest.raises(InputError, match=r"configuration of DVC in .* cannot be read"):
        versions.status(project)


def test_without_a_remote_the_embedded_sets_are_rebuilt_and_pull_says_that_they_are_not_the_whole_pin(
    project: Homes, tmp_path: Path
) -> None:
    shutil.rmtree(project.data)
    shutil.rmtree(project.root / ".dvc" / "cache")
    dvc(project.root, "remote", "add", "--default", "store", str(tmp_path / "nothing-here"))
    done = versions.pull(project)
    assert sorted(done.rebuilt) == ["handwritten-digits", "typeset-digits"]
    assert done.trouble == f"store does not hold version {versions.pinned_version(project.root)}"
    assert not done.status.matches
    assert not done.status.known


def test_rebuilt_embedded_sets_match_a_pin_of_them_and_are_known_to_dvc(project: Homes) -> None:
    shutil.rmtree(project.data / "mine")
    pinned = versions.commit(project).pinned
    shutil.rmtree(project.data)
    shutil.rmtree(project.root / ".dvc" / "cache")
    done = versions.pull(project)
    assert sorted(done.rebuilt) == ["handwritten-digits", "typeset-digits"]
    assert done.status.matches
    assert versions.pinned_version(project.root) == pinned
    write_set(project.data / "more", 30)
    assert versions.status(project).added == ("more",)


def test_embedded_sets_that_the_pin_does_not_have_are_not_made(project: Homes) -> None:
    shutil.rmtree(project.data / "typeset-digits")
    versions.commit(project)
    shutil.rmtree(project.data / "mine")
    done = versions.pull(project)
    assert (done.fetched, done.rebuilt) == (("mine",), ())
    assert done.status.matches


def test_an_embedded_set_of_the_pin_is_rebuilt_where_only_its_files_are_lost(project: Homes) -> None:
    shutil.rmtree(project.data / "typeset-digits")
    versions.commit(project)
    for row in directory_rows(project.data / "handwritten-digits"):
        cached(project.root, row["md5"]).unlink()
    shutil.rmtree(project.data)
    done = versions.pull(project)
    assert (done.fetched, done.rebuilt) == (("mine",), ("handwritten-digits",))
    assert done.status.matches


def test_commit_refuses_a_link_that_no_version_would_hold(project: Homes, tmp_path: Path) -> None:
    before = versions.pinned_version(project.root)
    write_set(tmp_path / "elsewhere", 30)
    (project.data / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=f"{project.data / 'more'} is a link"):
        versions.commit(project)
    assert versions.pinned_version(project.root) == before


def test_commit_refuses_a_damaged_set_and_keeps_the_pin(project: Homes) -> None:
    before = versions.pinned_version(project.root)
    (project.data / "mine" / "images.npy").write_bytes(b"x")
    with pytest.raises(InputError, match="damaged"):
        versions.commit(project)
    assert versions.pinned_version(project.root) == before


@pytest.mark.parametrize("action", [versions.status, versions.pull, versions.commit, versions.push])
def test_without_a_git_checkout_data_versions_say_so(action: Callable[[Homes], object], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no git checkout"):
        action(homes_of(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_data_outside_of_the_project_cannot_be_pinned(project: Homes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="GTL_DATA"):
        versions.commit(replace(project, data=tmp_path / "elsewhere"))


def test_a_pin_that_is_no_version_is_told(project: Homes) -> None:
    (project.root / "data.dvc").write_text("outs:\n- md5: nonsense\n")
    with pytest.raises(InputError, match="is no data version"):
        versions.status(project)
