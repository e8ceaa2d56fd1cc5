"""Stages: made once, whole or not at all, and taken up again where a killed build stopped."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtl_core import store as store_module
from gtl_core.data.directory_hash import Unchanged
from gtl_core.errors import InputError
from gtl_core.files import atomic_path, canonical_sha256, file_sha256, link_file
from gtl_core.store import Stage, StageStore, code_version


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

    def forget() -> None:
        code_version.cache_clear()
        store_module._program.cache_clear()

    def version(text: str) -> str:
        room.write_text(text)
        forget()
        return code_version("room")

    monkeypatch.setattr(store_module, "__file__", str(tmp_path / "store.py"))
    plain = version('"""Doc."""\ndef f():\n    """Doc."""\n    return 1\n')
    assert version('"""Other."""\n# why\ndef f():\n    """Other."""\n\n    return 1\n') == plain
    assert version("def f():\n    return 2\n") != plain
    forget()


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


def test_what_is_made_while_its_inputs_change_is_thrown_away(tmp_path: Path) -> None:
    inputs = tmp_path / "set"
    inputs.mkdir()
    (inputs / "images.npy").write_text("before")
    store = StageStore(tmp_path / "artifacts", "some-experiment", Unchanged.since_now([inputs]))
    key = store.key({}, "code")

    def make(folder: Path) -> None:
        (folder / "checkpoint").write_text("half")
        (inputs / "images.npy").write_text("after!")
        raise IndexError("a row that is not there any more")

    with pytest.raises(InputError, match=r"set was changed during the run; run the experiment again"):
        store.build("gan", key, make)
    assert not list(store.path("gan", key).parent.iterdir())
    with pytest.raises(InputError, match="was changed"):
        store.build("gan", key, lambda folder: (folder / "out").write_text("result") and None)
    (inputs / "images.npy").write_text("before")
    assert not store.build("gan", key, lambda folder: (folder / "out").write_text("result") and None).reused


KEY = "0123456789abcdef"


def never(folder: Path) -> None:
    raise AssertionError("was made again")


@pytest.fixture
def of_another(tmp_path: Path) -> Stage:
    """A stage with a file in a folder, made by another experiment."""

    def make(folder: Path) -> None:
        (folder / "milestones").mkdir()
        (folder / "milestones" / "300.safetensors").write_text("early")
        (folder / "gan.safetensors").write_text("late")

    return StageStore(tmp_path, "another").build("transferred_gan/finetune/draw-0", KEY, make)


def test_what_another_experiment_made_from_the_same_is_not_made_again(store: StageStore, of_another: Stage) -> None:
    mine = store.build(of_another.name, KEY, never, shared=True)
    assert mine.reused
    assert mine.taken_over
    assert not store.build(of_another.name, KEY, never, shared=True).taken_over
    assert (mine.version, mine.seconds) == (of_another.version, of_another.seconds)
    assert mine.path == store.path(of_another.name, KEY) != of_another.path
    shutil.rmtree(of_another.path)
    assert (mine.path / "gan.safetensors").read_text() == "late"
    assert (mine.path / "milestones" / "300.safetensors").read_text() == "early"
    assert [entry.name for entry in mine.path.parent.iterdir()] == [KEY]


def test_it_is_made_again_by_force_under_another_name_and_where_it_tells_of_its_experiment(
    store: StageStore, of_another: Stage
) -> None:
    def make(folder: Path) -> None:
        (folder / "gan.safetensors").write_text("mine")

    assert not store.build(of_another.name, KEY, make, shared=True, force=True).reused
    assert not store.build("transferred_gan/finetune/draw-1", KEY, make, shared=True).reused
    assert not store.build(of_another.name, KEY.replace("0", "f"), make, shared=True).reused
    assert not StageStore(store.artifacts, "third").build(of_another.name, KEY, make).reused
    assert (of_another.path / "gan.safetensors").read_text() == "late"


DAMAGES = [("gan.safetensors", "not what was made")] + [
    ("stage.json", content) for content in ("", "{}", "[]", "null", '{"files": []}', '{"files": {"lost": "0"}}')
]


@pytest.mark.parametrize(("damaged", "content"), DAMAGES)
def test_a_damaged_stage_of_another_is_not_taken_over_and_costs_no_checkpoint(
    store: StageStore, of_another: Stage, damaged: str, content: str
) -> None:
    (of_another.path / damaged).write_text(content)

    def fail(folder: Path) -> None:
        (folder / "checkpoint").write_text("half")
        raise RuntimeError("power cut")

    def make(folder: Path) -> None:
        assert [file.name for file in folder.iterdir()] == ["checkpoint"]
        (folder / "gan.safetensors").write_text("mine")

    with pytest.raises(RuntimeError):
        store.build(of_another.name, KEY, fail, shared=True)

    assert not store.build(of_another.name, KEY, make, shared=True).reused
    assert (store.path(of_another.name, KEY) / "gan.safetensors").read_text() == "mine"
    assert (of_another.path / damaged).read_text() == content


def test_what_was_begun_here_gives_way_to_what_another_has_finished(store: StageStore, of_another: Stage) -> None:
    def fail(folder: Path) -> None:
        (folder / "checkpoint").write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        StageStore(store.artifacts, "some-experiment").build(of_another.name, KEY, fail)
    mine = store.build(of_another.name, KEY, never, shared=True)
    assert not (mine.path / "checkpoint").exists()


def test_what_is_made_anew_while_it_is_taken_over_is_not_mixed(
    store: StageStore, of_another: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made_anew(file: Path, name: Path) -> None:
        (of_another.path / "gan.safetensors").unlink(missing_ok=True)
        (of_another.path / "gan.safetensors").write_text("by force")
        link_file(file, name)

    monkeypatch.setattr(store_module, "link_file", made_anew)
    mine = store.build(of_another.name, KEY, lambda folder: (folder / "gan").write_text("x") and None, shared=True)
    assert not mine.reused
    assert [file.name for file in sorted(mine.path.iterdir())] == ["gan", "stage.json"]


def test_where_files_cannot_be_linked_they_are_copied(
    store: StageStore, of_another: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError("this file system has no hard links")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    mine = store.build(of_another.name, KEY, never, shared=True)
    assert mine.reused
    assert (mine.path / "gan.safetensors").stat().st_nlink == 1


OTHER = """\
import sys, time
from pathlib import Path
from gtl_core.store import StageStore

def make(folder):
    (folder / "out").write_text("of the other process")
    print("begun", flush=True)
    time.sleep(float(sys.argv[2]))

StageStore(Path(sys.argv[1]), "some-experiment").build("gan", "0123456789abcdef", make)
"""


@pytest.mark.parametrize("force", [False, True])
def test_a_stage_that_another_process_builds_is_waited_for(tmp_path: Path, force: bool) -> None:
    command = [sys.executable, "-c", OTHER, str(tmp_path), "1.5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "begun\n"
        store = StageStore(tmp_path, "some-experiment")
        stage = store.build(
            "gan", "0123456789abcdef", lambda folder: (folder / "out").write_text("mine") and None, force=force
        )
    assert stage.reused is not force
    assert (stage.path / "out").read_text() == ("mine" if force else "of the other process")
    assert [path.name for path in stage.path.parent.iterdir()] == ["0123456789abcdef"]


def test_a_stage_whose_builder_was_killed_is_not_waited_for(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path), "60"], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "begun\n"
        other.kill()
    store = StageStore(tmp_path, "some-experiment")
    stage = store.build("gan", "0123456789abcdef", lambda folder: None)
    assert not stage.reused
    assert (stage.path / "out").read_text() == "of the other process"  # what it had written is gone on from
