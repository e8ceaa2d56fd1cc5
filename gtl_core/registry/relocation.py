"""Artifact locations of a moved project: MLflow stores them absolute, so they still name the old place."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from gtl_core.homes import Homes

_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Where MLflow 3 keeps locations."""


@dataclass(frozen=True)
class MovedArtifacts:
    """Locations below a folder that is not this project's.

    Attributes:
        folder: the folder of artifacts that the store names.
        rows: how many locations lie below it.
    """

    folder: Path
    rows: int


def find_moved(homes: Homes) -> list[MovedArtifacts]:
    """Folders of artifacts that the store in the MLflow home names although the artifacts belong in that home.

    A folder that exists, and holds experiments that this home lacks, was put elsewhere on purpose and is left out.
    A store on a server, or none, has nothing that could have moved.
    """
    if not _is_embedded(homes):
        return []
    with closing(sqlite3.connect(_database(homes))) as connection:
        return [
            MovedArtifacts(folder, sum(len(list(_rows(connection, folder, *column))) for column in _COLUMNS))
            for folder in _moved_folders(connection, homes)
        ]


def mend_moved(homes: Homes) -> int:
    """Points the locations that `find_moved` finds to the MLflow home, all of them or, on failure, none.

    Returns:
        How many locations were changed.
    """
    if not _is_embedded(homes):
        return 0
    changed = 0
    here = homes.mlruns / "artifacts"
    with closing(sqlite3.connect(_database(homes))) as connection, connection:
        for folder in _moved_folders(connection, homes):
            for table, column in _COLUMNS:
                rows = list(_rows(connection, folder, table, column))
                for row, location in rows:
                    connection.execute(
                        f"update {table} set {column} = ? where rowid = ?",  # noqa: S608 - names from _COLUMNS
                        (_relocated(location, folder, here), row),
                    )
                changed += len(rows)
    return changed


def _is_embedded(homes: Homes) -> bool:
    return not os.environ.get("MLFLOW_TRACKING_URI") and _database(homes).is_file()


def _database(homes: Homes) -> Path:
    return homes.mlruns / "mlflow.db"


def _moved_folders(connection: sqlite3.Connection, homes: Homes) -> list[Path]:
    """Parents of the experiments' folders, which are all named after their experiment, that belong here."""
    here = homes.mlruns / "artifacts"
    moved = set()
    for name, location in connection.execute("select name, artifact_location from experiments"):
        path = _local_path(location or "")
        if path is None or path.name != name or path.parent == here:
            continue
        if (here / name).exists() or not path.exists():
            moved.add(path.parent)
    return sorted(moved)


def _rows(connection: sqlite3.Connection, folder: Path, table: str, column: str) -> Iterator[tuple[int, str]]:
    """Row ids and locations of one column that lie below `folder`."""
    known = {row[1] for row in connection.execute(f"pragma table_info({table})")}
    if column not in known:
        return
    for row, location in connection.execute(f"select rowid, {column} from {table}"):  # noqa: S608 - from _COLUMNS
        path = _local_path(location or "")
        if path is not None and path.is_relative_to(folder):
            yield row, location


def _relocated(location: str, folder: Path, here: Path) -> str:
    """The location below `here`, as URI or as path as it was."""
    path = _local_path(location)
    if path is None:
        raise ValueError(f"{location} is not local")
    moved = here / path.relative_to(folder)
    return moved.as_uri() if location.startswith("file:") else str(moved)


def _local_path(location: str) -> Path | None:
    """The path of a `file:` URI or of an absolute path; None for every other store and for relative paths."""
    if location.startswith("file:"):
        return Path(url2pathname(urlsplit(location).path))
    return Path(location) if location.startswith("/") else None
