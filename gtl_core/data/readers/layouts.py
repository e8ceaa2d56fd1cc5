"""Which layout a path holds, and the reader for it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from gtl_core.data.readers.class_folders import ClassFolderReader
from gtl_core.data.readers.file_trees import FolderTree, ZipTree
from gtl_core.data.readers.idx import IdxReader, image_files
from gtl_core.data.readers.npz import NpzReader
from gtl_core.data.readers.parquet import ParquetReader
from gtl_core.data.readers.record import Reader
from gtl_core.errors import InputError


def open_reader(path: Path) -> Reader:
    """The reader for the files at a path.

    Args:
        path: a folder of class folders, of IDX files or of Parquet files; a zip archive of class folders; an NPZ or
            Parquet file; or the images file of an IDX pair.

    Raises:
        InputError: the path is missing, empty, or of a layout that is not known.
    """
    if path.is_dir():
        if files := image_files(path):
            return IdxReader(files)
        if files := sorted(path.rglob("*.parquet")):
            return ParquetReader(files)
        return ClassFolderReader(FolderTree(path), str(path))
    if not path.is_file():
        raise InputError(f"{path} is not there; give a folder, or a .zip, .npz, .parquet or IDX file")
    if not path.stat().st_size:
        raise InputError(f"{path} is empty; download or save it again")
    if path.suffix == ".npz":
        return NpzReader(path)
    if path.suffix == ".parquet":
        return ParquetReader([path])
    if path in image_files(path.parent):
        return IdxReader([path])
    if path.suffix == ".zip" or zipfile.is_zipfile(path):
        return ClassFolderReader(ZipTree(path), str(path))
    raise InputError(f"{path}: not a layout that can be read; give a folder, or a .zip, .npz, .parquet or IDX file")
