"""New images from anywhere, without labels: what is compared with a set and never becomes part of one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import is_zipfile

import numpy as np
import numpy.typing as npt

from gtl_core.data.decoding import BadImage, decoded, prepared
from gtl_core.data.mel import MelScale, mel_picture
from gtl_core.data.readers.audio import is_sound
from gtl_core.data.readers.class_folders import is_image
from gtl_core.data.readers.file_trees import FileTree, FolderTree, UnreadableFile, ZipTree
from gtl_core.data.readers.idx import image_files
from gtl_core.data.readers.layouts import open_reader
from gtl_core.data.readers.parquet import is_parquet
from gtl_core.data.wav import BadSound, decode_wav
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


def wanted(name: str, scale: MelScale | None) -> bool:
    """Whether a file's name says that it is an image, or where there is a scale, a sound, that can be read."""
    return is_sound(name) if scale else is_image(name)


def fitting(
    content: bytes | npt.NDArray[np.uint8], size: int, channels: int, scale: MelScale | None = None
) -> npt.NDArray[np.uint8]:
    """An image as a set of this size, these channels and this scale stores it: uint8 (C, S, S).

    Raises:
        BadImage: it cannot be decoded, or is a sound of another rate than the scale's.
    """
    if isinstance(content, bytes):
        try:
            content = mel_picture(decode_wav(content), scale) if scale else decoded(content)
        except BadSound as error:
            raise BadImage(str(error)) from None
    return prepared(content, size, channels)


def read_new(path: Path, *, size: int, channels: int, most: int, seed: int, scale: MelScale | None = None) -> NewImages:
    """Reads images, made as those of a set are; of many, random ones.

    Args:
        path: a folder or zip archive with images anywhere in it; or what `open_reader` can read, which needs no labels.
        size: height and width to bring them to.
        channels: 1 or 3.
        most: how many images, at most.
        seed: of the choice.
        scale: that of the set where its images are pictures of sounds; WAV files are then read instead.

    Raises:
        InputError: the path cannot be read, or holds no image.
    """
    images, files, left_out = [], [], []
    for name, content, problem in _contents(path, most, seed, scale):
        try:
            if content is None:
                raise BadImage(problem)
            images.append(fitting(content, size, channels, scale))
            files.append(name)
        except BadImage as error:
            left_out.append(LeftOut(name, str(error)))
    if not images:
        what, kinds = ("sound", "WAV files of the set's rate are") if scale else ("image", "JPEG and PNG are")
        raise InputError(f"{path}: no {what} in it that can be read ({len(left_out)} other files); {kinds}")
    return NewImages(np.stack(images), tuple(files), tuple(left_out))


Content = tuple[str, bytes | npt.NDArray[np.uint8] | None, str]
"""Name of a file, its bytes or pixels, and why there are none."""


def _contents(path: Path, most: int, seed: int, scale: MelScale | None) -> Iterator[Content]:
    """What lies at a path, file by file; of more than `most` images, random ones."""
    rng = np.random.default_rng(seed)
    if path.is_dir() and not image_files(path) and not any(map(is_parquet, (tree := FolderTree(path)).names)):
        yield from _of_tree(tree, most, rng, scale)
    elif path.is_file() and path.suffix.lower() not in (".npz", ".parquet") and is_zipfile(path):
        yield from _of_tree(ZipTree(path), most, rng, scale)
    else:
        reader = open_reader(path, labelled=False)
        wanted = set(rng.permutation(reader.total)[:most].tolist())
        for index, record in enumerate(reader.records()):
            if index in wanted:
                yield record.source_file, record.content, record.problem


def _of_tree(tree: FileTree, most: int, rng: np.random.Generator, scale: MelScale | None) -> Iterator[Content]:
    """The images, or sounds, of a folder or an archive, and what else lies there."""
    named = [name for name in tree.names if wanted(name, scale)]
    for index in sorted(rng.permutation(len(named))[:most].tolist()):
        try:
            yield named[index], tree.read(named[index]), ""
        except UnreadableFile as error:
            yield named[index], None, str(error)
    for name in tree.names:
        if not wanted(name, scale):
            yield name, None, "no sound" if scale else "no image"
