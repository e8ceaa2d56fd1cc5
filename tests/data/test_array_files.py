"""IDX, NPZ and Parquet files: labels are what each file says they are, and what is damaged is one clear line."""

from __future__ import annotations

import gzip
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gtl_core.data.importing import import_images
from gtl_core.data.new_images import read_new
from gtl_core.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 3


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def idx(array: np.ndarray) -> bytes:
    return struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def idx_pair(folder: Path, images: bytes, labels: bytes = gzip.compress(idx(LABELS))) -> Path:
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(images)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(labels)
    return folder


def parquet(path: Path, labels: list[Any] | pa.Array, names: list[str] | None = None) -> Path:
    """A file whose image `i` is all of the value `i`."""
    rows = []
    for index in range(len(labels)):
        stream = io.BytesIO()
        Image.fromarray(np.full((8, 8), index, np.uint8)).save(stream, "PNG")
        rows.append({"bytes": stream.getvalue(), "path": f"{index}.png"})
    table = pa.table({"image": rows, "label": labels})
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def refused(path: Path, home: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        import_images("new", path, home)
    assert "\n" not in str(caught.value)
    assert not home.exists() or not list(home.iterdir())


@pytest.mark.parametrize("which", ["images", "labels"])
def test_the_checksum_of_packed_idx_files_is_compared(which: str, tmp_path: Path, home: Path) -> None:
    files = {"images": bytearray(gzip.compress(idx(PIXELS))), "labels": bytearray(gzip.compress(idx(LABELS)))}
    files[which][-8] ^= 1
    idx_pair(tmp_path, bytes(files["images"]), bytes(files["labels"]))
    refused(tmp_path, home, f"t10k-{which}-.*damaged or cut off .CRC check failed")


def test_an_idx_file_that_holds_more_than_it_says_is_refused(tmp_path: Path, home: Path) -> None:
    idx_pair(tmp_path, gzip.compress(idx(PIXELS) + b"\0"))
    refused(tmp_path, home, "t10k-images-.*holds more than it says")


def test_an_empty_word_in_parquet_is_no_label_and_no_class(tmp_path: Path, home: Path) -> None:
    images = import_images("new", parquet(tmp_path / "set.parquet", ["cat", "", "dog", None]), home)
    assert (images.classes, images.labels.tolist()) == (("cat", "dog"), [0, -1, 1, -1])


def test_each_parquet_file_has_its_classes_in_its_own_order(tmp_path: Path, home: Path) -> None:
    parquet(tmp_path / "files" / "test.parquet", [0, 1, 2], ["dog", "cat", "cow"])
    parquet(tmp_path / "files" / "train.parquet", [0, 1, 0], ["cat", "dog"])
    images = import_images("new", tmp_path / "files", home)
    assert images.classes == ("dog", "cat", "cow")
    assert images.labels[images.indices("test")].tolist() == [0, 1, 2]
    assert images.labels[images.indices("train")].tolist() == [1, 0, 1]


def test_parquet_files_that_name_classes_beside_others_that_do_not_are_refused(tmp_path: Path, home: Path) -> None:
    parquet(tmp_path / "files" / "test.parquet", [0, 1], ["dog", "cat"])
    parquet(tmp_path / "files" / "train.parquet", [0, 1])
    refused(tmp_path / "files", home, r"train\.parquet: says no names of its classes, and test\.parquet does")


def test_two_parquet_classes_of_one_name_are_refused(tmp_path: Path, home: Path) -> None:
    refused(parquet(tmp_path / "set.parquet", [0, 1], ["cat", "cat"]), home, "two of its classes are called 'cat'")


@pytest.mark.parametrize("names", [("cifar-train", "cifar-test"), ("train_of_cifar", "cifar.test"), ("train", "t10k")])
def test_any_word_of_a_parquet_files_name_may_tell_its_part(names: tuple[str, str], tmp_path: Path, home: Path) -> None:
    for name in names:
        parquet(tmp_path / "files" / f"{name}.PARQUET", [0, 1])
    images = import_images("new", tmp_path / "files", home)
    assert (len(images.indices("train")), len(images.indices("test"))) == (2, 2)


@pytest.mark.parametrize(("train", "test"), [([0, 1], ["a", "b"]), (["a", "b"], [0, 1])])
def test_words_beside_numbers_in_parquet_are_refused(
    train: list[Any], test: list[Any], tmp_path: Path, home: Path
) -> None:
    parquet(tmp_path / "files" / "train.parquet", train)
    parquet(tmp_path / "files" / "test.parquet", test)
    refused(tmp_path / "files", home, r"train\.parquet: column label is .* and of another type in test\.parquet")


def test_parquet_columns_that_do_not_hold_what_they_should_are_refused(tmp_path: Path, home: Path) -> None:
    table = pa.table({"image": [{"bytes": "x", "path": ""}] * 4, "label": [0, 1] * 2})
    pq.write_table(table, tmp_path / "words.parquet")
    refused(tmp_path / "words.parquet", home, "expected a column of structs with bytes and a column label")
    no_text = pa.StringArray.from_buffers(2, pa.py_buffer(struct.pack("<3i", 0, 1, 2)), pa.py_buffer(b"a\xff"))
    refused(parquet(tmp_path / "bytes.parquet", no_text), home, r"bytes\.parquet: damaged or cut off")


def test_large_parquet_labels_and_mixed_kinds_of_npz_labels_are_whole_numbers(tmp_path: Path, home: Path) -> None:
    large = pa.array([2**64 - 1, 5, 5], pa.uint64())
    assert import_images("large", parquet(tmp_path / "set.parquet", large), home).labels.tolist() == [1, 0, 0]
    np.savez(
        tmp_path / "mixed.npz",
        train_images=PIXELS,
        train_labels=LABELS.astype(np.uint64),
        test_images=PIXELS,
        test_labels=LABELS.astype(np.int64),
    )
    mixed = import_images("mixed", tmp_path / "mixed.npz", home)
    assert (mixed.classes, mixed.labels.tolist()) == (("0", "1", "2"), [*LABELS, *LABELS])


def test_endings_may_be_in_capitals(tmp_path: Path, home: Path) -> None:
    with (tmp_path / "SET.NPZ").open("wb") as stream:
        np.savez(stream, images=PIXELS, labels=LABELS)
    assert len(import_images("new", tmp_path / "SET.NPZ", home)) == 12
    assert len(read_new(tmp_path / "SET.NPZ", size=8, channels=1, most=99, seed=0).files) == 12


def test_npz_images_without_pixels_are_refused(tmp_path: Path, home: Path) -> None:
    np.savez(tmp_path / "set.npz", images=np.zeros((12, 0, 8), np.uint8), labels=LABELS)
    refused(tmp_path / "set.npz", home, r"images is \(12, 0, 8\), so its images have no pixels")


@pytest.mark.parametrize("array", ["images", "labels"])
@pytest.mark.parametrize(
    ("in_directory", "offset", "value"),
    [(False, 0, 0), (False, 30, ord("x")), (True, 8, 0x20), (True, 8, 0x40)],
    ids=["no member", "another name", "patched data", "strongly encrypted"],
)
def test_a_damaged_member_of_an_npz_is_one_clear_line(
    array: str, in_directory: bool, offset: int, value: int, tmp_path: Path, home: Path
) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, images=PIXELS, labels=LABELS)
    data = bytearray(path.read_bytes())
    name = f"{array}.npy".encode()
    # A member's header has 30 bytes before its name, its entry in the directory at the end 46.
    at = data.rindex(name) - 46 if in_directory else data.index(name) - 30
    data[at + offset] = value
    path.write_bytes(data)
    refused(path, home, rf"set\.npz: {array} is damaged")


