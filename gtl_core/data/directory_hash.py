"""The version of a folder as DVC computes it, without importing DVC."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gtl_core.errors import InputError


@lru_cache(maxsize=4096)
def _file_md5(path: Path, size: int, mtime_ns: int) -> str:
    """MD5 of a file's bytes; size and time are given so that a changed file is read again."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def directory_rows(folder: Path) -> list[dict[str, str]]:
    """One `{"md5", "relpath"}` row a file, sorted by path, as DVC's directory objects list them.

    Entries whose name begins with a dot are left out, here as in the project's `.dvcignore`: unfinished imports
    lie under such names.
    """
    rows = []
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            facts = path.stat()
            rows.append(
                {"md5": _file_md5(path.resolve(), facts.st_size, facts.st_mtime_ns), "relpath": relative.as_posix()}
            )
    return sorted(rows, key=lambda row: row["relpath"])


def rows_md5(rows: list[dict[str, str]]) -> str:
    """DVC's name for a directory with these rows: 32 hexadecimal digits and `.dir`."""
    text = json.dumps(rows, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"


def directory_md5(folder: Path) -> str:
    """DVC's version of a folder, such as `5fae….dir`; equal to the one that `dvc add` writes into a `.dvc` file."""
    return rows_md5(directory_rows(folder))


@dataclass(frozen=True)
class Unchanged:
    """Folders as they were at one moment. Called later, it makes sure that they are so still.

    Attributes:
        folders: each folder with its version, and with size, time and number of its files, by which most calls are
            answered without reading any.
    """

    folders: tuple[tuple[Path, str, tuple[tuple[str, int, int, int], ...]], ...]

    @classmethod
    def since_now(cls, folders: Iterable[Path]) -> Unchanged:
        """The folders as they are."""
        return cls(tuple((folder, directory_md5(folder), _facts(folder)) for folder in folders))

    def __call__(self) -> None:
        """Makes sure that nothing has changed.

        Raises:
            InputError: names the folder that is another one now.
        """
        for folder, version, facts in self.folders:
            if _facts(folder) != facts and directory_md5(folder) != version:
                raise InputError(f"{folder} was changed during the run; run the experiment again")


def _facts(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Name, size, time and number of each file in a folder, hidden ones too."""
    found = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return tuple((str(path.relative_to(folder)), at.st_size, at.st_mtime_ns, at.st_ino) for path, at in found)
