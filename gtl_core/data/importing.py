"""Import: files of any known layout become an image set in `data/`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtl_core.data.catalog import require_name
from gtl_core.data.decoding import BadImage, channels_of, decoded, prepared
from gtl_core.data.image_set import UNLABELLED, ImageSet, ImageSetWriter
from gtl_core.data.manifest import FILES, JUDGED_SPLITS
from gtl_core.data.readers.audio import SoundFolderReader, SoundOptions
from gtl_core.data.readers.layouts import open_reader
from gtl_core.data.readers.record import Reader, Record, means_unlabelled
from gtl_core.errors import InputError
from gtl_core.progress import OnProgress, Progress, silent

_LARGEST_UNASKED = 256
"""Images larger than this are not stored at their own size unless it is asked for: networks see up to 64 pixels."""
_NAMED_BAD_IMAGES = 5
_SECONDS_BETWEEN_REPORTS = 0.25


def import_images(
    name: str,
    path: Path,
    data_home: Path,
    size: int | None = None,
    channels: int | None = None,
    skip_bad: bool = False,
    replace: bool = False,
    on_progress: OnProgress = silent,
    sound: SoundOptions | None = None,
) -> ImageSet:
    """Makes an image set of files; memory does not grow with the number of pixels.

    Sounds become log-mel pictures (see `mel.py`), and the card says under `sound` what they were made with.

    Args:
        name: name of the new set: small letters, digits, `-` and `_`.
        path: what `open_reader` can read.
        data_home: the folder of all image sets.
        size: height and width to bring all images to. Where it is None all images must have one size, which is kept;
            images that are not square are filled up to a square. Pictures of sounds are made in this size.
        channels: 1 to make all images grey, 3 to make all colour; None to keep what they are, where all are the same.
        skip_bad: leave images out that cannot be read, and list them in the card as `skipped`.
        replace: take the place of a set of the same name, and never of other files.
        on_progress: is shown the number of images read.
        sound: how sounds become pictures; None for images, or where nothing is asked for.

    Returns:
        The new set, loaded.

    Raises:
        InputError: the name is taken, by a set or by other files, or impossible, the path cannot be read, an image is
            bad, sizes or channels are mixed, sounds have different rates, there are fewer than two classes, or an image
            of the val or test part has no label. Nothing is written then.
    """
    require_name(name)
    folder = data_home / name
    _require_place(folder, path, replace)
    reader = open_reader(path, size, sound)
    of_sounds = isinstance(reader, SoundFolderReader)
    if sound and not of_sounds:
        raise InputError(f"{path} holds no WAV files, and --rate and --seconds are for sounds; leave them away")
    if of_sounds and channels not in (None, 1):
        raise InputError(f"{path} holds sounds, whose pictures are grey; leave --channels away")
    _require_classes(reader, path)
    shape = _Shape(size, channels)
    bad: list[str] = []
    reported = time.monotonic()
    with ImageSetWriter(folder, reader.classes, {"origin": path.name}) as writer:
        for step, record in enumerate(reader.records(), 1):
            if record.label == UNLABELLED and record.split in JUDGED_SPLITS:
                raise InputError(
                    f"{record.source_file} has no label and is in the {record.split} part; only images to train on "
                    "may have none, so label it or move it to the train part"
                )
            try:
                pixels = _pixels(record)
            except BadImage as error:
                bad.append(f"{record.source_file}: {error}")
                continue
            image = shape.applied(pixels, record.source_file)
            original = (pixels.shape[1], pixels.shape[0], channels_of(pixels))
            writer.add(
                image,
                label=record.label,
                split=record.split,
                group=record.group,
                source_file=record.source_file,
                original=original,
            )
            if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
                reported = time.monotonic()
                on_progress(Progress(f"import {name}", step, reader.total))
        if bad and not skip_bad:
            more = f"; and {len(bad) - _NAMED_BAD_IMAGES} more" if len(bad) > _NAMED_BAD_IMAGES else ""
            listed = "; ".join(bad[:_NAMED_BAD_IMAGES])
            raise InputError(
                f"{path}: {len(bad)} of {reader.total} {'sounds' if of_sounds else 'images'} cannot be used: "
                f"{listed}{more}. "
                "Mend them, or import the rest with --skip-bad"
            )
        if bad:
            writer.card["skipped"] = bad
        if isinstance(reader, SoundFolderReader) and writer.count:
            writer.card["sound"] = reader.card
    on_progress(Progress(f"import {name}", reader.total, reader.total))
    return ImageSet.load(folder)


def _require_place(folder: Path, path: Path, replace: bool) -> None:
    """Refuses a folder whose place the new set cannot take, so that no file but those of a set is ever replaced."""
    if not os.path.lexists(folder):
        return
    name = folder.name
    if not folder.is_dir():
        raise InputError(f"{folder} is there and is no folder; choose another name, or move it away")
    if others := sorted(file.name for file in folder.iterdir() if file.name not in FILES):
        raise InputError(
            f"{folder} holds {others[0]}, which is no file of an image set, and the set {name!r} would take its place; "
            "choose another name, or move the folder out of data/"
        )
    if path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path} lies in the place of the set {name!r}, and would be replaced; choose another name")
    if not replace:
        raise InputError(f"there is an image set {name!r} already; choose another name, or replace it with --replace")


def _require_classes(reader: Reader, path: Path) -> None:
    """Refuses files of fewer than two classes, and a class whose name says that it is none."""
    if not reader.classes:
        raise InputError(
            f"{path}: no image in it has a label, and without any there is no verdict; "
            "add a small labelled test part, such as test/CLASS/NAME.png beside train/unlabelled/NAME.png"
        )
    if len(reader.classes) < 2:
        raise InputError(f"{path}: one class only ({reader.classes[0]}); a classifier needs two at least")
    wrong = [name for name in reader.classes if means_unlabelled(name)]
    if wrong:
        raise InputError(f"{path}: {wrong[0]!r} stands as a class; leave the label of such images empty")


class _Shape:
    """Size and channels of the stored images: those asked for, or else those of the first image."""

    def __init__(self, size: int | None, channels: int | None) -> None:
        self._size = size
        self._channels = channels
        self._first: tuple[str, int, int, int] | None = None

    def applied(self, pixels: npt.NDArray[np.uint8], source_file: str) -> npt.NDArray[np.uint8]:
        """The image as it is stored: uint8 (C, S, S)."""
        height, width = pixels.shape[:2]
        channels = channels_of(pixels)
        if self._first is None:
            self._first = (source_file, width, height, channels)
            if self._size is None and max(width, height) > _LARGEST_UNASKED:
                raise InputError(
                    f"{source_file} is {width}×{height} pixels; say how large images shall be stored, such as --size 64"
                )
        name, first_width, first_height, first_channels = self._first
        if self._size is None and (width, height) != (first_width, first_height):
            raise InputError(
                f"{name} is {first_width}×{first_height} pixels and {source_file} is {width}×{height}; "
                "say what size to bring all images to, such as --size 32"
            )
        if self._channels is None and channels != first_channels:
            grey, colour = (name, source_file) if channels == 3 else (source_file, name)
            raise InputError(
                f"{grey} is grey and {colour} is colour; say which all shall be: --channels 1 or --channels 3"
            )
        return prepared(pixels, self._size or max(first_width, first_height), self._channels or first_channels)


def _pixels(record: Record) -> npt.NDArray[np.uint8]:
    """Pixels of a record: uint8 (H, W) or (H, W, C)."""
    if record.content is None:
        raise BadImage(record.problem)
    return decoded(record.content) if isinstance(record.content, bytes) else record.content
