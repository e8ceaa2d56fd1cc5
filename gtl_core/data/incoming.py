"""An incoming folder: images that arrive one by one are taken in windows, in the order of their arrival, each once.

The folder belongs to whoever fills it and is only ever read. What was taken is remembered beside the results: by name,
size and time of change, so that a file that is written again counts as a new one. The time of change alone would not
do, because copying tools keep the old one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gtl_core.data.decoding import BadImage
from gtl_core.data.mel import MelScale
from gtl_core.data.new_images import LeftOut, NewImages, fitting, wanted
from gtl_core.data.readers.file_trees import FolderTree, UnreadableFile
from gtl_core.errors import InputError

SETTLED_SECONDS = 5.0
"""A file that was changed less long ago may still be being copied, and waits."""


@dataclass(frozen=True)
class Memory:
    """What was taken from the folder so far.

    Attributes:
        taken: size and time of change, in nanoseconds, of every file that stood in a window, by name.
        damaged: the same of files that look like images and cannot be read; they are looked at again when they change.
        why: what is wrong with each of those, in a few words.
    """

    taken: Mapping[str, tuple[int, int]]
    damaged: Mapping[str, tuple[int, int]]
    why: Mapping[str, str]

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Memory:
        """What `to_json` gave."""
        taken, damaged = (
            {name: (size, at) for name, (size, at) in value[part].items()} for part in ("taken", "damaged")
        )
        # What was saved before it was asked why is looked at again.
        why = {name: str(value["why"][name]) for name in damaged} if "why" in value else {}
        return cls(taken, {name: mark for name, mark in damaged.items() if name in why}, why)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"taken": dict(self.taken), "damaged": dict(self.damaged), "why": dict(self.why)}


NOTHING = Memory({}, {}, {})


@dataclass(frozen=True)
class Waiting:
    """A folder that has no full window yet.

    Attributes:
        images: how many new ones there are.
        left_out: files that are no images, and damaged ones.
        memory: what is known of the folder now.
    """

    images: int
    left_out: tuple[LeftOut, ...]
    memory: Memory


def next_window(
    folder: Path, memory: Memory, *, count: int, size: int, channels: int, scale: MelScale | None = None
) -> tuple[NewImages, Memory] | Waiting:
    """The next images that have arrived, as soon as there are enough.

    Args:
        folder: the incoming folder; folders in it are looked into, names that begin with a dot are left out.
        memory: what was taken before.
        count: images of a window.
        size: height and width to bring them to.
        channels: 1 or 3.
        scale: that of the set where its images are pictures of sounds; WAV files are then waited for instead.

    Returns:
        The window, and the memory with it; or what there is of it so far.

    Raises:
        InputError: the folder is not there or cannot be read, or a name in it is no text.
    """
    if not folder.is_dir():
        raise InputError(f"the incoming folder {folder} is not there; make it, or change drift.incoming")
    tree = FolderTree(folder)
    found = {name: mark for name in tree.names if (mark := _mark(folder / name))}
    left_out = [LeftOut(name, "no sound" if scale else "no image") for name in found if not wanted(name, scale)]
    new = [
        name
        for name, mark in found.items()
        if wanted(name, scale) and mark != memory.taken.get(name) and _settled(mark[1])
    ]
    known = {name: mark for name, mark in memory.damaged.items() if found.get(name) == mark}
    why = {name: memory.why[name] for name in known}
    new = sorted((name for name in new if name not in known), key=lambda name: (found[name][1], name))
    images, files = [], []
    if len(new) >= count:
        for name in new:
            try:
                images.append(fitting(tree.read(name), size, channels, scale))
                files.append(name)
            except (BadImage, UnreadableFile) as error:
                known[name], why[name] = found[name], str(error)
            if len(images) == count:
                break
    left_out += [LeftOut(name, why[name]) for name in known]
    if len(images) < count:
        waiting = len(images) if images else len([name for name in new if name not in known])
        return Waiting(waiting, tuple(left_out), Memory(memory.taken, known, why))
    # What is no longer in the folder is forgotten, so that the memory grows no further than the folder does.
    taken = {name: mark for name, mark in memory.taken.items() if name in found} | {name: found[name] for name in files}
    return NewImages(np.stack(images), tuple(files), tuple(left_out)), Memory(taken, known, why)


def _mark(path: Path) -> tuple[int, int] | None:
    """Size and time of change of a file; None where it has gone in the meantime."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _settled(changed: int) -> bool:
    """Whether a time of change lies far enough from now; a wrong clock may put it far into the future."""
    return abs(time.time() - changed / 1e9) >= SETTLED_SECONDS
