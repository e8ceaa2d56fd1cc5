"""Which folders are parts and which are classes, in whatever they are wrapped."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gtl_core.data.importing import import_images
from gtl_core.errors import InputError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def packed(path: Path, *names: str) -> Path:
    """A zip of images, and of what other files there are."""
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(stream, "PNG")
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, stream.getvalue() if name.endswith(".png") else b"words")
    return path


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/a/0.png", "train/b/0.png", "holdout/a/0.png", "holdout/b/0.png"], "holdout lies beside train and is"),
        (["train/a/0.png", "train/b/0.png", "test/a/0.png", "annotations/labels.csv"], "annotations lies beside test"),
        (["set/train/a/0.png", "set/val/b/0.png", "set/test2/b/0.png"], "test2 lies beside train and val"),
        (["train/unlabelled/0.png", "unlabelled/0.png", "holdout/unlabelled/1.png"], "holdout lies beside train"),
    ],
)
def test_parts_do_not_become_classes(names: list[str], message: str, tmp_path: Path, home: Path) -> None:
    with pytest.raises(InputError, match=rf"files.zip: {message}.*parts are called train, val and test, so"):
        import_images("new", packed(tmp_path / "files.zip", *names), home, skip_bad=True)
    assert not home.exists()


def test_a_class_of_vehicles_may_be_called_train(tmp_path: Path, home: Path) -> None:
    path = packed(tmp_path / "files.zip", "train/steam/0.png", "car/red/0.png", "bus/0.png")
    images = import_images("new", path, home)
    assert images.classes == ("bus", "car", "train")
    assert set(images.manifest["group"]) == {"", "red", "steam"}


@pytest.mark.parametrize("readme", ["README.md", "set/README.md"])
def test_a_readme_beside_the_folder_that_wraps_all_or_in_it_is_passed_over(
    readme: str, tmp_path: Path, home: Path
) -> None:
    names = [f"set/{part}/{label}/0.png" for part in ("train", "test") for label in "ab"]
    images = import_images("new", packed(tmp_path / "files.zip", readme, *names), home)
    assert images.classes == ("a", "b")
    assert (len(images.indices("train")), len(images.indices("test"))) == (2, 2)


def test_classes_that_are_called_by_very_long_numbers_come_in_their_order(tmp_path: Path, home: Path) -> None:
    path = packed(tmp_path / "files.zip", "word/0.png", f"{'1' * 5000}/0.png", "10/0.png", "9/0.png", "010/0.png")
    assert import_images("new", path, home).classes == ("9", "010", "10", "1" * 5000, "word")