@pytest.mark.parametrize("name", ["set.npz", "set.zip"])
def test_an_archive_of_a_version_to_come_is_one_clear_line(name: str, tmp_path: Path, home: Path) -> None:
    np.savez(tmp_path / "set.npz", images=PIXELS, labels=LABELS)
    data = bytearray((tmp_path / "set.npz").read_bytes())
    data[data.index(b"PK\x01\x02") + 6] = 255
    (tmp_path / name).write_bytes(data)
    refused(tmp_path / name, home, f"{name}: not a whole")


def test_new_images_need_no_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", train_images=PIXELS[:8], test_images=PIXELS[8:])
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(PIXELS))
    pq.write_table(parquet_without_labels(tmp_path / "set.parquet"), tmp_path / "set.parquet")
    for name in ("set.npz", "train-images-idx3-ubyte"):
        found = read_new(tmp_path / name, size=8, channels=1, most=99, seed=0)
        assert np.array_equal(found.images[:, 0], PIXELS)
    found = read_new(tmp_path / "set.parquet", size=8, channels=1, most=99, seed=0)
    assert found.images[:, 0, 0, 0].tolist() == [0, 1, 2]


def parquet_without_labels(path: Path) -> pa.Table:
    return pq.read_table(parquet(path, [0, 1, 2])).drop_columns(["label"])


def test_an_import_needs_labels_as_before(tmp_path: Path, home: Path) -> None:
    np.savez(tmp_path / "set.npz", train_images=PIXELS[:8], test_images=PIXELS[8:])
    refused(tmp_path / "set.npz", home, "no array train_labels")
    pq.write_table(parquet_without_labels(tmp_path / "set.parquet"), tmp_path / "set.parquet")
    refused(tmp_path / "set.parquet", home, "and a column label")
