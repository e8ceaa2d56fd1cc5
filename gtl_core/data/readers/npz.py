"""Reader of NPZ files with `train_images, train_labels, …`, as MedMNIST lays them out.

Source: J. Yang et al., "MedMNIST v2", Scientific Data 10, 2023. The parts are `train`, `val` and `test`; `images` and
`labels` alone are a set without parts; `train_groups` or `groups` are optional. The label -1 means that an image has
none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from gtl_core.data.manifest import UNLABELLED
from gtl_core.data.readers.archives import DAMAGED, open_zip
from gtl_core.data.readers.record import Record, numbered_classes, splits_of, text, whole_numbers
from gtl_core.errors import InputError

_PREFIXES = {"train": "train_", "val": "val_", "test": "test_", "": ""}
_AT_ONCE = 1024


class NpzReader:
    """Reads the arrays of an NPZ file in blocks of images.

    Args:
        path: the file.
        labelled: False leaves labels aside, and the file needs none.

    Raises:
        InputError: it is no NPZ file that `open_zip` takes, lacks arrays, or has arrays of another type or shape.
    """

    def __init__(self, path: Path, labelled: bool = True) -> None:
        self._path = path
        self._archive = open_zip(path, "NPZ file")
        names = set(self._archive.namelist())
        parts = [part for part, prefix in _PREFIXES.items() if f"{prefix}images.npy" in names]
        if not parts:
            raise InputError(f"{path}: no array train_images, val_images, test_images or images in it")
        splits = splits_of(parts)
        self._parts = [
            (
                f"{_PREFIXES[part]}images",
                self._labels(f"{_PREFIXES[part]}labels") if labelled else self._no_labels(f"{_PREFIXES[part]}images"),
                self._groups(f"{_PREFIXES[part]}groups", names),
                splits[part],
            )
            for part in parts
        ]
        found = set[int]().union(*(whole_numbers(labels, str(path)) for _, labels, _, _ in self._parts))
        self.classes = numbered_classes(found, str(path))
        self.total = sum(len(labels) for _, labels, _, _ in self._parts)

    def records(self) -> Iterator[Record]:
        """Gives the images of all parts in the order of the arrays; see `Reader.records`."""
        numbers = {int(name): number for number, name in enumerate(self.classes)} | {UNLABELLED: UNLABELLED}
        for name, labels, groups, split in self._parts:
            if groups is not None and len(groups) != len(labels):
                raise InputError(f"{self._path}: {len(labels)} labels but {len(groups)} groups beside {name}")
            with self._opened(name) as stream:
                shape = self._header(stream, name)
                if shape[0] != len(labels):
                    raise InputError(f"{self._path}: {name} has {shape[0]} images but {len(labels)} labels")
                for start in range(0, shape[0], _AT_ONCE):
                    rows = min(_AT_ONCE, shape[0] - start)
                    data = self._bytes(stream, rows * math.prod(shape[1:]), name)
                    block = np.frombuffer(data, np.uint8).reshape(rows, *shape[1:])
                    for index, image in enumerate(block, start):
                        group = "" if groups is None else text(groups[index])
                        yield Record(
                            image, numbers[int(labels[index])], split, group, f"{self._path.name}#{name}/{index}"
                        )

    def _opened(self, name: str) -> IO[bytes]:
        """An array as bytes.

        Raises:
            KeyError: there is none of this name.
        """
        try:
            return self._archive.open(f"{name}.npy")
        except DAMAGED as error:
            raise InputError(f"{self._path}: {name} is damaged ({error}); download or save it again") from error

    def _header(self, stream: IO[bytes], name: str) -> tuple[int, ...]:
        """Shape (N, H, W) or (N, H, W, C) of an array of images, read from its header."""
        try:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, by_columns, kind = read(stream)
        except (ValueError, *DAMAGED) as error:
            raise InputError(f"{self._path}: {name} is damaged; save it again") from error
        if kind != np.uint8 or len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
            raise InputError(f"{self._path}: {name} is {kind} {shape}, expected uint8 (N, H, W) or (N, H, W, 1 or 3)")
        if not math.prod(shape[1:]):
            raise InputError(f"{self._path}: {name} is {shape}, so its images have no pixels; save it again")
        if by_columns:
            raise InputError(f"{self._path}: {name} is stored in Fortran order; save it with numpy.ascontiguousarray")
        if math.prod(shape) > self._archive.getinfo(f"{name}.npy").file_size:
            raise InputError(f"{self._path}: {name} is cut off; download or save it again")
        return tuple(shape)

    def _bytes(self, stream: IO[bytes], count: int, name: str) -> bytes:
        try:
            data = stream.read(count)
        except DAMAGED as error:
            raise InputError(f"{self._path}: {name} is damaged; download or save it again") from error
        if len(data) < count:
            raise InputError(f"{self._path}: {name} is cut off; download or save it again")
        return data

    def _array(self, name: str) -> npt.NDArray[Any]:
        """A small array, whole."""
        try:
            with self._opened(name) as stream:
                array: npt.NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        except KeyError:
            raise InputError(f"{self._path}: no array {name} in it") from None
        # MemoryError: the array says that it is larger than any could be.
        except (ValueError, *DAMAGED, MemoryError) as error:
            raise InputError(f"{self._path}: {name} cannot be read: {' '.join(str(error).split())}") from error
        return array

    def _labels(self, name: str) -> npt.NDArray[Any]:
        labels = self._array(name)
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.ndim != 1:
            raise InputError(f"{self._path}: {name} is {labels.shape}; one label an image is needed")
        return labels

    def _no_labels(self, images: str) -> npt.NDArray[Any]:
        """`UNLABELLED` for each image of an array."""
        with self._opened(images) as stream:
            return np.full(self._header(stream, images)[0], UNLABELLED, np.int8)

    def _groups(self, name: str, names: set[str]) -> npt.NDArray[Any] | None:
        return self._array(name).reshape(-1) if f"{name}.npy" in names else None
