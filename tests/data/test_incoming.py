"""An incoming folder: every image is taken once, in the order of arrival, and nothing else is taken or touched."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gtl_core.data.incoming import NOTHING, Memory, Waiting, next_window
from gtl_core.data.new_images import LeftOut, NewImages, read_new
from gtl_core.errors import InputError

LONG_AGO = time.time() - 3600


def arrive(folder: Path, name: str, after: float = 0.0, value: int = 0) -> Path:
    """Puts an image into the folder, `after` seconds after the first."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(path)
    os.utime(path, (LONG_AGO + after, LONG_AGO + after))
    return path


def look(folder: Path, memory: Memory = NOTHING, count: int = 3) -> tuple[NewImages, Memory] | Waiting:
    return next_window(folder, memory, count=count, size=8, channels=1)


def taken(folder: Path, memory: Memory = NOTHING, count: int = 3) -> tuple[tuple[str, ...], Memory]:
    window = look(folder, memory, count)
    assert not isinstance(window, Waiting)
    return window[0].files, window[1]


def waiting(folder: Path, memory: Memory = NOTHING, count: int = 3) -> Waiting:
    window = look(folder, memory, count)
    assert isinstance(window, Waiting)
    return window


def test_images_come_in_the_order_of_their_arrival_each_once(tmp_path: Path) -> None:
    for after, name in enumerate(("c.png", "camera-2/a.JPEG", "b.jpg", "a.png", "e.png", "d.png", "f.png")):
        arrive(tmp_path, name, after)
    first, memory = taken(tmp_path)
    second, memory = taken(tmp_path, memory)
    assert first == ("c.png", "camera-2/a.JPEG", "b.jpg")
    assert second == ("a.png", "e.png", "d.png")
    assert waiting(tmp_path, memory).images == 1


