"""What an image set on disk promises: whole or not there, the same bytes for the same images, and clear damage."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtl_core.data.image_set import MANIFEST_COLUMNS, UNLABELLED, ImageSet, ImageSetWriter, fitted
from gtl_core.data.pictures import class_sheet, contact_sheet, save_png
from gtl_core.errors import InputError


def written(folder: Path, images: np.ndarray, labels: list[int], **card: str) -> ImageSet:
    with ImageSetWriter(folder, ("cat", "dog"), card) as writer:
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            writer.add(image, label=label, split="train", source_file=f"{index}.png")
    return ImageSet.load(folder)


def noise(count: int, channels: int = 1, side: int = 6) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, channels, side, side), dtype=np.uint8)


def test_a_written_set_is_read_back_as_it_was(tmp_path: Path) -> None:
    images = noise(5, 3)
    made = written(tmp_path / "pets", images, [0, 1, 0, 1, 1], licence="mine")
    assert np.array_equal(made.images, images)
    assert made.labels.tolist() == [0, 1, 0, 1, 1]
    assert tuple(made.manifest.columns) == MANIFEST_COLUMNS
    assert (made.name, made.classes, made.size, made.channels, len(made)) == ("pets", ("cat", "dog"), 6, 3, 5)
    assert made.card["licence"] == "mine"
    assert made.indices("train").tolist() == [0, 1, 2, 3, 4]
    assert made.indices("test").tolist() == []


def test_the_manifest_tells_hash_and_statistics_of_the_stored_pixels(tmp_path: Path) -> None:
    images = noise(3)
    images[1] = 77
    manifest = written(tmp_path / "s", images, [0, 1, 0]).manifest
    assert manifest["sha256"][2] == hashlib.sha256(images[2].tobytes()).hexdigest()
    assert manifest["mean"][0] == pytest.approx(images[0].mean() / 255)
    assert manifest["std"][0] == pytest.approx(images[0].std() / 255)
    assert manifest["std"][1] == 0.0


def test_pixels_of_a_loaded_set_are_mapped_and_not_read(tmp_path: Path) -> None:
    assert isinstance(written(tmp_path / "s", noise(3), [0, 1, 0]).images, np.memmap)


def test_the_same_images_give_the_same_version_and_one_other_pixel_another(tmp_path: Path) -> None:
    images = noise(4)
    first = written(tmp_path / "a" / "s", images, [0, 1, 0, 1]).version
    again = written(tmp_path / "b" / "s", images, [0, 1, 0, 1]).version
    images[3, 0, 0, 0] ^= 1
    other = written(tmp_path / "c" / "s", images, [0, 1, 0, 1]).version
    assert first == again != other
    assert len(first) == 36
    assert first.endswith(".dir")


def test_more_rows_than_one_block_keep_their_order(tmp_path: Path) -> None:
    images = np.zeros((9001, 1, 2, 2), np.uint8)
    images[:, 0, 0, 0] = np.arange(9001) % 251
    made = written(tmp_path / "s", images, [0, 1] * 4500 + [0])
    assert len(made) == 9001
    assert np.array_equal(made.images, images)
    assert made.manifest["source_file"].tolist() == [f"{index}.png" for index in range(9001)]


def test_an_error_while_writing_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    before = written(tmp_path / "s", noise(2), [0, 1]).version
    with pytest.raises(KeyError), ImageSetWriter(tmp_path / "s", ("cat", "dog")) as writer:
        writer.add(noise(1)[0], label=0)
        raise KeyError
    assert ImageSet.load(tmp_path / "s").version == before
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_set_of_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image"), ImageSetWriter(tmp_path / "s", ("cat", "dog")):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": 2},
        {"label": -2},
        {"label": -1, "split": "val"},
        {"label": -1, "split": "test"},
        {"label": 0, "split": "exam"},
    ],
)
def test_the_writer_refuses_labels_and_splits_that_do_not_exist(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"label|split"), ImageSetWriter(tmp_path / "s", ("cat", "dog")) as writer:
        writer.add(noise(1)[0], **wrong)  # type: ignore[arg-type]


def test_images_without_label_are_read_back_so_and_no_source_learns_from_them(tmp_path: Path) -> None:
    made = written(tmp_path / "pets", noise(5), [0, UNLABELLED, 1, UNLABELLED, 1])
    assert made.labels.tolist() == [0, -1, 1, -1, 1]
    assert made.training_rows().tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("split", "test", "an image of its val or test part has no label"),
        ("split", "val", "an image of its val or test part has no label"),
        ("label", -2, r"a label is outside 0\.\.1"),
    ],
)
def test_an_image_without_label_that_should_judge_makes_a_set_damaged(
    tmp_path: Path, column: str, value: str | int, problem: str
) -> None:
    manifest = written(tmp_path / "s", noise(3), [0, UNLABELLED, 1]).manifest
    manifest.loc[1, column] = value
    manifest.to_parquet(tmp_path / "s" / "manifest.parquet")
    with pytest.raises(InputError, match=problem):
        ImageSet.load(tmp_path / "s")


def test_further_columns_stand_beside_the_usual_ones(tmp_path: Path) -> None:
    with ImageSetWriter(tmp_path / "s", ("cat", "dog"), extra={"generator": str, "seed": int}) as writer:
        writer.add(noise(1)[0], label=0, extra={"generator": "g", "seed": 7})
    manifest = ImageSet.load(tmp_path / "s").manifest
    assert (manifest["generator"][0], manifest["seed"][0]) == ("g", 7)


@pytest.mark.parametrize("file", ["images.npy", "manifest.parquet", "card.json"])
@pytest.mark.parametrize("damage", ["cut", "removed"])
def test_a_damaged_set_is_named_and_not_read(tmp_path: Path, file: str, damage: str) -> None:
    written(tmp_path / "s", noise(4), [0, 1, 0, 1])
    path = tmp_path / "s" / file
    if damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()
    with pytest.raises(InputError, match=r"/s is (a damaged|no) image set"):
        ImageSet.load(tmp_path / "s")


def test_a_set_whose_manifest_is_another_sets_is_damaged(tmp_path: Path) -> None:
    written(tmp_path / "s", noise(4), [0, 1, 0, 1])
    written(tmp_path / "t", noise(3), [0, 1, 0])
    (tmp_path / "t" / "manifest.parquet").replace(tmp_path / "s" / "manifest.parquet")
    with pytest.raises(InputError, match="4 images but 3 manifest rows"):
        ImageSet.load(tmp_path / "s")


def test_images_that_fit_are_copied_unchanged() -> None:
    images = noise(3)
    same = fitted(images, 6)
    assert np.array_equal(same, images)
    assert not np.shares_memory(same, images)


@settings(max_examples=25, deadline=None)
@given(value=st.integers(0, 255), side=st.integers(2, 40), size=st.integers(2, 40), channels=st.sampled_from([1, 3]))
def test_a_constant_image_stays_constant_at_any_size(value: int, side: int, size: int, channels: int) -> None:
    result = fitted(np.full((2, channels, side, side), value, np.uint8), size)
    assert result.shape == (2, channels, size, size)
    assert (result == value).all()


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((1, 1, 32, 32), np.uint8)
    stripes[..., ::2] = 255
    assert np.abs(fitted(stripes, 8)[..., 1:-1].astype(int) - 128).max() < 12


def test_a_contact_sheet_shows_every_image_in_its_place() -> None:
    images = noise(5, 3)
    sheet = np.asarray(contact_sheet(images, columns=3, scale=2))
    assert sheet.shape == (2 * 14 + 2, 3 * 14 + 2, 3)
    assert np.array_equal(sheet[16:28:2, 16:28:2], images[4].transpose(1, 2, 0))


def test_a_sheet_by_class_has_a_row_for_each_class_and_is_the_same_file_every_time(tmp_path: Path) -> None:
    images, labels = noise(9), np.array([0, 0, 0, 0, 0, 1, 1, 3, 3])
    for name in ("a.png", "b.png"):
        save_png(tmp_path / name, class_sheet(images, labels, columns=4))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert class_sheet(images, labels, columns=4).height == contact_sheet(images[:3], 1).height


def test_a_sheet_by_class_shows_images_without_label_in_a_last_row_of_their_own() -> None:
    images = noise(6)
    sheet = class_sheet(images, np.array([UNLABELLED, 0, 1, UNLABELLED, 0, 1]), columns=2)
    expected = contact_sheet(images[[1, 4, 2, 5, 0, 3]], columns=2)
    assert np.array_equal(np.asarray(sheet), np.asarray(expected))
