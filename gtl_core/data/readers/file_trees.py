"""Folders and zip archives as one thing: relative names, and bytes by name. Nothing is unpacked to disk."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Protocol

from gtl_core.data.readers.archives import DAMAGED, open_zip
from gtl_core.errors import InputError

MAX_FILE_BYTES = 64 * 2**20
"""A larger file is no image and no sound that GTL would read."""


Place = tuple[int, int]
"""Device and inode of a folder."""


class UnreadableFile(Exception):
    """One file among others that cannot be read; the message says why."""


class FileTree(Protocol):
    """Files by relative name."""

    names: list[str]

    def read(self, name: str) -> bytes:
        """Bytes of a file.

        Raises:
            UnreadableFile: it cannot be read, or is too big for an image or a sound.
        """


class FolderTree:
    """The files below a folder, and below what it links to; names that begin with a dot are left out.

    Args:
        folder: the folder.

    Attributes:
        names: of all files, also of links that lead nowhere, which cannot be read.
        lost: what the links that lead nowhere or in a circle may have hidden, in a few words each.

    Raises:
        InputError: a folder cannot be read, or a name is no text.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.names: list[str] = []
        self.lost: list[str] = []
        # Each folder with those above it, so that a link to one of these is not followed for ever.
        waiting: list[tuple[str, frozenset[Place]]] = [("", frozenset([_place(folder.stat())]))]
        while waiting:
            inside, above = waiting.pop()
            for entry in _entries(folder / inside):
                if _hidden((entry.name,)):
                    continue
                name = f"{inside}/{entry.name}" if inside else entry.name
                require_text(name)
                status = _status(entry)
                if status is None and entry.is_symlink():
                    self.names.append(name)
                    self.lost.append(f"{name} is a link that leads nowhere")
                elif status and stat.S_ISREG(status.st_mode):
                    self.names.append(name)
                elif status and stat.S_ISDIR(status.st_mode):
                    if (place := _place(status)) in above:
                        self.lost.append(f"{name} is a link back to a folder that it lies in")
                    else:
                        waiting.append((name, above | {place}))
        self.names.sort()
        self.lost.sort()

    def read(self, name: str) -> bytes:
        """Bytes of a file; see `FileTree.read`."""
        path = self._folder / name
        try:
            _require_readable(path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            raise UnreadableFile(error.strerror or str(error)) from error


class ZipTree:
    """The members of a zip archive.

    Raises:
        InputError: it is no zip archive that `open_zip` takes, has a member that would unpack outside of it, or two of
            one name.
    """

    def __init__(self, path: Path) -> None:
        self._archive = open_zip(path, "zip archive")
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._archive.infolist():
            # Not `is_dir`, which fails on a member without a name.
            if member.filename.endswith("/"):
                continue
            _require_inside(member.filename, path)
            # Some tools write ./CLASS/NAME.
            name = PurePosixPath(member.filename)
            if _hidden(name.parts):
                continue
            if name.as_posix() in self._members:
                raise InputError(f"{path}: two members are called {name.as_posix()!r}; pack it again with one of them")
            self._members[name.as_posix()] = member
        self.names = sorted(self._members)

    def read(self, name: str) -> bytes:
        """Bytes of a member; see `FileTree.read`."""
        member = self._members[name]
        _require_readable(member.file_size)
        try:
            with self._archive.open(member) as stream:
                return stream.read(member.file_size)
        except DAMAGED as error:
            raise UnreadableFile(f"damaged in the archive: {error}") from error


def require_text(name: str) -> None:
    """Refuses a file name in another encoding than the system's, which no manifest or report could hold.

    Raises:
        InputError: it is one.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name!r}: the name of this file is no UTF-8 text; rename it") from None


def _place(status: os.stat_result) -> Place:
    """What tells a folder from all others, by whatever path it is reached."""
    return status.st_dev, status.st_ino


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder; nothing where it has gone in the meantime."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(
            f"{folder}: the folder cannot be read ({error.strerror}); make it readable, or move it away"
        ) from error


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What there is, behind a link too; None where there is nothing, or nothing any more."""
    try:
        return entry.stat()
    except OSError:
        return None


def _require_readable(size: int) -> None:
    """Refuses a file that is too big for an image or a sound."""
    if size > MAX_FILE_BYTES:
        raise UnreadableFile(f"larger than {MAX_FILE_BYTES // 2**20} MiB")


def _hidden(parts: tuple[str, ...]) -> bool:
    """Whether a path is a by-product of an operating system, such as `.DS_Store` or `__MACOSX`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1].lower() in (
        "thumbs.db",
        "desktop.ini",
    )


def _require_inside(name: str, archive: Path) -> None:
    """Refuses an archive with a member that no honest tool names so."""
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
        raise InputError(f"{archive}: member {name!r} points outside of the archive; it is not read")
