"""Folders and archives as they come: links are followed, nothing in them vanishes, and every name can be written."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gtl_core.data.importing import import_images
from gtl_core.data.incoming import NOTHING, Waiting, next_window
from gtl_core.data.new_images import LeftOut, read_new
from gtl_core.data.readers.file_trees import FolderTree
from gtl_core.errors import InputError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def classes(folder: Path, *names: str) -> Path:
    """Class folders of three images each."""
    for value, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for index in range(3):
            Image.fromarray(np.full((8, 8), 40 * value + index, np.uint8)).save(folder / name / f"{index}.png")
    return folder


def packed(path: Path, files: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_linked_parts_classes_and_files_are_read_like_others(tmp_path: Path, home: Path) -> None:
    files = classes(tmp_path / "files", "train/a", "train/b")
    elsewhere = classes(tmp_path / "elsewhere", "a", "b", "c")
    (files / "test").symlink_to(elsewhere)
    (files / "train" / "c").symlink_to(elsewhere / "c")
    (files / "train" / "a" / "linked.png").symlink_to(elsewhere / "c" / "0.png")
    images = import_images("new", files, home)
    assert images.classes == ("a", "b", "c")
    assert (len(images.indices("train")), len(images.indices("test"))) == (10, 9)


def test_parquet_files_behind_links_are_found(tmp_path: Path, home: Path) -> None:
    (tmp_path / "files" / "sub").mkdir(parents=True)
    (tmp_path / "files" / "sub" / "train.parquet").write_bytes(b"no more of it")
    (tmp_path / "linking").mkdir()
    (tmp_path / "linking" / "data").symlink_to(tmp_path / "files" / "sub")
    with pytest.raises(InputError, match=r"train\.parquet: not a whole Parquet file"):
        import_images("new", tmp_path / "linking", home)


@pytest.mark.parametrize("name", ["a/broken.png", "c", "train-images-idx3-ubyte"])
@pytest.mark.parametrize("target", ["nowhere", "itself"])
def test_a_link_that_leads_nowhere_is_named(name: str, target: str, tmp_path: Path, home: Path) -> None:
    files = classes(tmp_path / "files", "a", "b")
    (files / name).symlink_to(files / name if target == "itself" else tmp_path / "nowhere")
    with pytest.raises(InputError, match=f"files: {name} is a link that leads nowhere; mend or remove it"):
        import_images("new", files, home, skip_bad=True)
    assert not home.exists()


def test_a_link_in_a_circle_is_named_and_not_followed_for_ever(tmp_path: Path, home: Path) -> None:
    files = classes(tmp_path / "files", "a", "b")
    (files / "a" / "back").symlink_to(files)
    with pytest.raises(InputError, match="a/back is a link back to a folder that it lies in"):
        import_images("new", files, home)
    assert len(FolderTree(files).names) == 6


def test_one_folder_may_be_linked_twice(tmp_path: Path, home: Path) -> None:
    elsewhere = classes(tmp_path / "elsewhere", "x")
    (tmp_path / "files").mkdir()
    for name in ("a", "b"):
        (tmp_path / "files" / name).symlink_to(elsewhere / "x")
    assert len(import_images("new", tmp_path / "files", home)) == 6


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, home: Path) -> None:
    files = classes(tmp_path / "files", "a", "b", "locked")
    (files / "locked").chmod(0)
    try:
        if os.access(files / "locked", os.R_OK):
            pytest.skip("whoever runs this test may read everything")
        with pytest.raises(InputError, match=r"locked: the folder cannot be read \(Permission denied\); make it"):
            import_images("new", files, home)
    finally:
        (files / "locked").chmod(0o700)


def test_new_images_are_read_beside_links_that_lead_nowhere(tmp_path: Path) -> None:
    files = classes(tmp_path / "files", "a")
    (files / "gone.png").symlink_to(tmp_path / "nowhere")
    found = read_new(files, size=8, channels=1, most=9, seed=0)
    assert (len(found.files), found.left_out) == (3, (LeftOut("gone.png", "No such file or directory"),))
    assert isinstance(next_window(files, NOTHING, count=4, size=8, channels=1), Waiting)


@pytest.mark.parametrize("name", [b"f\xfcr.png", b"f\xfcr/0.png"], ids=["file", "folder"])
def test_a_name_that_is_no_text_is_refused_before_anything_is_read(name: bytes, tmp_path: Path, home: Path) -> None:
    files = classes(tmp_path / "files", "a", "b")
    path = Path(os.fsdecode(os.fsencode(files / "a") + b"/" + name))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(png())
    for read in (
        lambda: import_images("new", files, home),
        lambda: read_new(files, size=8, channels=1, most=9, seed=0),
        lambda: next_window(files, NOTHING, count=1, size=8, channels=1),
    ):
        with pytest.raises(InputError, match=r"a/f\\udcfcr.*no UTF-8 text; rename it"):
            read()


def test_the_name_of_a_single_file_must_be_text_too(tmp_path: Path, home: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xfcr.npz"))
    path.write_bytes(b"x")
    with pytest.raises(InputError, match="no UTF-8 text; rename it"):
        import_images("new", path, home)


def test_zip_members_may_be_named_from_the_folder_that_was_packed(tmp_path: Path, home: Path) -> None:
    path = packed(tmp_path / "files.zip", [("./", b""), ("./a/0.png", png()), ("./b/0.png", png())])
    assert import_images("new", path, home).classes == ("a", "b")


@pytest.mark.parametrize("other", ["a/0.png", "./a/0.png", "a//0.png"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_zip_members_of_one_name_are_refused(other: str, tmp_path: Path, home: Path) -> None:
    path = packed(tmp_path / "files.zip", [("a/0.png", png()), ("b/0.png", png()), (other, png())])
    with pytest.raises(InputError, match=r"files.zip: two members are called 'a/0.png'"):
        import_images("new", path, home)


def test_a_zip_member_without_a_name_is_refused(tmp_path: Path, home: Path) -> None:
    path = packed(tmp_path / "files.zip", [("a/0.png", png()), ("b/0.png", png()), (".", b"x")])
    with pytest.raises(InputError, match=r"member '\.' points outside"):
        import_images("new", path, home)
