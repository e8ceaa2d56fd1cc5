"""Folders and zip archives as one thing: relative names, and bytes by name. Nothing is unpacked to disk."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Protocol

from gtl_core.data.readers.archives import open_zip
from gtl_core.errors import InputError

MAX_FILE_BYTES = 64 * 2**20
"""A larger file is no image and no sound that GTL would read."""


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
    """The files below a folder; names that begin with a dot are left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        relative = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        self.names = sorted(path.as_posix() for path in relative if not _hidden(path.parts))

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
        InputError: it is no zip archive that `open_zip` takes, or has a member that would unpack outside of it.
    """

    def __init__(self, path: Path) -> None:
        self._archive = open_zip(path, "zip archive")
        members = [member for member in self._archive.infolist() if not member.is_dir()]
        for member in members:
            _require_inside(member.filename, path)
        self.names = sorted(member.filename for member in members if not _hidden(PurePosixPath(member.filename).parts))

    def read(self, name: str) -> bytes:
        """Bytes of a member; see `FileTree.read`."""
        size = self._archive.getinfo(name).file_size
        _require_readable(size)
        try:
            with self._archive.open(name) as stream:
                return stream.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
            raise UnreadableFile(f"damaged in the archive: {error}") from error


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
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
        raise InputError(f"{archive}: member {name!r} points outside of the archive; it is not read")
