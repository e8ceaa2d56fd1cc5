"""Pictures that somebody names one by one or by folder, whose names and sizes matter, unlike those of a set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtl_core.data.decoding import BadImage, channels_of, decoded
from gtl_core.data.readers.class_folders import is_image
from gtl_core.data.readers.file_trees import MAX_FILE_BYTES, FolderTree, require_text
from gtl_core.errors import InputError

MOST = 10_000
"""Pictures that are read at once, at most."""
_NAMED = 3


@dataclass(frozen=True, eq=False)
class PictureFile:
    """A picture as its file holds it, which stays in its file: many large ones together are more than memory holds.

    Attributes:
        name: its path inside the folder that was given, or its file name.
        height: in pixels.
        width: in pixels.
        channels: 1 for grey, 3 for colour.
        read: gives its pixels, uint8 (H, W) where it is grey, else (H, W, 3).
    """

    name: str
    height: int
    width: int
    channels: int
    read: Callable[[], npt.NDArray[np.uint8]]

    @classmethod
    def of(cls, name: str, read: Callable[[], npt.NDArray[np.uint8]]) -> PictureFile:
        """A picture that can be read, which is done once to see what it is."""
        pixels = read()
        height, width = pixels.shape[:2]
        return cls(name, height, width, channels_of(pixels), read)


def read_pictures(paths: Sequence[Path]) -> list[PictureFile]:
    """Finds JPEG and PNG files, and all such files below folders, and looks whether each can be read.

    Args:
        paths: files and folders; what else lies in a folder is passed over.

    Raises:
        InputError: a path is not there, a folder holds no picture, a picture cannot be read, there are too many, two
            have one name, or a name is no text.
    """
    files = [found for path in paths for found in _files(path)]
    if len(files) > MOST:
        raise InputError(f"{len(files)} pictures, and at most {MOST} are read at once; name fewer, or a smaller folder")
    twice = sorted(name for name, count in Counter(name for name, _ in files).items() if count > 1)
    if twice:
        raise InputError(f"two pictures are called {twice[0]}; rename one of them, or give them to two commands")
    pictures, bad = [], []
    for name, path in files:
        require_text(name)
        try:
            pictures.append(PictureFile.of(name, partial(_pixels, path)))
        except InputError as error:
            bad.append(str(error))
    if bad:
        more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise InputError(f"{'; '.join(bad[:_NAMED])}{more}; mend or remove what cannot be read")
    return pictures


def _files(path: Path) -> list[tuple[str, Path]]:
    """Names and paths of the pictures at a path."""
    if path.is_file():
        return [(path.name, path)]
    if not path.is_dir():
        raise InputError(f"{path} is not there; name a JPEG or PNG file, or a folder of them")
    found = [(name, path / name) for name in FolderTree(path).names if is_image(name)]
    if not found:
        raise InputError(f"{path}: no picture in it; JPEG and PNG files are read")
    return found


def _pixels(path: Path) -> npt.NDArray[np.uint8]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadImage(f"larger than {MAX_FILE_BYTES // 2**20} MiB")
        return decoded(path.read_bytes())
    except (BadImage, OSError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
