"""Packed files: honest ones are read however well they pack, and no bomb is unpacked, whatever it is packed in."""

from __future__ import annotations

import copy
import gzip
import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gtl_core.data.importing import import_images
from gtl_core.data.new_images import read_new
from gtl_core.data.readers.archives import HARMLESS_BYTES
from gtl_core.data.readers.file_trees import UnreadableFile, ZipTree
from gtl_core.data.wav import encode_wav
from gtl_core.errors import InputError

RATE = 48_000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def packed(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def saying(path: Path, unpacked: int) -> Path:
    """Makes an archive say of its one file that it unpacks to so many bytes."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.filelist[0].file_size = unpacked
        archive.comment = b"changed"
    return path


def of_many_that_are_one(path: Path) -> Path:
    """A zip of files that overlap: each is small and there are too many (Fifield, "A better zip bomb", 2019)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/x.png", bytes(30_000_000))
        archive.filelist += [copy.copy(archive.filelist[0]) for _ in range(HARMLESS_BYTES // 30_000_000)]
    return path


def npy(shape: tuple[int, ...]) -> bytes:
    """The beginning of an NPY file of uint8."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def idx(path: Path, shape: tuple[int, ...]) -> Path:
    """The beginning of an IDX file."""
    data = struct.pack(">HBB", 0, 8, len(shape)) + struct.pack(f">{len(shape)}I", *shape)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def idx_pair(path: Path) -> Path:
    count = HARMLESS_BYTES // 2**20 + 1
    labels = idx(path.with_name("train-labels-idx1-ubyte"), (count,))
    labels.write_bytes(labels.read_bytes() + bytes(index % 2 for index in range(count)))
    return idx(path, (count, 1024, 1024))


def parquet(path: Path) -> Path:
    """A Parquet file of images that are nothing but zeros."""
    size = 60_000_000
    kind = pa.struct([("bytes", pa.binary())])
    schema = pa.schema([("image", kind), ("label", pa.int64())])
    rows = pa.table({"image": pa.array([{"bytes": bytes(size)}], kind), "label": [0]}, schema)
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for _ in range(HARMLESS_BYTES // size + 1):
            writer.write_table(rows)
    return path


def test_a_zip_of_long_sounds_that_are_mostly_silence_is_read(tmp_path: Path, home: Path) -> None:
    click = np.zeros(12 * RATE)
    click[RATE : RATE + 400] = 0.5 * np.sin(np.arange(400))
    sound = encode_wav(click, RATE)
    path = packed(tmp_path / "sounds.zip", {f"{label}/click.wav": sound for label in "ab"})
    assert 2 * len(sound) > 400 * path.stat().st_size
    assert len(import_images("clicks", path, home)) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: saying(packed(folder / "one.zip", {"a/x.png": bytes(1000)}), 2**31 - 1),
        lambda folder: of_many_that_are_one(folder / "many.zip"),
        lambda folder: saying(packed(folder / "set.npz", {"images.npy": npy((8, 2**14, 2**14))}), 2**31 - 1),
        lambda folder: idx_pair(folder / "train-images-idx3-ubyte.gz"),
        lambda folder: idx_pair(folder / "train-images-idx3-ubyte"),
        lambda folder: parquet(folder / "set.parquet"),
    ],
    ids=[
        "one file in a zip",
        "many files in a zip",
        "an array in an NPZ file",
        "IDX packed with gzip",
        "plain IDX",
        "Parquet",
    ],
)
def test_what_would_unpack_to_very_much_is_refused_before_it_is_unpacked(
    make: Callable[[Path], Path], tmp_path: Path, home: Path
) -> None:
    path = make(tmp_path)
    tracemalloc.start()
    try:
        for read in (
            lambda: import_images("new", path, home),
            lambda: read_new(path, size=8, channels=1, most=1, seed=0),
        ):
            with pytest.raises(InputError, match=rf"{path.name}: .* MB .* not read") as caught:
                read()
            assert "\n" not in str(caught.value)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert not home.exists() or not list(home.iterdir())


def test_a_member_that_unpacks_to_more_than_it_says_takes_no_more_memory_than_it_says(tmp_path: Path) -> None:
    tree = ZipTree(saying(packed(tmp_path / "liar.zip", {"a/x.png": bytes(30_000_000)}), 1000))
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFile, match="damaged"):
            tree.read("a/x.png")
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


def test_a_file_that_is_too_big_is_left_out_alone_from_a_zip_as_from_a_folder(tmp_path: Path) -> None:
    tree = ZipTree(saying(packed(tmp_path / "film.zip", {"a/film.mp4": bytes(1000)}), 100_000_000))
    with pytest.raises(UnreadableFile, match="larger than 64 MiB"):
        tree.read("a/film.mp4")


@pytest.mark.parametrize("name", ["files.zip", "set.npz"])
@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2], ids=["LZMA", "bzip2"])
def test_a_way_of_packing_that_cannot_be_unpacked_bit_by_bit_is_refused(
    name: str, method: int, tmp_path: Path, home: Path
) -> None:
    path = packed(tmp_path / name, {"a/images.npy": b"x", "a/x.png": b"x"}, method)
    with pytest.raises(InputError, match=rf"{name}: .*pack it again with deflate"):
        import_images("new", path, home)


@pytest.mark.parametrize("array", ["images", "labels"])
def test_an_npz_array_that_says_more_than_is_there_is_one_clear_line(array: str, tmp_path: Path, home: Path) -> None:
    files = {"images.npy": npy((4, 8, 8)) + bytes(256), "labels.npy": npy((4,)) + b"\0\1\0\1"}
    path = packed(tmp_path / "set.npz", files | {f"{array}.npy": npy((2**42, *([8, 8] if array == "images" else [])))})
    with pytest.raises(InputError, match=f"set.npz: .*{array}") as caught:
        import_images("new", path, home)
    assert "\n" not in str(caught.value)
