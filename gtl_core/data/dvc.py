"""DVC as this project uses it: its command line in a subprocess, its configuration, and its cache read directly."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from gtl_core.data.directory_hash import rows_md5
from gtl_core.data.writer import replace_folder
from gtl_core.errors import InputError

Rows = list[dict[str, str]]

_DIRECTORY = re.compile(r"[0-9a-f]{32}\.dir")


def require_checkout(root: Path) -> None:
    """Makes sure that DVC can work here.

    Raises:
        InputError: the folder is no git checkout, or DVC was not set up in it.
    """
    inside = subprocess.run(["git", "rev-parse", "--git-dir"], cwd=root, capture_output=True, check=False)
    if inside.returncode:
        raise InputError(f"{root} is no git checkout, which data versions need; git init there, or clone the project")
    if not (root / ".dvc" / "config").is_file():
        raise InputError(f"DVC is not set up in {root}; run dvc init there once")


def run(root: Path, *arguments: str) -> None:
    """Runs a DVC command, waiting for its lock.

    Raises:
        InputError: it failed; the message is DVC's own last line of error.
    """
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "true"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = errors[-1] if errors else (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"dvc {arguments[0]} failed: {reason}")


def pinned(root: Path) -> str | None:
    """The version in `data.dvc`, such as `5fae….dir`; None without that file.

    Raises:
        InputError: the file is there but holds no version.
    """
    path = root / "data.dvc"
    if not path.is_file():
        return None
    try:
        version = yaml.safe_load(path.read_text(encoding="utf-8"))["outs"][0]["md5"]
    except (yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{path} holds no data version; take it back from git") from error
    if not isinstance(version, str) or not _DIRECTORY.fullmatch(version):
        raise InputError(f"{path}: {version!r} is no data version; take it back from git")
    return version


def default_remote(root: Path) -> str | None:
    """Name of the default remote; else None.

    Raises:
        InputError: as `_configured`.
    """
    name: str | None = _configured(root)["core"].get("remote")
    return name


def cache(root: Path) -> Path:
    """The folder of DVC's cache: `.dvc/cache`, or where DVC is configured to have it.

    Raises:
        InputError: as `_configured`.
    """
    # DVC gives a configured folder as an absolute path, whatever file it stands in.
    return Path(_configured(root)["cache"].get("dir") or root / ".dvc" / "cache")


def _configured(root: Path) -> Any:
    """DVC's configuration, of the project over the user's over the computer's.

    Raises:
        InputError: DVC cannot read it.
    """
    from dvc.config import Config, ConfigError

    try:
        return Config(str(root / ".dvc"))
    except ConfigError as error:
        raise InputError(f"the configuration of DVC in {root / '.dvc'} cannot be read: {error}") from error


def cached(root: Path, md5: str) -> Path:
    """Where an object lies in DVC's cache, whether it is there or not."""
    return _object(cache(root), md5)


def _object(folder: Path, md5: str) -> Path:
    return folder / "files" / "md5" / md5[:2] / md5[2:]


def cached_rows(root: Path, version: str) -> Rows | None:
    """The files of a version of a folder, as `{md5, relpath}`; None where the cache does not know them."""
    path = cached(root, version)
    if not path.is_file():
        return None
    rows: Rows = [{"md5": row["md5"], "relpath": row["relpath"]} for row in json.loads(path.read_text("utf-8"))]
    return rows


def by_set(rows: Rows) -> dict[str, Rows]:
    """Rows of `data/` by the image set that they belong to, with paths inside of it."""
    sets: dict[str, Rows] = {}
    for row in rows:
        name, _, rest = row["relpath"].partition("/")
        sets.setdefault(name, []).append({"md5": row["md5"], "relpath": rest})
    return sets


def versions_by_set(rows: Rows) -> dict[str, str]:
    """Version of each image set in rows of `data/`."""
    return {name: rows_md5(inner) for name, inner in by_set(rows).items()}


def all_cached(root: Path, rows: Sequence[dict[str, str]]) -> bool:
    """Whether every file of these rows can be had from the cache."""
    folder = cache(root)
    return all(_object(folder, row["md5"]).is_file() for row in rows)


def restore(root: Path, rows: Rows, folder: Path) -> None:
    """Copies the files of an image set from the cache to `folder`, in one step at the end."""
    source = cache(root)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for row in rows:
            target = temporary / row["relpath"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_object(source, row["md5"]), target)
        temporary.chmod(0o755)
        replace_folder(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
