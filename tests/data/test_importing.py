"""Import: what is done with sizes, colours and bad images, and what is left after a refusal (nothing)."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gtl_core.data.decoding import BadImage, decoded, prepared
from gtl_core.data.image_set import ImageSet
from gtl_core.data.importing import import_images
from gtl_core.errors import InputError
from gtl_core.progress import Progress

GREY = np.random.default_rng(1).integers(0, 256, (8, 8), dtype=np.uint8)


def save(path: Path, image: Image.Image | np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)
    return path


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for label in ("a", "b"):
        for index in range(3):
            save(tmp_path / "files" / label / f"{index}.png", GREY)
    return tmp_path / "files"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_bad_images_are_named_and_nothing_is_written(files: Path, home: Path) -> None:
    good = (files / "a" / "0.png").read_bytes()
    (files / "a" / "cut.png").write_bytes(good[: len(good) // 2])
    (files / "b" / "notes.txt").write_text("not an image")
    with pytest.raises(InputError, match="2 of 8 images cannot be used") as caught:
        import_images("new", files, home)
    assert "a/cut.png: damaged or cut off" in str(caught.value)
    assert "b/notes.txt: neither JPEG nor PNG" in str(caught.value)
    assert "--skip-bad" in str(caught.value)
    assert list(home.iterdir()) == []


def test_with_skip_bad_the_rest_is_imported_and_the_card_lists_what_was_left_out(files: Path, home: Path) -> None:
    (files / "a" / "empty.png").write_bytes(b"")
    images = import_images("new", files, home, skip_bad=True)
    assert len(images) == 6
    assert images.card["skipped"] == ["a/empty.png: neither JPEG nor PNG"]


def test_of_many_bad_images_five_are_named_and_the_others_counted(files: Path, home: Path) -> None:
    for index in range(9):
        (files / "b" / f"bad{index}.png").write_bytes(b"x")
    with pytest.raises(InputError, match=r"bad4\.png.*; and 4 more"):
        import_images("new", files, home)


def test_mixed_sizes_need_a_size(files: Path, home: Path) -> None:
    save(files / "b" / "wide.png", np.zeros((10, 20), np.uint8))
    with pytest.raises(InputError, match=r"0.png is 8×8 pixels and b/wide.png is 20×10; .* --size"):
        import_images("new", files, home)
    images = import_images("new", files, home, size=16)
    assert images.images.shape == (7, 1, 16, 16)
    assert images.manifest["width"].tolist() == [8] * 6 + [20]


def test_mixed_grey_and_colour_need_channels(files: Path, home: Path) -> None:
    save(files / "b" / "red.png", Image.new("RGB", (8, 8), "red"))
    with pytest.raises(InputError, match=r"a/0.png is grey and b/red.png is colour; .*--channels"):
        import_images("new", files, home)
    assert import_images("colour", files, home, channels=3).channels == 3
    grey = import_images("grey", files, home, channels=1)
    assert (grey.images[-1] == 76).all()
    assert grey.manifest["channels"].tolist() == [1] * 6 + [3]


def test_large_images_are_not_stored_whole_unless_asked_for(tmp_path: Path, home: Path) -> None:
    for label in ("a", "b"):
        save(tmp_path / "big" / label / "x.png", np.zeros((300, 400), np.uint8))
    with pytest.raises(InputError, match="400×300 pixels; say how large"):
        import_images("new", tmp_path / "big", home)
    assert import_images("new", tmp_path / "big", home, size=300).size == 300


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "nowhere", "is not there"),
        (lambda root: (root / "empty").mkdir() or root / "empty", "no images in it"),
        (lambda root: save(root / "one" / "only" / "x.png", GREY).parents[1], r"one class only \(only\)"),
        (lambda root: save(root / "flat" / "x.png", GREY).parent, "x.png lies in no class folder"),
        (lambda root: save(root / "picture.png", GREY), "not a layout that can be read"),
    ],
)
def test_a_path_that_is_no_image_set_is_told_in_one_line(
    make: object, message: str, tmp_path: Path, home: Path
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        import_images("new", make(tmp_path), home)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../up", "With Space", "-x", ".hidden", "a" * 65])
def test_a_name_that_cannot_be_a_folder_of_data_is_refused(name: str, files: Path, home: Path) -> None:
    with pytest.raises(InputError, match="cannot name an image set"):
        import_images(name, files, home)


def test_a_set_is_replaced_only_when_asked_for(files: Path, home: Path) -> None:
    before = import_images("new", files, home).version
    save(files / "a" / "more.png", 255 - GREY)
    with pytest.raises(InputError, match="--replace"):
        import_images("new", files, home)
    after = import_images("new", files, home, replace=True)
    assert len(after) == 7
    assert after.version != before
    assert [path.name for path in home.iterdir()] == ["new"]


@pytest.mark.parametrize("replace", [False, True])
def test_only_a_set_is_ever_replaced_and_never_the_files_of_a_user(replace: bool, files: Path, home: Path) -> None:
    originals = files.rename(home / "new")
    for path in (originals, originals / "a", home):
        with pytest.raises(InputError, match="holds a, which is no file of an image set") as caught:
            import_images("new", path, home, replace=replace)
        assert "--replace" not in str(caught.value)
    assert len(list(originals.rglob("*.png"))) == 6
    (home / "file").touch()
    with pytest.raises(InputError, match="no folder"):
        import_images("file", originals, home, replace=replace)


def test_a_set_is_not_replaced_by_what_lies_in_it(files: Path, home: Path) -> None:
    before = import_images("new", files, home).version
    for path in (home / "new", home / "new" / "images.npy", home / ".." / "home" / "new"):
        with pytest.raises(InputError, match="lies in the place of the set 'new'") as caught:
            import_images("new", path, home, replace=True)
        assert "--replace" not in str(caught.value)
    assert ImageSet.load(home / "new").version == before


def test_a_failed_replacement_keeps_the_old_set(files: Path, home: Path) -> None:
    before = import_images("new", files, home).version
    (files / "a" / "0.png").write_bytes(b"x")
    with pytest.raises(InputError):
        import_images("new", files, home, replace=True)
    assert [path.name for path in home.iterdir()] == ["new"]
    assert ImageSet.load(home / "new").version == before


def test_progress_ends_with_the_number_of_images(files: Path, home: Path) -> None:
    seen: list[Progress] = []
    import_images("new", files, home, on_progress=seen.append)
    assert (seen[-1].step, seen[-1].total) == (6, 6)


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path, home: Path) -> None:
    peaks = []
    for count in (1_000, 12_000):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 2, count, dtype=np.uint8)
        np.savez(tmp_path / "set.npz", images=rng.integers(0, 256, (count, 48, 48), dtype=np.uint8), labels=labels)
        tracemalloc.start()
        import_images("new", tmp_path / "set.npz", home, replace=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    pixels = 12_000 * 48 * 48
    assert peaks[1] < pixels / 2
    assert peaks[1] < peaks[0] + 6_000_000


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), size=st.integers(4, 40), value=st.integers(0, 255))
def test_filling_up_to_a_square_keeps_a_plain_picture_plain(height: int, width: int, size: int, value: int) -> None:
    result = prepared(np.full((height, width), value, np.uint8), size, 1)
    assert result.shape == (1, size, size)
    assert (result == value).all()


def test_a_wide_picture_is_neither_cut_nor_squeezed() -> None:
    picture = np.zeros((4, 8), np.uint8)
    picture[1:3, 1:7] = 200
    square = prepared(picture, 8, 1)[0]
    assert np.array_equal(square[2:6], picture)
    assert not square[:2].any()
    assert not square[6:].any()


def test_transparent_parts_become_white_and_deep_grey_is_scaled() -> None:
    glass = Image.new("RGBA", (2, 2), (10, 20, 30, 0))
    assert (decoded(encoded(glass)) == 255).all()
    deep = Image.fromarray(np.full((2, 2), 65535 // 2, np.uint16))
    assert (decoded(encoded(deep)) == 127).all()


def test_a_camera_picture_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decoded(encoded(Image.new("L", (4, 2)), "JPEG", exif=exif)).shape == (4, 2)


def test_a_picture_with_palette_is_colour_and_one_with_two_tones_is_grey() -> None:
    assert decoded(encoded(Image.new("P", (2, 2)))).ndim == 3
    assert decoded(encoded(Image.new("1", (2, 2), 1))).tolist() == [[255, 255], [255, 255]]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_cut_anywhere_is_bad_or_whole_but_never_half(kind: str) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(picture), kind)
    whole = decoded(content)
    for end in range(0, len(content), 3):
        try:
            cut = decoded(content[:end])
        except BadImage:
            continue
        # What may be missing from a picture that is taken is the end mark, never a pixel.
        assert np.array_equal(cut, whole)


def test_a_turned_picture_with_broken_exif_tags_is_a_bad_image_like_others() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x011A] = 72.0
    content = encoded(Image.new("L", (4, 2)), "JPEG", exif=exif)
    # The resolution says that it is words.
    broken = content.replace(b"\x01\x1a\x00\x05", b"\x01\x1a\x00\x02")
    assert broken != content
    with pytest.raises(BadImage, match="damaged or cut off"):
        decoded(broken)


def test_other_image_types_are_not_read() -> None:
    with pytest.raises(BadImage, match="neither JPEG nor PNG"):
        decoded(encoded(Image.new("L", (2, 2)), "BMP"))
