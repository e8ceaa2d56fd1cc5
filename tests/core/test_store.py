"""Stages: made once, whole or not at all, and taken up again where a killed build stopped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtl_core import store as store_module
from gtl_core.files import atomic_path, canonical_sha256, file_sha256
from gtl_core.store import StageStore, code_version


@pytest.fixture
def store(tmp_path: Path) -> StageStore:
    return StageStore(tmp_path, "some-experiment")


def test_a_stage_is_made_once_and_then_reused(store: StageStore) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "out.txt").write_text("result")

    key = store.key({"steps": 3}, "code")
    first, second = store.build("gan", key, make), store.build("gan", key, make)
    assert len(made) == 1
    assert (first.reused, second.reused) == (False, True)
    assert second.version == first.version
    assert (second.path / "out.txt").read_text() == "result"


def test_a_failed_build_leaves_no_stage_and_the_next_goes_on_from_its_files(store: StageStore) -> None:
    def fail(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("power cut")

    key = store.key({}, "code")
    with pytest.raises(RuntimeError):
        store.build("gan", key, fail)
    assert store.find("gan", key) is None
    assert not store.path("gan", key).exists()
    seen: list[str] = []
    store.build("gan", key, lambda folder: seen.append((folder / "half.txt").read_text()))
    assert seen == ["half"]


def test_force_begins_from_an_empty_folder_and_replaces_the_stage(store: StageStore) -> None:
    key = store.key({}, "code")
    store.build("gan", key, lambda folder: (folder / "a").write_text("1") and None)
    forced = store.build(
        "gan", key, lambda folder: (folder / "b").write_text(str(len(list(folder.iterdir())))) and None, force=True
    )
    assert not forced.reused
    assert not (forced.path / "a").exists()
    assert (forced.path / "b").read_text() in ("0", "1")
    assert [entry.name for entry in forced.path.parent.iterdir()] == [key]


def test_the_version_is_that_of_the_files_not_of_the_time(store: StageStore) -> None:
    def make(folder: Path) -> None:
        (folder / "out.txt").write_text("same")

    first = store.build("gan", store.key({"a": 1}, "code"), make)
    second = store.build("gan", store.key({"a": 2}, "code"), make)
    assert first.key != second.key
    assert first.version == second.version


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=5))
def test_the_key_does_not_depend_on_the_order_of_the_inputs(inputs: dict[str, int]) -> None:
    store = StageStore(Path("unused"), "x")
    backwards = dict(reversed(list(inputs.items())))
    assert store.key(inputs, "c") == store.key(backwards, "c")
    assert store.key(inputs, "c") != store.key({**inputs, "another key": 0}, "c")
    assert store.key(inputs, "c") != store.key(inputs, "d")


def test_code_version_is_blind_to_comments_and_sees_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "room.py"

    def version(text: str) -> str:
        room.write_text(text)
        code_version.cache_clear()
        return code_version("room")

    monkeypatch.setattr(store_module, "__file__", str(tmp_path / "store.py"))
    plain = version('"""Doc."""\ndef f():\n    """Doc."""\n    return 1\n')
    assert version('"""Other."""\n# why\ndef f():\n    """Other."""\n\n    return 1\n') == plain
    assert version("def f():\n    return 2\n") != plain
    code_version.cache_clear()


def test_a_killed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom gtl_core.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as path:\n    path.write_text('new')\n    os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert ended.returncode == -9
    assert target.read_text() == "old"


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "file.txt") as path:
        path.write_text("new")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_hashes_are_the_standard_ones(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert canonical_sha256({"b": 1, "a": 2}) == canonical_sha256({"a": 2, "b": 1})
