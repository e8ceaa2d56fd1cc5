"""Folders and zip archives as one thing: relative names, and bytes by name. Nothing is unpacked to disk."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Protocol

from gtl_core.errors import InputError

MAX_ENTRIES = 2_000_000
MAX_FILE_BYTES = 64 * 2**20
MAX_RATIO = 200
"""A zip member that unpacks to more than this many times its size is no image: JPEG and PNG are compressed already."""
_RATIO_COUNTS_FROM = 2**20


class UnreadableFile(Exception):
    """One file among others that cannot be read; the message says why."""


class FileTree(Protocol):
    """Files by relative name."""

    names: list[str]

    def read(self, name: str) -> bytes:
        """Bytes of a file.

        Raises:
            UnreadableFile: it cannot be read, or is too big for an image.
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
            if path.stat().st_size > MAX_FILE_BYTES:
                raise UnreadableFile(f"larger than {MAX_FILE_BYTES // 2**20} MiB")
            return path.read_bytes()
        except OSError as error:
            raise UnreadableFile(error.strerror or str(error)) from error


class ZipTree:
    """The members of a zip archive.

    Raises:
        InputError: it is no zip archive, is encrypted, has a member that would unpack outside of it or to far more
            than an image has, or too many members.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, EOFError) as error:
            raise InputError(f"{path}: not a whole zip archive; download or pack it again") from error
        members = [member for member in self._archive.infolist() if not member.is_dir()]
        if len(members) > MAX_ENTRIES:
            raise InputError(f"{path}: {len(members)} files, at most {MAX_ENTRIES} are read; pack fewer")
        for member in members:
            _require_harmless(member, path)
        self.names = sorted(member.filename for member in members if not _hidden(PurePosixPath(member.filename).parts))

    def read(self, name: str) -> bytes:
        """Bytes of a member; see `FileTree.read`."""
        try:
            return self._archive.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
            raise UnreadableFile(f"damaged in the archive: {error}") from error


def _hidden(parts: tuple[str, ...]) -> bool:
    """Whether a path is a by-product of an operating system, such as `.DS_Store` or `__MACOSX`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1].lower() in (
        "thumbs.db",
        "desktop.ini",
    )


def _require_harmless(member: zipfile.ZipInfo, archive: Path) -> None:
    """Refuses an archive with a member that no honest tool packs among images."""
    name = member.filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
        raise InputError(f"{archive}: member {name!r} points outside of the archive; it is not read")
    if member.flag_bits & 0x1:
        raise InputError(f"{archive}: member {name!r} is encrypted; unpack it and import the folder")
    size, packed = member.file_size, max(member.compress_size, 1)
    if size > MAX_FILE_BYTES or (size > _RATIO_COUNTS_FROM and size / packed > MAX_RATIO):
        raise InputError(
            f"{archive}: member {name!r} unpacks to {size / 1e6:.0f} MB from {packed / 1e6:.2f} MB, which no image "
            "does; it is not read"
        )
