"""Reader of class folders of WAV files, in a folder or a zip archive: each sound becomes a log-mel picture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from gtl_core.data.mel import DEFAULT_SECONDS, DEFAULT_SIZE, MelScale, mel_picture
from gtl_core.data.readers.class_folders import ClassFolderReader
from gtl_core.data.readers.file_trees import FileTree
from gtl_core.data.readers.record import Record
from gtl_core.data.wav import BadSound, decode_wav, resampled
from gtl_core.errors import InputError

SOUND_SUFFIXES = (".wave", ".wav")
"""Endings of the files that are taken for sounds."""


@dataclass(frozen=True)
class SoundOptions:
    """What a person may say of how sounds become pictures.

    Attributes:
        rate: samples a second to bring all sounds to; None where all have one rate, which is kept.
        seconds: how much of each sound a picture shows.
    """

    rate: int | None = None
    seconds: float = DEFAULT_SECONDS


def is_sound(name: str) -> bool:
    """Whether a file's name says that it is a sound that can be read."""
    return PurePosixPath(name).suffix.lower() in SOUND_SUFFIXES


class SoundFolderReader:
    """Reads sounds whose folder names their class; the layout is that of `ClassFolderReader`.

    Args:
        tree: the files.
        where: the path that was given, for messages.
        options: how they become pictures.
        size: height and width of the pictures.

    Raises:
        InputError: a file lies in no class folder.
    """

    def __init__(self, tree: FileTree, where: str, options: SoundOptions, size: int | None) -> None:
        self._files = ClassFolderReader(tree, where, SOUND_SUFFIXES)
        self._where = where
        self._options = options
        self._size = size or DEFAULT_SIZE
        self._scale: MelScale | None = None
        self._first = ""
        self._longer = 0
        self.classes, self.total = self._files.classes, self._files.total

    @property
    def card(self) -> dict[str, Any]:
        """What the set's card tells of the pictures under `sound`; known after the first of `records`."""
        assert self._scale is not None  # noqa: S101 - a set without a sound is not written
        return {**self._scale.to_json(), "longer_than_picture": self._longer}

    def records(self) -> Iterator[Record]:
        """Gives the sounds by name, as pictures; see `Reader.records`.

        Raises:
            InputError: the sounds have different rates, and none was asked for.
        """
        for record in self._files.records():
            if not isinstance(record.content, bytes):
                yield record
                continue
            try:
                yield replace(record, content=self._picture(record.content, record.source_file))
            except BadSound as error:
                yield replace(record, content=None, problem=str(error))

    def _picture(self, content: bytes, name: str) -> npt.NDArray[np.uint8]:
        """The picture of a file: uint8 (S, S)."""
        sound = decode_wav(content)
        if self._options.rate:
            sound = resampled(sound, self._options.rate)
        if self._scale is None:
            self._first, self._scale = name, MelScale.of(sound.rate, self._size, self._options.seconds)
        if sound.rate != self._scale.rate:
            raise InputError(
                f"{self._where}: {self._first} has {self._scale.rate} samples a second and {name} has {sound.rate}; "
                f"say what rate to bring all to, such as --rate {min(sound.rate, self._scale.rate)}"
            )
        picture = mel_picture(sound, self._scale)
        # Whole columns may show some milliseconds less than was asked for, which is not worth a word.
        asked = math.ceil(self._options.seconds * sound.rate)
        self._longer += len(sound.samples) > max(asked, self._scale.length)
        return picture