def test_an_image_with_an_old_time_of_change_is_not_lost(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        arrive(tmp_path, name, 100)
    memory = taken(tmp_path)[1]
    for name in ("d.png", "e.png", "f.png"):
        arrive(tmp_path, name, -100)
    assert taken(tmp_path, memory)[0] == ("d.png", "e.png", "f.png")


def test_a_file_that_is_written_again_is_a_new_image(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        arrive(tmp_path, name)
    memory = taken(tmp_path)[1]
    arrive(tmp_path, "a.png", 50, value=9)
    assert waiting(tmp_path, memory).images == 1


def test_foreign_files_are_passed_over_and_counted(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        arrive(tmp_path, name)
    (tmp_path / "notes.txt").write_text("nothing to see")
    (tmp_path / ".hidden.png").write_text("rsync's own")
    (tmp_path / "broken.png").write_text("no image")
    os.utime(tmp_path / "broken.png", (LONG_AGO, LONG_AGO))
    window = look(tmp_path)
    assert not isinstance(window, Waiting)
    assert window[0].files == ("a.png", "b.png", "c.png")
    found = {one.file: one.why for one in window[0].left_out}
    assert found == {"notes.txt": "no image", "broken.png": "neither JPEG nor PNG"}


def test_a_half_copied_image_waits_until_it_is_whole(tmp_path: Path) -> None:
    for after, name in enumerate(("a.png", "b.png", "c.png")):
        arrive(tmp_path, name, after)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "b.png")
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    os.utime(tmp_path / "b.png", (LONG_AGO, LONG_AGO))
    half = waiting(tmp_path)
    assert half.images == 2
    [left] = half.left_out
    assert left.file == "b.png"
    assert left.why.startswith("damaged or cut off: ")
    (tmp_path / "b.png").write_bytes(whole)
    assert waiting(tmp_path, half.memory).images == 2, "it was written just now"
    os.utime(tmp_path / "b.png", (LONG_AGO + 1, LONG_AGO + 1))
    assert taken(tmp_path, half.memory)[0] == ("a.png", "b.png", "c.png")


def test_an_image_that_is_being_copied_right_now_is_not_looked_at(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        arrive(tmp_path, name)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "c.png")
    assert waiting(tmp_path).images == 2
    future = time.time() + 1e6
    os.utime(tmp_path / "c.png", (future, future))
    assert taken(tmp_path)[0][-1] == "c.png", "a camera with a wrong clock must not wait for years"


def test_a_damaged_image_is_not_read_again_before_it_changes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        arrive(tmp_path, name)
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(bytes(len(whole)))
    os.utime(tmp_path / "b.png", (LONG_AGO, LONG_AGO))
    memory = waiting(tmp_path).memory
    assert set(memory.damaged) == {"b.png"}
    assert Memory.of_json(memory.to_json()) == memory
    assert waiting(tmp_path, memory).left_out == (LeftOut("b.png", "neither JPEG nor PNG"),)
    (tmp_path / "b.png").write_bytes(whole)
    os.utime(tmp_path / "b.png", (LONG_AGO, LONG_AGO))
    assert waiting(tmp_path, memory).images == 2, "size and time say that it is the same"
    os.utime(tmp_path / "b.png", (LONG_AGO + 1, LONG_AGO + 1))
    assert taken(tmp_path, memory)[0] == ("a.png", "c.png", "b.png")


def test_damaged_files_of_a_memory_that_gives_no_reasons_are_looked_at_again(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        arrive(tmp_path, name)
    (tmp_path / "b.png").write_bytes(b"")
    os.utime(tmp_path / "b.png", (LONG_AGO, LONG_AGO))
    saved = waiting(tmp_path).memory.to_json()
    del saved["why"]
    before = Memory.of_json(saved)
    assert before.damaged == {}
    assert [one.why for one in waiting(tmp_path, before).left_out] == ["neither JPEG nor PNG"]


def test_what_has_left_the_folder_is_forgotten_but_not_while_the_folder_is_empty(tmp_path: Path) -> None:
    names = ("a.png", "b.png", "c.png")
    for name in names:
        arrive(tmp_path / "in", name)
    memory = taken(tmp_path / "in")[1]
    shutil.move(tmp_path / "in", tmp_path / "unmounted")
    (tmp_path / "in").mkdir()
    assert waiting(tmp_path / "in", memory).memory == memory
    shutil.rmtree(tmp_path / "in")
    shutil.move(tmp_path / "unmounted", tmp_path / "in")
    assert waiting(tmp_path / "in", memory).images == 0
    (tmp_path / "in/a.png").unlink()
    for name in ("d.png", "e.png", "f.png"):
        arrive(tmp_path / "in", name)
    assert set(taken(tmp_path / "in", memory)[1].taken) == {"b.png", "c.png", "d.png", "e.png", "f.png"}


def test_the_folder_is_left_as_it_is(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png", "notes.txt.png"):
        arrive(tmp_path, name)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*")}
    taken(tmp_path)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*")} == before


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not there; make it, or change drift\.incoming"):
        look(tmp_path / "nowhere")


def test_new_images_are_read_from_a_flat_folder_an_archive_and_an_npz(tmp_path: Path) -> None:
    for index in range(6):
        arrive(tmp_path / "flat", f"{index}.png", value=10 * index)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for index in range(6):
            archive.write(tmp_path / "flat" / f"{index}.png", f"some/where/{index}.png")
        archive.writestr("readme.txt", "hello")
    pixels = np.stack([np.full((8, 8), 10 * index, np.uint8) for index in range(6)])
    np.savez(tmp_path / "array.npz", images=pixels, labels=np.full(6, -1))
    for name in ("flat", "packed.zip", "array.npz"):
        found = read_new(tmp_path / name, size=8, channels=1, most=100, seed=0)
        assert found.images.shape == (6, 1, 8, 8)
        assert [int(image.max()) for image in found.images] == [0, 10, 20, 30, 40, 50]
        assert [one.file for one in found.left_out] == (["readme.txt"] if name == "packed.zip" else [])


def test_of_many_images_random_ones_are_read_and_the_same_ones_again(tmp_path: Path) -> None:
    for index in range(30):
        arrive(tmp_path, f"{index:02}.png")
    first, second, other = (read_new(tmp_path, size=8, channels=1, most=5, seed=seed) for seed in (1, 1, 2))
    assert len(first.files) == 5
    assert first.files == second.files
    assert first.files != other.files


def test_a_folder_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match=r"no image in it that can be read \(1 other files\)"):
        read_new(tmp_path, size=8, channels=1, most=5, seed=0)
