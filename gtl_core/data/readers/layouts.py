"""Which layout a path holds, and the reader for it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from gtl_core.data.readers.audio import SoundFolderReader, SoundOptions, is_sound
from gtl_core.data.readers.class_folders import ClassFolderReader, is_image
from gtl_core.data.readers.file_trees import FileTree, FolderTree, ZipTree, require_text
from gtl_core.data.readers.idx import IdxReader, image_files
from gtl_core.data.readers.npz import NpzReader
from gtl_core.data.readers.parquet import ParquetReader, is_parquet
from gtl_core.data.readers.record import Reader
from gtl_core.errors import InputError

_COMPRESSED_SOUNDS = (".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff")


def open_reader(
    path: Path, size: int | None = None, sound: SoundOptions | None = None, labelled: bool = True
) -> Reader:
    """The reader for the files at a path.

    Args:
        path: a folder of class folders of images or of sounds, of IDX files or of Parquet files; a zip archive of class
            folders; an NPZ or Parquet file; or the images file of an IDX pair.
        size: height and width of the pictures that sounds become.
        sound: how they become pictures.
        labelled: False where labels are left aside: arrays, IDX and Parquet files then need none.

    Raises:
        InputError: the path is missing, empty, of a layout that is not known, holds images and sounds, or is a
            folder in which another cannot be read, a link leads nowhere, or a name is no text.
    """
    if path.is_dir():
        tree = FolderTree(path)
        if tree.lost:
            raise InputError(f"{path}: {tree.lost[0]}; mend or remove it")
        if files := image_files(path):
            return IdxReader(files, labelled)
        if files := [path / name for name in tree.names if is_parquet(name)]:
            return ParquetReader(files, labelled)
        return _of_tree(tree, str(path), size, sound)
    if not path.is_file():
        raise InputError(f"{path} is not there; give a folder, or a .zip, .npz, .parquet or IDX file")
    require_text(path.name)
    if not path.stat().st_size:
        raise InputError(f"{path} is empty; download or save it again")
    if path.suffix.lower() == ".npz":
        return NpzReader(path, labelled)
    if is_parquet(path.name):
        return ParquetReader([path], labelled)
    if path in image_files(path.parent):
        return IdxReader([path], labelled)
    if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        return _of_tree(ZipTree(path), str(path), size, sound)
    raise InputError(f"{path}: not a layout that can be read; give a folder, or a .zip, .npz, .parquet or IDX file")


def _of_tree(tree: FileTree, where: str, size: int | None, sound: SoundOptions | None) -> Reader:
    """The reader for class folders, of images or of sounds."""
    sounds, images = (next(filter(kind, tree.names), None) for kind in (is_sound, is_image))
    if sounds and images:
        raise InputError(f"{where}: holds images ({images}) and sounds ({sounds}); import them as two sets")
    other = next((name for name in tree.names if name.lower().endswith(_COMPRESSED_SOUNDS)), None)
    if other and not images and not sounds:
        raise InputError(f"{where}: holds sounds such as {other}, and only WAV files are read; save them as WAV")
    return SoundFolderReader(tree, where, sound or SoundOptions(), size) if sounds else ClassFolderReader(tree, where)
