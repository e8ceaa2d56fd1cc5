"""Reader of Parquet files with the image struct of Hugging Face data sets.

A column of structs `{bytes, path}`, a column `label` of whole numbers or words, optionally a column `group`. No label
is null, or -1 among numbers, as in those data sets, or empty among words. Names of classes come from the `ClassLabel`
feature in each file's metadata where it is there; parts from file names such as `train-00000-of-00001.parquet`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtl_core.data.manifest import UNLABELLED
from gtl_core.data.readers.archives import require_harmless
from gtl_core.data.readers.record import Record, numbered_classes, part_in, part_named, splits_of, text
from gtl_core.errors import InputError

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

_AT_ONCE = 256


def is_parquet(name: str) -> bool:
    """Whether a file's name says that it is a Parquet file."""
    return name.lower().endswith(".parquet")


@dataclass(frozen=True)
class _File:
    """An open file.

    Attributes:
        path: the file.
        open: as pyarrow has it.
        split: that of its images.
        names: of its classes in the order of its labels, where its metadata tell them.
    """

    path: Path
    open: ParquetFile
    split: str
    names: tuple[str, ...]


class ParquetReader:
    """Reads one or several files with the same columns, some rows at a time.

    Args:
        files: the Parquet files.
        labelled: False leaves labels aside, and a file needs none.

    Raises:
        InputError: a file is damaged, would unpack to far more than images have, or its columns are not as described.
    """

    def __init__(self, files: list[Path], labelled: bool = True) -> None:
        parts = [part_in(path.name) or part_named(path.parent.name) or "" for path in files]
        splits = splits_of(parts)
        opened = [_opened(path) for path in files]
        schema = opened[0].schema_arrow
        self._image = _image_column(schema)
        self._label = next((name for name in ("label", "labels") if name in schema.names), "") if labelled else ""
        if not self._image or (labelled and not self._label):
            raise InputError(
                f"{files[0]}: expected a column of structs with bytes{' and a column label' if labelled else ''}"
            )
        for path, file in zip(files, opened, strict=True):
            if file.schema_arrow.names != schema.names or _image_column(file.schema_arrow) != self._image:
                raise InputError(f"{path}: its columns differ from those of {files[0].name}")
        self._group = "group" if "group" in schema.names else ""
        self._words = labelled and self._labels_are_words(files, opened)
        named = labelled and not self._words
        self._files = [
            _File(path, file, splits[part], _class_names(path, file.schema_arrow, self._label) if named else ())
            for path, file, part in zip(files, opened, parts, strict=True)
        ]
        self._named = any(file.names for file in self._files)
        self.classes = self._named_classes() if self._named else self._found_classes() if labelled else ()
        self.total = sum(file.open.metadata.num_rows for file in self._files)

    def records(self) -> Iterator[Record]:
        """Gives the images in the order of the files; see `Reader.records`."""
        columns = [name for name in (self._image, self._label, self._group) if name]
        for file in self._files:
            numbers = self._numbers(file)
            row = 0
            for rows in _rows(file, columns):
                for values in rows:
                    where = f"{file.path.name}#{row}"
                    row += 1
                    label = values.get(self._label)
                    if label not in numbers:
                        raise InputError(f"{where}: label {label} is out of range; there are {len(file.names)} classes")
                    image = values[self._image] or {}
                    content = image.get("bytes")
                    name = f"{where} {image['path']}" if image.get("path") else where
                    group = text(values[self._group]) if self._group else ""
                    problem = "" if content else "the file holds no bytes for it"
                    yield Record(content or None, numbers[label], file.split, group, name, problem)

    def _labels_are_words(self, files: list[Path], opened: list[ParquetFile]) -> bool:
        """Whether all labels are words, and not whole numbers."""
        import pyarrow as pa

        first: tuple[Path, bool] | None = None
        for path, file in zip(files, opened, strict=True):
            kind = file.schema_arrow.field(self._label).type
            # A file of images without label may have a column of nothing but nulls, which is of no type.
            if pa.types.is_null(kind):
                continue
            words = pa.types.is_string(kind) or pa.types.is_large_string(kind)
            if not words and not pa.types.is_integer(kind):
                raise InputError(f"{path}: column {self._label} is {kind}, expected whole numbers or words")
            first = first or (path, words)
            if words != first[1]:
                raise InputError(
                    f"{path}: column {self._label} is {kind}, and of another type in {first[0].name}; save them alike"
                )
        return first is not None and first[1]

    def _numbers(self, file: _File) -> dict[Any, int]:
        """The number of each label of a file; those of two files may be in another order."""
        index = {name: number for number, name in enumerate(self.classes)}
        numbers: dict[Any, int] = {None: UNLABELLED}
        if self._words:
            return numbers | {"": UNLABELLED} | index
        numbers[UNLABELLED] = UNLABELLED
        if self._named:
            return numbers | {label: index[name] for label, name in enumerate(file.names)}
        return numbers | {int(name): number for name, number in index.items()}

    def _named_classes(self) -> tuple[str, ...]:
        """The names that the files tell, in the order of the first."""
        import pyarrow as pa

        for file in self._files:
            if not file.names and not pa.types.is_null(file.open.schema_arrow.field(self._label).type):
                first = next(file.path.name for file in self._files if file.names)
                raise InputError(f"{file.path}: says no names of its classes, and {first} does; save them alike")
        return tuple(dict.fromkeys(name for file in self._files for name in file.names))

    def _found_classes(self) -> tuple[str, ...]:
        """The distinct labels of all files."""
        found = {row[self._label] for file in self._files for rows in _rows(file, [self._label]) for row in rows} - {
            None,
            "",
        }
        return tuple(sorted(found)) if self._words else numbered_classes(found, str(self._files[0].path))


def _opened(path: Path) -> ParquetFile:
    """A file whose schema can be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        _ = file.schema_arrow
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a whole Parquet file; download or save it again") from error
    about = file.metadata
    require_harmless(path, sum(about.row_group(index).total_byte_size for index in range(about.num_row_groups)))
    return file


def _rows(file: _File, columns: list[str]) -> Iterator[list[dict[str, Any]]]:
    """The rows of a file, some at a time."""
    import pyarrow as pa

    try:
        for batch in file.open.iter_batches(batch_size=_AT_ONCE, columns=columns):
            yield batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file.path}: damaged or cut off; download it again") from error


def _image_column(schema: Any) -> str:
    """Name of the first column of structs with bytes; empty where there is none."""
    import pyarrow as pa

    for field in schema:
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            kind = field.type.field("bytes").type
            # Of a column of nothing but nulls the type is not known.
            if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_null(kind):
                return str(field.name)
    return ""


def _class_names(path: Path, schema: Any, label: str) -> tuple[str, ...]:
    """Names of a `ClassLabel` feature; empty where the metadata tell of none."""
    try:
        names = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return ()
    if not isinstance(names, list):
        return ()
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: two of its classes are called {twice!r}; rename one in its metadata")
    return tuple(map(str, names))
