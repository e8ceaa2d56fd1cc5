"""New images from anywhere, without labels: what is compared with a set and never becomes part of one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import is_zipfile

import numpy as np
import numpy.typing as npt

from gtl_core.data.decoding import BadImage, decoded, prepared
from gtl_core.data.readers.class_folders import IMAGE_SUFFIXES
from gtl_core.data.readers.file_trees import FileTree, FolderTree, UnreadableFile, ZipTree
from gtl_core.data.readers.idx import image_files
from gtl_core.data.readers.layouts import open_reader
from gtl_core.errors import InputError


@dataclass(frozen=True)
class LeftOut:
    """A file that was not used.

    Attributes:
        file: its name.
        why: in a few words.
    """

    file: str
    why: str


@dataclass(frozen=True, eq=False)
class NewImages:
    """Images and where they are from.

    Attributes:
        images: uint8 (N, C, S, S).
        files: their N names.
        left_out: files beside them that are no images, or damaged ones.
    """

    images: npt.NDArray[np.uint8]
    files: tuple[str, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def key(self) -> str:
        """Hash of the pixels and of their order."""
        return hashlib.sha256(self.images.tobytes()).hexdigest()


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image that can be read."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def fitting(content: bytes | npt.NDArray[np.uint8], size: int, channels: int) -> npt.NDArray[np.uint8]:
    """An image as a set of this size and these channels stores it: uint8 (C, S, S).

    Raises:
        BadImage: it cannot be decoded.
    """
    return prepared(decoded(content) if isinstance(content, bytes) else content, size, channels)


def read_new(path: Path, *, size: int, channels: int, most: int, seed: int) -> NewImages:
    """Reads images, made as those of a set are; of many, random ones.

    Args:
        path: a folder or zip archive with images anywhere in it; or what `open_reader` can read, whose labels are left
            aside.
        size: height and width to bring them to.
        channels: 1 or 3.
        most: how many images, at most.
        seed: of the choice.

    Raises:
        InputError: the path cannot be read, or holds no image.
    """
    images, files, left_out = [], [], []
    for name, content, problem in _contents(path, most, seed):
        try:
            if content is None:
                raise BadImage(problem)
            images.append(fitting(content, size, channels))
            files.append(name)
        except BadImage as error:
            left_out.append(LeftOut(name, str(error)))
    if not images:
        raise InputError(f"{path}: no image in it that can be read ({len(left_out)} other files); JPEG and PNG are")
    return NewImages(np.stack(images), tuple(files), tuple(left_out))


Content = tuple[str, bytes | npt.NDArray[np.uint8] | None, str]
"""Name of a file, its bytes or pixels, and why there are none."""


def _contents(path: Path, most: int, seed: int) -> Iterator[Content]:
    """What lies at a path, file by file; of more than `most` images, random ones."""
    rng = np.random.default_rng(seed)
    if path.is_dir() and not image_files(path) and not any(path.rglob("*.parquet")):
        yield from _of_tree(FolderTree(path), most, rng)
    elif path.is_file() and path.suffix not in (".npz", ".parquet") and is_zipfile(path):
        yield from _of_tree(ZipTree(path), most, rng)
    else:
        reader = open_reader(path)
        wanted = set(rng.permutation(reader.total)[:most].tolist())
        for index, record in enumerate(reader.records()):
            if index in wanted:
                yield record.source_file, record.content, record.problem


def _of_tree(tree: FileTree, most: int, rng: np.random.Generator) -> Iterator[Content]:
    """The images of a folder or an archive, and what else lies there."""
    named = [name for name in tree.names if is_image(name)]
    for index in sorted(rng.permutation(len(named))[:most].tolist()):
        try:
            yield named[index], tree.read(named[index]), ""
        except UnreadableFile as error:
            yield named[index], None, str(error)
    for name in tree.names:
        if not is_image(name):
            yield name, None, "no image"
