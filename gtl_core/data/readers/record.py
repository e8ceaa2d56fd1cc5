"""What every reader gives, and what the layouts have in common: names of parts, classes by number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gtl_core.data.manifest import UNLABELLED
from gtl_core.errors import InputError

_PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "t10k": "test",
}


@dataclass(frozen=True)
class Record:
    """One image as a reader finds it.

    Attributes:
        content: the bytes of a JPEG or PNG file, or pixels: uint8 (H, W) or (H, W, 3).
        label: index into the reader's classes, or `UNLABELLED`.
        split: `train`, `val`, `test` or empty.
        group: what must stay on one side of a split, or empty.
        source_file: where the image is, as a person would look for it.
        problem: why the image could not be read, where `content` is None.
    """

    content: bytes | npt.NDArray[np.uint8] | None
    label: int
    split: str
    group: str
    source_file: str
    problem: str = ""


class Reader(Protocol):
    """Reads one layout, image by image.

    Attributes:
        classes: names of the classes of the labelled images, known before the first image is read.
        total: how many records there will be.
    """

    classes: tuple[str, ...]
    total: int

    def records(self) -> Iterator[Record]:
        """Gives every image, in an order that is always the same.

        Raises:
            InputError: the file as a whole is damaged.
        """


def part_named(name: str) -> str | None:
    """`train`, `val` or `test` for the name of a part as people write it, such as `validation`; else None."""
    return _PARTS.get(name.lower())


def part_in(file: str) -> str:
    """The part that a file's name tells: its first word that is one, such as in `cifar-test`; empty where none is."""
    named = (part_named(word) for word in re.split(r"[-_.]", file))
    return next((part for part in named if part), "")


def means_unlabelled(name: str) -> bool:
    """Whether a name where a class would stand says that the images have no label."""
    return name.lower() in ("unlabelled", "unlabeled")


def splits_of(parts: Iterable[str]) -> dict[str, str]:
    """The split of each part that was found.

    A part that stands alone is nothing to keep apart from others, so its images are in no split: MNIST's `t10k` files
    by themselves can then be a source as well as a target.
    """
    found = sorted(set(parts))
    return {part: part if len(found) > 1 else "" for part in found}


def whole_numbers(values: npt.NDArray[Any], where: str) -> set[int]:
    """The distinct labels of an array.

    Args:
        values: whole numbers (N,).
        where: the file, for the message.

    Raises:
        InputError: they are no whole numbers.
    """
    if values.dtype.kind not in "iu":
        raise InputError(f"{where}: labels are {values.dtype}, expected whole numbers")
    return set(np.unique(values).tolist())


def numbered_classes(found: set[int], where: str) -> tuple[str, ...]:
    """Names of classes that are given by numbers: the numbers, ascending, `UNLABELLED` left out.

    Args:
        found: the distinct labels.
        where: the file, for the message.

    Raises:
        InputError: a label is negative.
    """
    known = sorted(found - {UNLABELLED})
    if known and known[0] < 0:
        raise InputError(f"{where}: label {known[0]} is out of range; labels start at 0, and -1 means no label")
    return tuple(map(str, known))


def text(value: Any) -> str:
    """A group's name; None and missing values are no group."""
    return "" if value is None or value != value else str(value)
