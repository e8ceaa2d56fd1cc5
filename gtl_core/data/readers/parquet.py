"""Reader of Parquet files with the image struct of Hugging Face data sets.

A column of structs `{bytes, path}`, a column `label` of whole numbers or words, optionally a column `group`. No label
is null, or -1 among numbers, as in those data sets. Names of classes come from the `ClassLabel` feature in the file's
metadata where it is there; parts from file names such as `train-00000-of-00001.parquet`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gtl_core.data.manifest import UNLABELLED
from gtl_core.data.readers.archives import require_harmless
from gtl_core.data.readers.record import Record, numbered_classes, part_named, splits_of, text
from gtl_core.errors import InputError

_AT_ONCE = 256


def is_parquet(name: str) -> bool:
    """Whether a file's name says that it is a Parquet file."""
    return name.lower().endswith(".parquet")


class ParquetReader:
    """Reads one or several files with the same columns, some rows at a time.

    Args:
        files: the Parquet files.

    Raises:
        InputError: a file is damaged, would unpack to far more than images have, or its columns are not as described.
    """

    def __init__(self, files: list[Path]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = [_part(path) for path in files]
        splits = splits_of(parts)
        self._files: list[tuple[Path, Any, str]] = []
        for path, part in zip(files, parts, strict=True):
            try:
                self._files.append((path, pq.ParquetFile(path), splits[part]))
            except (pa.ArrowInvalid, OSError) as error:
                raise InputError(f"{path}: not a whole Parquet file; download or save it again") from error
            about = self._files[-1][1].metadata
            require_harmless(path, sum(about.row_group(index).total_byte_size for index in range(about.num_row_groups)))
        schema = self._files[0][1].schema_arrow
        for path, file, _ in self._files[1:]:
            if file.schema_arrow.names != schema.names:
                raise InputError(f"{path}: its columns differ from those of {files[0].name}")
        self._image = next(
            (f.name for f in schema if pa.types.is_struct(f.type) and f.type.get_field_index("bytes") >= 0), ""
        )
        self._label = next((name for name in ("label", "labels") if name in schema.names), "")
        if not self._image or not self._label:
            raise InputError(f"{files[0]}: expected a column of structs with bytes and a column label")
        self._group = "group" if "group" in schema.names else ""
        kinds = [file.schema_arrow.field(self._label).type for _, file, _ in self._files]
        # A file of images without label may have a column of nothing but nulls, which is of no type.
        kind = next((kind for kind in kinds if not pa.types.is_null(kind)), pa.int64())
        self._words = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not self._words and not pa.types.is_integer(kind):
            raise InputError(f"{files[0]}: column {self._label} is {kind}, expected whole numbers or words")
        self._named = _class_names(schema.metadata or {}, self._label) if not self._words else ()
        self.classes = self._named or self._found_classes()
        self.total = sum(file.metadata.num_rows for _, file, _ in self._files)

    def records(self) -> Iterator[Record]:
        """Gives the images in the order of the files; see `Reader.records`."""
        numbers: dict[Any, int] = {
            (name if self._words else number if self._named else int(name)): number
            for number, name in enumerate(self.classes)
        }
        numbers |= {None: UNLABELLED, UNLABELLED: UNLABELLED}
        columns = [name for name in (self._image, self._label, self._group) if name]
        for path, file, split in self._files:
            row = 0
            for batch in self._batches(path, file, columns):
                for values in batch.to_pylist():
                    where = f"{path.name}#{row}"
                    row += 1
                    label = values[self._label]
                    if label not in numbers:
                        raise InputError(
                            f"{where}: label {label} is out of range; there are {len(self.classes)} classes"
                        )
                    image = values[self._image] or {}
                    content = image.get("bytes")
                    name = f"{where} {image['path']}" if image.get("path") else where
                    group = text(values[self._group]) if self._group else ""
                    problem = "" if content else "the file holds no bytes for it"
                    yield Record(content or None, numbers[label], split, group, name, problem)

    def _found_classes(self) -> tuple[str, ...]:
        """The distinct labels of all files."""
        found: set[Any] = set()
        for path, file, _ in self._files:
            for batch in self._batches(path, file, [self._label]):
                found.update(batch.column(0).unique().to_pylist())
        found.discard(None)
        if self._words:
            return tuple(sorted(found))
        return numbered_classes(np.array(sorted(found), np.int64), str(self._files[0][0]))

    def _batches(self, path: Path, file: Any, columns: list[str]) -> Iterator[Any]:
        import pyarrow as pa

        try:
            yield from file.iter_batches(batch_size=_AT_ONCE, columns=columns)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{path}: damaged or cut off; download it again") from error


def _part(path: Path) -> str:
    """The part that a file holds, from the first word of its name or the name of its folder."""
    return part_named(re.split(r"[-_.]", path.name)[0]) or part_named(path.parent.name) or ""


def _class_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    """Names of a `ClassLabel` feature; empty where the metadata tell of none."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[label]["names"])
    except (KeyError, TypeError, ValueError):
        return ()
