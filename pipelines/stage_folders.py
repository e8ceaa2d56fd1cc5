"""The folders of an experiment's stages as they lie on the disk, finished or not, and their removal."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gtl_core.store import RECORD

Inode = tuple[int, int]
"""Device and number of a file, whatever its names."""

_HIDDEN = re.compile(r"\.(?P<key>[0-9a-f]{16})\.(?P<state>partial|old|removed)")

State = Literal["finished", "partial", "old", "removed"]
"""Finished; being built; replaced by a newer one; being removed."""


@dataclass(frozen=True)
class StageFolder:
    """A folder of a stage.

    Attributes:
        path: where it lies.
        state: see `State`.
        stage: where it lies, or would lie, when it is finished.
    """

    path: Path
    state: State
    stage: Path

    def bytes(self, gone: Counter[Inode] | None = None) -> int:
        """How much room its removal makes; see `folder_bytes`."""
        return folder_bytes(self.path, gone)

    def remove(self) -> None:
        """Removes it: under another name first, so that a killed call leaves no half stage that looks like a whole."""
        removed = self.path
        if self.state == "finished":
            removed = self.path.with_name(f".{self.path.name}.removed")
            shutil.rmtree(removed, ignore_errors=True)
            self.path.replace(removed)
        shutil.rmtree(removed)


def stage_folders(root: Path) -> Iterator[StageFolder]:
    """Every stage below a folder. Folders that are no stage's, such as those of reports on drift, are passed by."""
    for folder, below, files in os.walk(root):
        path = Path(folder)
        if RECORD in files:
            below.clear()
            yield StageFolder(path, "finished", path)
            continue
        for name in list(below):
            if hidden := _HIDDEN.fullmatch(name):
                below.remove(name)
                yield StageFolder(path / name, hidden["state"], path / hidden["key"])  # type: ignore[arg-type]


def folder_bytes(folder: Path, gone: Counter[Inode] | None = None) -> int:
    """How much room the removal of a folder makes; what vanishes meanwhile counts nothing.

    A file that experiments share has a name in the folder of each, and its room is free when the last of them goes.

    Args:
        folder: the folder.
        gone: names of files that would be gone by now, where nothing is really removed; those of the folder join them.
    """
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                status = os.lstat(Path(root) / name)
            except FileNotFoundError:
                continue
            removed = 1
            if gone is not None:
                gone[status.st_dev, status.st_ino] += 1
                removed = gone[status.st_dev, status.st_ino]
            total += status.st_size if status.st_nlink == removed else 0
    return total
