"""Reader of IDX files, the layout of MNIST and its relatives, plain or packed with gzip.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from gtl_core.data.manifest import UNLABELLED
from gtl_core.data.readers.archives import require_harmless
from gtl_core.data.readers.record import Record, numbered_classes, part_in, splits_of, whole_numbers
from gtl_core.errors import InputError

_IMAGES = re.compile(r"^(?P<part>.*?)[-_.]?images[-_.]idx3[-_.]ubyte(\.gz)?$")
_UNSIGNED_BYTE = 0x08
_AT_ONCE = 1024


def image_files(folder: Path) -> list[Path]:
    """The files of a folder that are named like the images of an IDX set, such as `train-images-idx3-ubyte.gz`."""
    return sorted(path for path in folder.iterdir() if path.is_file() and _IMAGES.match(path.name))


class IdxReader:
    """Reads pairs of an images and a labels file.

    Args:
        files: the images files; each one's labels lie beside it.
        labelled: False leaves labels aside, and no file needs any.

    Raises:
        InputError: a labels file is missing, two files are the same part, or a file is damaged.
    """

    def __init__(self, files: list[Path], labelled: bool = True) -> None:
        parts = [_part(path) for path in files]
        if len(set(parts)) < len(parts):
            raise InputError(f"{files[0].parent}: several images files are the same part; import them one by one")
        splits = splits_of(parts)
        labels_of = _labels if labelled else _no_labels
        self._parts = [(path, labels_of(path), splits[part]) for path, part in zip(files, parts, strict=True)]
        found = set[int]().union(*(whole_numbers(labels, str(path)) for path, labels, _ in self._parts))
        self.classes = numbered_classes(found, str(files[0]))
        self.total = sum(len(labels) for _, labels, _ in self._parts)

    def records(self) -> Iterator[Record]:
        """Gives the images in the order of the files; see `Reader.records`."""
        numbers = {int(name): number for number, name in enumerate(self.classes)} | {UNLABELLED: UNLABELLED}
        for path, labels, split in self._parts:
            with _opened(path) as stream:
                count, height, width = _shape(stream, path, 3)
                if count != len(labels):
                    raise InputError(
                        f"{path}: {count} images but {len(labels)} labels; one of the files is another set's"
                    )
                for start in range(0, count, _AT_ONCE):
                    rows = min(_AT_ONCE, count - start)
                    block = _bytes(stream, rows * height * width, path).reshape(rows, height, width)
                    for offset, image in enumerate(block, start):
                        yield Record(image, numbers[int(labels[offset])], split, "", f"{path.name}#{offset}")
                _require_end(stream, path)


def _part(path: Path) -> str:
    """The part that an images file holds."""
    match = _IMAGES.match(path.name)
    return part_in(match["part"] if match else path.name)


def _labels(images: Path) -> npt.NDArray[np.integer[Any]]:
    """Labels that belong to an images file: uint8 (N,)."""
    stem = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    path = next((p for p in (images.with_name(stem), images.with_name(f"{stem}.gz")) if p.is_file()), None)
    if path is None:
        raise InputError(f"{images}: its labels {stem}[.gz] are not beside it")
    with _opened(path) as stream:
        (count,) = _shape(stream, path, 1)
        labels = _bytes(stream, count, path)
        _require_end(stream, path)
        return labels


def _no_labels(images: Path) -> npt.NDArray[np.integer[Any]]:
    """`UNLABELLED` for each image of a file: int8 (N,)."""
    with _opened(images) as stream:
        return np.full(_shape(stream, images, 3)[0], UNLABELLED, np.int8)


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.name.endswith(".gz") else path.open("rb")


def _shape(stream: BinaryIO, path: Path, dimensions: int) -> tuple[int, ...]:
    """Reads an IDX header."""
    zeros, kind, found = struct.unpack(">HBB", _bytes(stream, 4, path).tobytes())
    if zeros or kind != _UNSIGNED_BYTE or found != dimensions:
        raise InputError(f"{path}: not an IDX file of bytes with {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", _bytes(stream, 4 * dimensions, path).tobytes())
    if not math.prod(shape):
        raise InputError(f"{path}: it holds nothing")
    require_harmless(path, math.prod(shape))
    return shape


def _bytes(stream: BinaryIO, count: int, path: Path) -> npt.NDArray[np.uint8]:
    """Exactly `count` bytes: uint8 (count,)."""
    data = _read(stream, count, path)
    if len(data) < count:
        raise InputError(f"{path}: cut off; download it again")
    return np.frombuffer(data, np.uint8)


def _require_end(stream: BinaryIO, path: Path) -> None:
    """Refuses a file that goes on; gzip compares its checksum only where the end is read."""
    if _read(stream, 1, path):
        raise InputError(f"{path}: damaged, it holds more than it says; download it again")


def _read(stream: BinaryIO, count: int, path: Path) -> bytes:
    """At most `count` bytes."""
    try:
        return stream.read(count)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged or cut off ({error}); download it again") from error
