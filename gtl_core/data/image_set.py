"""`ImageSet`: packed images with a manifest and class names; how one is opened and fitted to a size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gtl_core.data.directory_hash import directory_md5
from gtl_core.data.manifest import FILES, JUDGED_SPLITS, MANIFEST_COLUMNS, SPLITS, UNLABELLED
from gtl_core.data.writer import ImageSetWriter
from gtl_core.errors import InputError
from gtl_core.files import read_json

__all__ = ["MANIFEST_COLUMNS", "SPLITS", "UNLABELLED", "ImageSet", "ImageSetWriter", "fitted"]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images, a row about each of them, and the names of their classes.

    Attributes:
        name: name of the set, which is that of its folder.
        images: uint8 (N, C, H, W), memory-mapped where the set was loaded.
        manifest: N rows with `MANIFEST_COLUMNS`, in the order of the images.
        classes: names; `label` is an index into them, or `UNLABELLED`.
        card: what else is known: description, licence, origin.
        folder: where the set lies; None for a set that was put together in memory.
    """

    name: str
    images: npt.NDArray[np.uint8]
    manifest: pd.DataFrame
    classes: tuple[str, ...]
    card: dict[str, Any]
    folder: Path | None = None

    @classmethod
    def load(cls, folder: Path) -> ImageSet:
        """Opens the image set in a folder; pixels are read when they are used.

        Raises:
            InputError: the folder is no image set, or is a damaged one.
        """
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            raise InputError(f"{folder} is no image set: {', '.join(missing)} is not there")
        try:
            images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
            manifest = pd.read_parquet(folder / "manifest.parquet")
            card = read_json(folder / "card.json")
            classes = tuple(str(name) for name in card.pop("classes"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{folder} is a damaged image set: {reason}; import it again") from error
        problem = _problem(images, manifest, classes)
        if problem:
            raise InputError(f"{folder} is a damaged image set: {problem}; import it again")
        return cls(folder.resolve().name, images, manifest, classes, card, folder)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class index of every image, `UNLABELLED` (-1) where it has none: int64 (N,).

        As an index into `classes` -1 would mean the last class: leave such rows out first.
        """
        return self.manifest["label"].to_numpy(dtype=np.int64)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return int(self.images.shape[1])

    @property
    def size(self) -> int:
        """Height of the stored images in pixels; imported and embedded sets are square."""
        return int(self.images.shape[2])

    def indices(self, split: str) -> npt.NDArray[np.int64]:
        """Rows of a split, ascending.

        Args:
            split: `train`, `val`, `test`, or the empty string for images that stand in none.
        """
        return np.flatnonzero((self.manifest["split"] == split).to_numpy()).astype(np.int64)

    def training_rows(self) -> npt.NDArray[np.int64]:
        """Rows that a source is learned from, ascending: the labelled ones of its training part.

        Where it has no such part, the labelled ones of all.
        """
        train = self.indices("train")
        rows = train if len(train) else np.arange(len(self), dtype=np.int64)
        return np.setdiff1d(rows, np.flatnonzero(self.labels == UNLABELLED))

    @property
    def version(self) -> str:
        """DVC's hash of the set's folder, such as `5fae….dir`.

        Raises:
            ValueError: the set lies in no folder.
        """
        if self.folder is None:
            raise ValueError(f"{self.name} was put together in memory; only a set in a folder has a version")
        return directory_md5(self.folder)


def _problem(images: npt.NDArray[Any], manifest: pd.DataFrame, classes: Sequence[str]) -> str:
    """What does not fit together in the parts of a stored image set; empty when all does."""
    absent = [column for column in MANIFEST_COLUMNS if column not in manifest.columns]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        return f"images.npy holds {images.dtype} {images.shape}, expected uint8 (N, 1 or 3, H, W)"
    if absent:
        return f"manifest.parquet lacks {', '.join(absent)}"
    if len(manifest) != len(images):
        return f"{len(images)} images but {len(manifest)} manifest rows"
    if not len(images):
        return "it holds no image"
    without = manifest["label"] == UNLABELLED
    if not (without | manifest["label"].between(0, len(classes) - 1)).all():
        return f"a label is outside 0..{len(classes) - 1}"
    if (without & manifest["split"].isin(JUDGED_SPLITS)).any():
        return "an image of its val or test part has no label"
    unknown = sorted(set(manifest["split"]) - set(SPLITS))
    return f"unknown split {unknown[0]!r}" if unknown else ""


def fitted(images: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Images at another size, by antialiased bicubic interpolation.

    Args:
        images: uint8 (N, C, H, H), such as `ImageSet.images` or rows of it.
        size: wanted height and width in pixels.

    Returns:
        uint8 (N, C, size, size) in memory, writable, of its own.

    Raises:
        ValueError: the images are not square.
    """
    from PIL import Image

    count, channels, height, width = images.shape
    if height != width:
        raise ValueError(f"expected square images, got {height}×{width}")
    if height == size:
        return np.array(images)
    result = np.empty((count, channels, size, size), np.uint8)
    for index in range(count):
        for channel in range(channels):
            plane = Image.fromarray(np.ascontiguousarray(images[index, channel]))
            result[index, channel] = np.asarray(plane.resize((size, size), Image.Resampling.BICUBIC))
    return result
