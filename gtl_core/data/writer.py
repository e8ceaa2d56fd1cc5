"""`ImageSetWriter`: packs images into a set one by one, and moves it to its place when it is whole."""

from __future__ import annotations

import hashlib
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from gtl_core.data.manifest import JUDGED_SPLITS, MANIFEST_COLUMNS, SPLITS, UNLABELLED
from gtl_core.errors import InputError
from gtl_core.files import write_json

_ROWS_AT_ONCE = 4096
_INTEGERS = ("label", "width", "height", "channels")
_FLOATS = ("mean", "std")


class ImageSetWriter:
    """Writes an image set image by image; memory does not grow with their number.

    A context manager. The files are written into a hidden folder beside `folder` and take its place when the block
    ends well, also where a set of that name was there; a block that raises leaves everything as it was.

    Args:
        folder: where the set shall lie; its name is the set's name.
        classes: names of the classes.
        card: what else is known of the set, JSON-able; `classes` and counts are added.
        extra: further manifest columns with their type: `str`, `int` or `float`.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        card: Mapping[str, Any] | None = None,
        extra: Mapping[str, type] | None = None,
    ) -> None:
        self.folder = folder
        self.classes = tuple(classes)
        self.card = dict(card or {})
        self.count = 0
        self._extra = dict(extra or {})
        self._shape: tuple[int, int, int] | None = None
        self._rows: list[dict[str, Any]] = []
        self._header_size = 0

    def __enter__(self) -> ImageSetWriter:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types: dict[type, Any] = {str: pa.string(), int: pa.int64(), float: pa.float64()}
        columns: dict[str, type] = {
            name: int if name in _INTEGERS else float if name in _FLOATS else str for name in MANIFEST_COLUMNS
        }
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}.", dir=self.folder.parent))
        self._pixels: BinaryIO = (self._temporary / "images.npy").open("wb+")
        self._schema = pa.schema([(name, types[kind]) for name, kind in {**columns, **self._extra}.items()])
        self._manifest = pq.ParquetWriter(self._temporary / "manifest.parquet", self._schema)
        return self

    def add(
        self,
        image: npt.NDArray[np.uint8],
        *,
        label: int,
        split: str = "",
        group: str = "",
        source_file: str = "",
        original: tuple[int, int, int] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Appends one image.

        Args:
            image: uint8 (C, H, W), all of one shape.
            label: index into the classes; `UNLABELLED` for an image to train on that nobody has labelled.
            split: `train`, `val`, `test` or empty.
            group: what must stay on one side of a split, or empty.
            source_file: where the image came from, as a person would look for it.
            original: width, height and channels before it was fitted; those of `image` where it was not.
            extra: values of the further columns.

        Raises:
            ValueError: the image, the label or the split is not as described.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[0] not in (1, 3):
            raise ValueError(f"expected uint8 (1 or 3, H, W), got {image.dtype} {image.shape}")
        if label != UNLABELLED and not 0 <= label < len(self.classes):
            raise ValueError(f"label {label} is outside 0..{len(self.classes) - 1}")
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is none of train, val, test and the empty one")
        if label == UNLABELLED and split in JUDGED_SPLITS:
            raise ValueError(f"an image of split {split} needs a label")
        if self._shape is None:
            self._shape = image.shape
            self._write_header()
        elif image.shape != self._shape:
            raise ValueError(f"all images of a set have one shape: {image.shape} came after {self._shape}")
        data = image.tobytes()
        self._pixels.write(data)
        channels, height, width = image.shape
        width, height, channels = original or (width, height, channels)
        mean, std = _mean_and_std(image)
        self._rows.append(
            {
                "sha256": hashlib.sha256(data).hexdigest(),
                "label": int(label),
                "split": split,
                "group": group,
                "width": width,
                "height": height,
                "channels": channels,
                "mean": mean,
                "std": std,
                "source_file": source_file,
                **(extra or {}),
            }
        )
        self.count += 1
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            # On a full disk closing fails too, and must not keep the unfinished files from being removed.
            with suppress(OSError):
                self._pixels.close()
            with suppress(OSError):
                self._manifest.close()
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _finish(self) -> None:
        """Completes the files and moves them to their place."""
        if self._shape is None:
            raise InputError(f"no image to make the set {self.folder.name} of")
        self._flush()
        self._manifest.close()
        self._pixels.seek(0)
        self._write_header()
        self._pixels.close()
        channels, height, width = self._shape
        facts = {"images": self.count, "channels": channels, "height": height, "width": width}
        write_json(self._temporary / "card.json", {**self.card, **facts, "classes": list(self.classes)})
        self._temporary.chmod(0o755)
        replace_folder(self._temporary, self.folder)

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._manifest.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []

    def _write_header(self) -> None:
        """Writes the header of `images.npy`; NumPy pads it, so that a larger count later takes the same room."""
        assert self._shape is not None  # noqa: S101 - both callers have seen an image
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._pixels, header)
        if self.count and self._pixels.tell() != self._header_size:
            raise RuntimeError("the header of images.npy changed its length")
        self._header_size = self._pixels.tell()


def replace_folder(new: Path, folder: Path) -> None:
    """Moves the folder `new` to `folder`, both on one file system, and removes what was there."""
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        folder.rename(old / "old")
        new.rename(folder)
        shutil.rmtree(old)
    else:
        new.rename(folder)


def _mean_and_std(image: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and standard deviation of the pixels in 0..1.

    Summed in whole numbers: exact, the same on every processor, and exactly 0 for a constant image.
    """
    values = image.astype(np.int64)
    total, squares, count = int(values.sum()), int((values * values).sum()), values.size
    return total / count / 255, math.sqrt(count * squares - total * total) / count / 255
